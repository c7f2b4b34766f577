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

from saff_fast.evaluate.codec import BLOCK, through_codec
from saff_fast.evaluate.image_metrics import psnr, ssim
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
