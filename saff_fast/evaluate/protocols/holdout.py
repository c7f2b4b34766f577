"""The `holdout` protocol: frames that training did not see, in their static and moving parts.

That frames t and t + 12 come from one camera is knowledge of this protocol's data; nothing outside evaluation uses it.
"""

from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8
from numpy import ndarray

from saff_fast.errors import UserError
from saff_fast.evaluate.image_metrics import psnr, ssim
from saff_fast.evaluate.protocols.protocol import Protocol
from saff_fast.evaluate.rig import RIG_SIZE
from saff_fast.evaluate.subject import Subject
from saff_fast.evaluate.summary import filled, only, without
from saff_fast.evaluate.tally import Tally

_LARGEST_DIFFERENCE = 8
_BLUR = 5
_CENTRAL_SHARE = 0.75
_OPAQUE = 0.9
_SPLIT = "held_out"
_KEYS = ("static_psnr", "moving_psnr", "full_psnr", "opaque_share")


def score(subject: Subject) -> dict[str, Any]:
    """Means over the held-out frames, and each of them."""
    if not subject.renders.held_out:
        raise UserError(
            f"{subject.run} must have been trained with frames held out for protocol holdout, but saw all of them."
        )
    tally = score_frames(subject)
    further_figures = filled(further(tally))
    return filled({**summary(tally), "extra": further_figures, **tally.results(subject.options.seed)})


def score_frames(subject: Subject) -> Tally:
    """Every held-out frame that was rendered."""
    tally = Tally()
    for view in subject.renders.views:
        if subject.is_held_out(view):
            opacity = subject.renders.grey(view, "opacity").numpy()
            scores = score_held_out(subject.renders.rgb(view), opacity, subject.images, view.pose)
            tally.add(view, scores, _SPLIT)
    return tally


def summary(tally: Tally) -> dict[str, Any]:
    """The key `held_out` of the JSON; empty without held-out frames."""
    return filled({_SPLIT: only(tally.means().get(_SPLIT, {}), _KEYS)})


def further(tally: Tally) -> dict[str, Any]:
    """The key `held_out` of its `extra`."""
    return {_SPLIT: without(tally.means().get(_SPLIT, {}), _KEYS)}


def static_part(images: UInt8[ndarray, "n_frames height width 3"], frame: int) -> Bool[ndarray, "height width"] | None:
    """Pixels that differ by less than 8 grey levels from the frame 12 earlier or later, which the same camera took.

    Both frames are blurred by a 5x5 box first, and all three channels have to agree. None where there is neither frame.
    """
    others = [other for other in (frame - RIG_SIZE, frame + RIG_SIZE) if 0 <= other < len(images)]
    if not others:
        return None
    here, there = (cv2.blur(images[i].astype(np.float32), (_BLUR, _BLUR)) for i in (frame, others[0]))
    return np.abs(here - there).max(axis=2) < _LARGEST_DIFFERENCE


def central_part(height: int, width: int) -> Bool[ndarray, "height width"]:
    """The central 75 % of width and height."""
    rows, columns = (np.abs((np.arange(n) + 0.5) / n - 0.5) <= _CENTRAL_SHARE / 2 for n in (height, width))
    return rows[:, None] & columns


def score_held_out(
    image: UInt8[ndarray, "height width 3"],
    opacity: Float[ndarray, "height width"],
    images: UInt8[ndarray, "n_frames height width 3"],
    frame: int,
) -> dict[str, float]:
    """PSNR and SSIM of one held-out frame's render.

    `static_*` and `moving_*` are scored inside the central part of the image, because at the border lies what no other
    camera saw; `full_*` over the whole image. `opaque_share` is the share of pixels with opacity above 0.9.

    Args:
        image: The render.
        opacity: Its opacity.
        images: All frames at its size.
        frame: Which of them it shows.
    """
    truth, static, central = images[frame], static_part(images, frame), central_part(*opacity.shape)
    scores = {
        "full_psnr": psnr(image, truth),
        "full_ssim": ssim(image, truth),
        "opaque_share": float((opacity > _OPAQUE).mean()),
    }
    if static is not None:
        for name, part in (("static", static & central), ("moving", ~static & central)):
            scores |= {f"{name}_psnr": psnr(image, truth, part), f"{name}_ssim": ssim(image, truth, part)}
    return scores


PROTOCOL = Protocol("holdout", "the frames that training did not see", score)
