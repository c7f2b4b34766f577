"""One pass over the frames before any work is done: does each decode, has it texture, is there a cut between them?"""

from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from saff_fast.capture.frames import Frames, Picture
from saff_fast.errors import UserError

HEIGHT = 288
"""Rows at which texture and matches are looked for."""
CORNER_CONTRAST = 6
"""Grey levels by which a corner stands out after a slight blur."""
MIN_CORNERS = 30
"""Fewer than COLMAP needs to place a frame are no texture."""
BINS = 6
"""Of each colour in a frame's histogram."""
MIN_JUMP = 0.25
"""Share of a picture that changes its colour at a cut; 0.35 and more between videos, up to 0.18 within one."""
JUMP_RATIO = 4.0
"""How far above the median of the video's own changes a cut is."""
MIN_MATCHES = 20
"""Matches that agree across a change of colours by which it is no cut: 11 at most by chance, 66 at least by sight."""


def survey(source: Path, frames: Frames, has_cameras: bool) -> None:
    """Decode all frames once, and refuse what structure from motion could make nothing of.

    Where cameras are given, frames need no texture, and a jump is one between known cameras.

    Raises:
        UserError: A frame that does not decode or has another size; one without texture; a cut.
    """
    histograms = []
    for name, image in zip(frames.names, frames, strict=True):
        if not has_cameras:
            _check_texture(source, name, image)
            histograms.append(_histogram(image))
    for cut in _jumps(histograms):
        if _matches(_small_grey(frames[cut - 1]), _small_grey(frames[cut])) < MIN_MATCHES:
            raise UserError(
                f"{source} must be one shot, but there is a cut before {frames.names[cut]}, the frame {cut} of "
                f"{len(frames)}; choose one side of it with --end or --start."
            )


def _check_texture(source: Path, name: str, image: Picture) -> None:
    blurred = cv2.GaussianBlur(_small_grey(image), (0, 0), 1)
    corners = len(cv2.FastFeatureDetector_create(CORNER_CONTRAST).detect(blurred))
    if corners < MIN_CORNERS:
        raise UserError(
            f"{source} must show texture in every frame, but {name} has {corners} corners where {MIN_CORNERS} are "
            "needed; leave it out with --start and --end."
        )


def _histogram(image: Picture) -> Float[np.ndarray, " n_bins"]:
    small = cv2.resize(image, (128, 72), interpolation=cv2.INTER_AREA).astype(int) * BINS // 256
    indices = (small @ (BINS * BINS, BINS, 1)).ravel()
    return np.bincount(indices, minlength=BINS**3) / indices.size


def _jumps(histograms: list[Float[np.ndarray, " n_bins"]]) -> list[int]:
    """Frames whose colours differ from those of both frames before, as do those of the frame after: no mere flash."""

    def change(a: int, b: int) -> float:
        if not 0 <= a < b < len(histograms):
            return 1.0
        return float(np.abs(histograms[a] - histograms[b]).sum() / 2)

    changes = [change(i - 1, i) for i in range(1, len(histograms))]
    least = max(MIN_JUMP, JUMP_RATIO * float(np.median(changes))) if changes else 1.0
    return [
        i for i in range(1, len(histograms)) if min(change(i - 1, i), change(i - 2, i), change(i - 1, i + 1)) > least
    ]


def _small_grey(image: Picture) -> UInt8[np.ndarray, "h w"]:
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    rows = min(HEIGHT, grey.shape[0])
    width = max(1, round(grey.shape[1] * rows / grey.shape[0]))
    return cv2.resize(grey, (width, rows), interpolation=cv2.INTER_AREA)


def _matches(first: UInt8[np.ndarray, "h w"], second: UInt8[np.ndarray, "h w"]) -> int:
    """Features of two pictures that look alike and lie on one epipolar geometry."""
    cv2.setRNGSeed(0)
    detector = cv2.ORB_create(1000)
    (points, descriptors), (others, candidates) = (detector.detectAndCompute(p, None) for p in (first, second))
    if descriptors is None or candidates is None:
        return 0
    pairs = cv2.BFMatcher(cv2.NORM_HAMMING).knnMatch(descriptors, candidates, k=2)
    good = [pair[0] for pair in pairs if len(pair) == 2 and pair[0].distance < 0.8 * pair[1].distance]
    if len(good) < 8:  # what a fundamental matrix takes
        return len(good)
    x = np.float32([points[match.queryIdx].pt for match in good])
    y = np.float32([others[match.trainIdx].pt for match in good])
    _, inliers = cv2.findFundamentalMat(x, y, cv2.FM_RANSAC, 2.0, 0.99)
    return 0 if inliers is None else int(inliers.sum())
