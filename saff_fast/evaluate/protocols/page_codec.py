"""The `page-codec` protocol: renders of training views after the codec that the published renders went through.

The authors' renders are known from the videos of their page only. A comparison with them encodes ours alike. These are
training views, seen by the field: what they score is memory, so held-out figures belong beside it.
"""

from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from saff_fast.errors import UserError
from saff_fast.evaluate.codec import BLOCK, through_codec
from saff_fast.evaluate.image_metrics import psnr, ssim
from saff_fast.evaluate.protocols import holdout
from saff_fast.evaluate.protocols.protocol import Protocol
from saff_fast.evaluate.subject import Subject
from saff_fast.evaluate.summary import filled
from saff_fast.scene.nvidia import find_nvidia_scene

PAGE_VIEWS = (0, 1, 2, 3, 6, 9, 12, 15, 18, 21)
"""Training views that the page's videos show, in their order."""
PUBLISHED_HEIGHT = 288
"""Height in pixels of the published renders."""

Pictures = UInt8[ndarray, "n height width 3"]


@dataclass(frozen=True)
class Likeness:
    """Mean over views."""

    psnr: float
    """In dB."""
    ssim: float


PUBLISHED = {
    "Balloon1-2": {
        "SAFF": Likeness(31.17, 0.922),
        "NSFF": Likeness(31.33, 0.925),
        "D2NeRF (256 px)": Likeness(28.66, 0.871),
    },
    "Umbrella": {
        "SAFF": Likeness(30.60, 0.876),
        "NSFF": Likeness(30.62, 0.878),
        "D2NeRF (256 px)": Likeness(27.55, 0.747),
    },
    "Skating-2": {
        "SAFF": Likeness(35.56, 0.953),
        "NSFF": Likeness(35.55, 0.954),
        "D2NeRF (256 px)": Likeness(32.84, 0.924),
    },
    "Playground": {
        "SAFF": Likeness(28.14, 0.894),
        "NSFF": Likeness(28.22, 0.897),
        "D2NeRF (256 px)": Likeness(23.31, 0.727),
    },
    "Truck-2": {"SAFF": Likeness(34.36, 0.940), "NSFF": Likeness(34.45, 0.941)},
}
"""The page's videos against the frames, by scene and system."""


def score(subject: Subject) -> dict[str, Any]:
    """The ten views of a run, published systems on the same scene, and held-out frames of the same configuration."""
    held_out = holdout.summary(holdout.score_frames(subject))
    if not held_out and subject.options.held_out_run is None:
        raise UserError(
            f"{subject.run} must be scored beside a run with frames held out, since training views say little alone; "
            "add --held-out-run, trained with the same settings and --hold-out 4,10,16,22."
        )
    trained = {view.id: view for view in subject.renders.trained_inputs()}
    lacking = [number for number in PAGE_VIEWS if number not in trained]
    if lacking:
        raise UserError(
            f"{subject.run} must have been trained on frames {', '.join(map(str, PAGE_VIEWS))} for protocol "
            f"page-codec, but lacks {', '.join(map(str, lacking))}."
        )
    pictures = np.stack([subject.renders.rgb(trained[number]) for number in PAGE_VIEWS])
    scores = score_page_codec(pictures, subject.images[list(PAGE_VIEWS)])
    return {"page_codec": filled(scores | {"published": published_figures(subject.scene_name)}), **held_out}


def score_page_codec(renders: Pictures, frames: Pictures) -> dict[str, Any]:
    """Likeness of the renders after the codec, directly, and of the frames after the codec: the codec's own ceiling.

    What passes the codec is first resized to a width that is a multiple of 16 (and an even height), and compared with
    the frames at that size.

    Args:
        renders: Of `PAGE_VIEWS`, in their order.
        frames: What was seen there.
    """
    wide_renders, wide_frames = _widened(renders), _widened(frames)
    coded, ceiling = (likeness(through_codec(wide), wide_frames) for wide in (wide_renders, wide_frames))
    direct = likeness(renders, frames)
    return {
        **asdict(coded),
        "direct_psnr": direct.psnr,
        "direct_ssim": direct.ssim,
        "ceiling_psnr": ceiling.psnr,
        "ceiling_ssim": ceiling.ssim,
        "height": wide_frames.shape[1],
        "width": wide_frames.shape[2],
    }


def published_figures(scene: str) -> dict[str, dict[str, float]]:
    """Published systems under this protocol, by name; empty for a scene that was not published."""
    known = find_nvidia_scene(scene)
    return {} if known is None else {name: asdict(value) for name, value in PUBLISHED.get(known.name, {}).items()}


def likeness(renders: Pictures, frames: Pictures) -> Likeness:
    """Mean PSNR and SSIM over pairs of pictures."""
    pairs = list(zip(renders, frames, strict=True))
    return Likeness(*(float(np.mean([metric(*pair) for pair in pairs])) for metric in (psnr, ssim)))


def _widened(pictures: Pictures) -> Pictures:
    height, width = pictures.shape[1:3]
    size = (-(-width // BLOCK) * BLOCK, -(-height // 2) * 2)
    if size == (width, height):
        return pictures
    return np.stack([cv2.resize(picture, size, interpolation=cv2.INTER_AREA) for picture in pictures])


PROTOCOL = Protocol("page-codec", "ten training views after the published video codec, beside held-out frames", score)
