"""Inverse depth of what stands still from many frames at once, near and far in time (a plane sweep)."""

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from saff_fast.geometry.cameras import Cameras
from saff_fast.priors.semi_global import aggregate
from saff_fast.priors.support import Support
from saff_fast.priors.two_view import RelativeView, relative_view, through_plane

MAX_HEIGHT = 144
"""Rows at which depths are tried."""
N_DEPTHS = 64
MAX_WITNESSES = 12
"""Other frames compared with: half of them the nearest in time, the others spread over the rest."""
MIN_PARALLAX = 1.0
"""Pixels between the nearest and the farthest plane under which a frame tells no depths apart."""
KEPT_SHARE = 0.5
"""Share of the witnesses that a depth is judged by, those that agree best; what hides it from others is forgiven."""
MIN_SHARE = 0.12
"""Share of the witnesses that must have a surface in view for it to be judged."""
MIN_PLANES = 0.5
"""Share of the planes that must be judged; next to the border the nearest are out of view."""
GRAY_LIMIT, GRADIENT_LIMIT = 20, 24
"""Differences, of 255, from which on more does not count as more."""
GRADIENT_GAIN = 0.25
"""Of Sobel's sums; twice the slope a pixel."""
SPREAD = 0.8
"""Pixels (standard deviation) over which costs are averaged."""
DISTINCT = 6.0
"""Cost by which the best depth has to be better than any other for full trust."""
NEAR_BEST = 2
"""Steps within which another depth is the same one."""
AGREEMENT = 8.0
"""Difference at the best depth over which trust falls."""


def sweep(
    images: Sequence[UInt8[np.ndarray, "h w 3"]],
    moving: Callable[[int], Float[np.ndarray, "_ _"]],
    cameras: Cameras,
    frame: int,
    inverse_depths: tuple[float, float],
) -> Support:
    """Inverse depth at which other frames show what a frame shows (Collins, CVPR 1996; Kang et al., CVPR 2001).

    A depth costs the mean truncated difference of gray values and gradients to the half of the witnesses that agree
    best; parts of them that move bear no witness. Costs agree along rows and columns (`aggregate`), and a parabola
    through the least tells depths finer than the planes. Trust is high where no other depth does nearly as well and
    where the difference at the best is small; 0 for movers, where too few look, or where no frame has parallax.

    Args:
        images: All frames, at the size of `cameras`; may be read when asked for.
        moving: Evidence of motion of any frame, 0 to 1.
        cameras: One camera a frame.
        frame: The frame whose depths are wanted.
        inverse_depths: Least and largest inverse depth tried.
    """
    small = cameras.at_most(MAX_HEIGHT)
    size = small.width, small.height
    planes = np.linspace(*inverse_depths, N_DEPTHS)
    full_size = (cameras.width, cameras.height)
    others = choose_witnesses(small, frame, inverse_depths)
    if not others:
        nothing = np.zeros(full_size[::-1])
        return Support(nothing, nothing)
    image = cv2.resize(images[frame], size, interpolation=cv2.INTER_AREA)
    described = [_describe(cv2.resize(images[i], size, interpolation=cv2.INTER_AREA), moving(i)) for i in others]
    views = [relative_view(small, frame, other) for other in others]
    cost, seen = _costs(_describe(image, np.zeros((1, 1))), list(zip(described, views, strict=True)), planes)
    inverse, trust = _best(aggregate(cost, image), cost, planes)
    trust = trust * seen * (1 - cv2.resize(moving(frame), size, interpolation=cv2.INTER_AREA))
    return Support(*(cv2.resize(x, full_size).astype(float) for x in (inverse, trust)))


def choose_witnesses(cameras: Cameras, frame: int, inverse_depths: tuple[float, float]) -> list[int]:
    """The frames to compare with, of those between which and the frame depths move pixels enough, but not too much.

    Where the planes lie more than a pixel apart, the right depth may be between them.
    """
    middle = np.array([cameras.width / 2, cameras.height / 2, 1])
    fit = []
    for other in range(len(cameras)):
        view = relative_view(cameras, frame, other)
        near, far = (view.infinite @ middle + inverse * view.epipole for inverse in inverse_depths)
        if min(near[2], far[2]) > 0 and MIN_PARALLAX < np.linalg.norm(near[:2] / near[2] - far[:2] / far[2]) < N_DEPTHS:
            fit.append(other)
    near = sorted(fit, key=lambda other: abs(other - frame))[: MAX_WITNESSES // 2]
    rest = [other for other in fit if other not in near]
    room = min(MAX_WITNESSES - len(near), len(rest))
    return sorted(near + [rest[i] for i in np.linspace(0, len(rest) - 1, room).round().astype(int)])


def _describe(image: UInt8[np.ndarray, "h w 3"], moving: Float[np.ndarray, "_ _"]) -> UInt8[np.ndarray, "h w 4"]:
    """Gray value, both gradients about 128, and opacity: 0 where something moves."""
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    slopes = [cv2.Sobel(gray, cv2.CV_32F, *axes, ksize=3, scale=GRADIENT_GAIN) + 128 for axes in ((1, 0), (0, 1))]
    moves = cv2.resize(moving, gray.shape[::-1], interpolation=cv2.INTER_AREA) > 0.5
    return np.dstack([gray, *(np.rint(s).clip(0, 255).astype(np.uint8) for s in slopes), np.uint8(255) * ~moves])


def _costs(
    reference: UInt8[np.ndarray, "h w 4"],
    witnesses: Sequence[tuple[UInt8[np.ndarray, "h w 4"], RelativeView]],
    planes: Float[np.ndarray, " n_planes"],
) -> tuple[Float[np.ndarray, "h w n_planes"], Bool[np.ndarray, "h w"]]:
    """Cost of every plane at every pixel, and where enough planes could be judged; 0 elsewhere."""
    costs = np.empty((*reference.shape[:2], len(planes)), np.float32)
    judged = np.zeros(costs.shape, bool)
    for i, plane in enumerate(planes):
        said = np.sort([_difference(reference, through_plane(image, view, plane)) for image, view in witnesses], 0)
        n_seen = np.isfinite(said).sum(0)
        n_kept = np.ceil(n_seen * KEPT_SHARE).astype(int)
        sums = np.cumsum(np.where(np.isfinite(said), said, 0), 0)
        costs[..., i] = np.take_along_axis(sums, (n_kept - 1).clip(0)[None], 0)[0] / n_kept.clip(1)
        judged[..., i] = n_seen >= max(2, MIN_SHARE * len(witnesses))
    # Where few planes are in view, the best of them is the best of what is left.
    seen = judged.mean(-1) > MIN_PLANES
    return np.where(judged, costs, GRAY_LIMIT + GRADIENT_LIMIT) * seen[..., None], seen


def _difference(reference: UInt8[np.ndarray, "h w 4"], warped: UInt8[np.ndarray, "h w 4"]) -> Float[np.ndarray, "h w"]:
    """Truncated differences, averaged over what is seen nearby; infinite where the witness does not look."""
    difference = cv2.absdiff(reference, warped)
    gradient = np.minimum(cv2.add(difference[..., 1], difference[..., 2]), GRADIENT_LIMIT)
    seen = (warped[..., 3] >= 250).astype(np.float32)
    cost = (np.minimum(difference[..., 0], GRAY_LIMIT) + gradient) * seen
    cost, near = (cv2.GaussianBlur(x, (0, 0), SPREAD) for x in (cost, seen))
    return np.where(seen > 0, cost / np.maximum(near, 1e-6), np.inf)


def _best(
    smoothed: Float[np.ndarray, "h w n_planes"],
    cost: Float[np.ndarray, "h w n_planes"],
    planes: Float[np.ndarray, " n_planes"],
) -> tuple[Float[np.ndarray, "h w"], Float[np.ndarray, "h w"]]:
    """Inverse depth of the least smoothed cost, between planes too, and trust in it."""
    best = smoothed.argmin(-1)[..., None]
    inner = best.clip(1, len(planes) - 2)
    before, at, after = (np.take_along_axis(smoothed, inner + step, -1)[..., 0] for step in (-1, 0, 1))
    bend = before - 2 * at + after
    shift = (0.5 * (before - after) / np.maximum(bend, 1e-6)).clip(-0.5, 0.5) * (best == inner)[..., 0]
    inverse = planes[0] + (best[..., 0] + shift) * (planes[1] - planes[0])
    elsewhere = np.abs(np.arange(len(planes)) - best) > NEAR_BEST
    second = np.where(elsewhere, smoothed, np.inf).min(-1)
    distinct = ((second - np.take_along_axis(smoothed, best, -1)[..., 0]) / DISTINCT).clip(0, 1)
    return inverse, distinct * np.exp(-np.take_along_axis(cost, best, -1)[..., 0] / AGREEMENT)
