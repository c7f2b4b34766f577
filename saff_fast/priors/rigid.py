"""What no rigid surface explains: colours of a frame that its other frames show at no depth."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from saff_fast.geometry.cameras import Cameras
from saff_fast.priors.two_view import RelativeView, relative_view, through_plane

N_DEPTHS = 48
MAX_WITNESSES = 23
"""Other frames compared with."""
NEAR = 3
"""Steps in time up to which every frame is a witness; those farther away are spread evenly."""
QUANTILE = 0.6
"""Share of the witnesses that a static surface has to agree with; the others may see something in front of it."""
MIN_SHARE = 0.12
"""Share of the witnesses that must have a surface in view for it to be judged."""
REACH = 5.0
"""Pixels, at the height of the sweep, that the typical witness sees a point move by when its depth is tried nearby."""
CEILING = 60.0
"""Colour difference, of 255, from which on more does not count as more."""
_UNSEEN = 255
"""What a witness says that does not see the point."""


def witnesses(frame: int, n_frames: int) -> list[int]:
    """The frames that a frame is compared with: its neighbours in time and a fair sample of all others."""
    others = [other for other in range(n_frames) if other != frame]
    near = [other for other in others if abs(other - frame) <= NEAR]
    far = [other for other in others if abs(other - frame) > NEAR]
    room = min(MAX_WITNESSES - len(near), len(far))
    return sorted(near + [far[i] for i in np.linspace(0, len(far) - 1, room).round().astype(int)])


@dataclass(frozen=True)
class RigidFit:
    """How well static surfaces explain one frame; 0 where too few other frames look."""

    residual: Float[np.ndarray, "rows columns"]
    """Colour difference at the best depth, 0 to 60 of 255."""
    contrast: Float[np.ndarray, "rows columns"]
    """By how much the difference rises at depths nearby, both nearer and farther: next to 0 inside of what has one
    colour, where agreement at the best depth proves nothing, as it would after a small motion, too."""
    inverse_depth: Float[np.ndarray, "rows columns"]
    """The best one, or the middle of those around it that are as good."""
    judged: Bool[np.ndarray, "rows columns"]
    """Where enough other frames look."""


class RigidResidual:
    """How badly the best static surface explains each pixel of a frame (a plane sweep, Collins, CVPR 1996).

    At each of many depths, every witness says by how much the pixel's colour is outside the range of its own colours
    within a pixel of where that depth puts it; such a range forgives what sampling and small errors of the poses do.
    A depth is as good as the share `QUANTILE` of the witnesses says, and the residual is that of the best depth. All
    frames of the video bear witness, so that a mover that a neighbour alone would place at some depth is found out, and
    one that is slower than a pixel a frame is found too.

    Args:
        images: All frames, at the size of `cameras`.
        cameras: One camera a frame.
        inverse_depths: Least and largest inverse depth of what stands still.
        max_height: Rows at which depths are tried; time grows with their square.
    """

    def __init__(
        self,
        images: Sequence[UInt8[np.ndarray, "h w 3"]],
        cameras: Cameras,
        inverse_depths: tuple[float, float],
        max_height: int = 96,
    ):
        self._cameras = cameras.at_most(max_height)
        size = self._cameras.width, self._cameras.height
        self._images = [cv2.resize(image, size, interpolation=cv2.INTER_AREA) for image in images]
        square = np.ones((3, 3), np.uint8)
        self._low = [_with_opacity(cv2.erode(image, square)) for image in self._images]
        self._high = [_with_opacity(cv2.dilate(image, square)) for image in self._images]
        self._inverse_depths = np.linspace(*inverse_depths, N_DEPTHS)

    def __call__(self, frame: int, moving: Sequence[Float[np.ndarray, "_ _"]] | None = None) -> RigidFit:
        """How well static surfaces explain a frame, at no more than `max_height` rows.

        Args:
            frame: Index of the frame.
            moving: What is known to move in each frame, 0 to 1, at any size. A witness that sees such a thing says
                nothing of what is behind it; a surface that the others agree on stands still, however often it is
                hidden.
        """
        others = witnesses(frame, len(self._images))
        views = [relative_view(self._cameras, frame, other) for other in others]
        everyone, unhindered = _Sweep(len(others)), _Sweep(len(others))
        hidden = [] if moving is None else [self._at_work_size(moving[other]) for other in others]
        for inverse_depth in self._inverse_depths:
            said = np.stack([self._outside(frame, *pair, inverse_depth) for pair in zip(others, views, strict=True)])
            everyone.add(said)
            if moving is not None:
                hiding = [through_plane(mask, view, inverse_depth) for mask, view in zip(hidden, views, strict=True)]
                unhindered.add(np.where(np.stack(hiding) > 0.5, _UNSEEN, said))
        shift = np.median([np.linalg.norm(view.epipole[:2]) for view in views]) * np.diff(self._inverse_depths[:2])[0]
        sweeps = (everyone,) if moving is None else (everyone, unhindered)
        fits = [sweep.fit(self._inverse_depths, max(1, round(REACH / max(shift, 1e-9)))) for sweep in sweeps]
        return fits[0] if moving is None else _better(*fits)

    def _at_work_size(self, mask: Float[np.ndarray, "_ _"]) -> Float[np.ndarray, "rows columns"]:
        size = self._cameras.width, self._cameras.height
        return cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA)

    def _outside(
        self, frame: int, other: int, view: RelativeView, inverse_depth: float
    ) -> UInt8[np.ndarray, "rows columns"]:
        """What one witness says of one depth; 255 where it does not see it."""
        image = self._images[frame]
        low, high = (through_plane(x[other], view, inverse_depth) for x in (self._low, self._high))
        outside = cv2.max(cv2.subtract(low[..., :3], image), cv2.subtract(image, high[..., :3])).max(-1)
        outside[low[..., 3] < 250] = _UNSEEN
        return outside


class _Sweep:
    """What witnesses say of one depth after the other."""

    def __init__(self, n_witnesses: int):
        self._n_witnesses = n_witnesses
        self._costs: list[Float[np.ndarray, "rows columns"]] = []
        self._most_seen = np.zeros((), int)

    def add(self, said: UInt8[np.ndarray, "n_witnesses rows columns"]) -> None:
        """The next depth: its cost is what the share `QUANTILE` of those who see it says at most."""
        said = np.sort(said, 0)
        seen = (said < _UNSEEN).sum(0)
        rank = (QUANTILE * seen).astype(int).clip(0, self._n_witnesses - 1)
        cost = np.minimum(np.take_along_axis(said, rank[None], 0)[0], CEILING).astype(np.float32)
        known = (seen >= MIN_SHARE * self._n_witnesses).astype(np.float32)
        # Smoothed over what is seen alone, or what is out of view would count against its neighbours.
        near = cv2.GaussianBlur(known, (0, 0), 0.7)
        cost = cv2.GaussianBlur(cost * known, (0, 0), 0.7) / np.maximum(near, 1e-6)
        cost[known == 0] = CEILING
        self._costs.append(cost)
        self._most_seen = np.maximum(self._most_seen, seen)

    def fit(self, inverse_depths: Float[np.ndarray, " n_depths"], reach: int) -> RigidFit:
        """The best depth of each pixel; depths up to `reach` away from it are those nearby."""
        judged = self._most_seen >= MIN_SHARE * self._n_witnesses
        stack = np.array(self._costs)
        best = stack.argmin(0)
        residual = np.take_along_axis(stack, best[None], 0)[0]
        away = np.arange(len(stack))[:, None, None] - best
        # Depths close to the best that are next to as good have a say in its place.
        say = np.exp(residual - stack) * (np.abs(away) <= reach)
        inverse_depth = np.einsum("dhw,d->hw", say, inverse_depths) / say.sum(0)
        rise = _rise(stack, away, reach) - residual
        return RigidFit(residual * judged, rise * judged, inverse_depth.astype(np.float32), judged)


def _better(first: RigidFit, second: RigidFit) -> RigidFit:
    """Of each pixel the fit that leaves less, where the second has judged at all."""
    better = second.judged & (second.residual < first.residual)
    pairs = [(getattr(second, name), getattr(first, name)) for name in RigidFit.__dataclass_fields__]
    return RigidFit(*(np.where(better, *pair) for pair in pairs))


def _rise(
    costs: Float[np.ndarray, "n_depths rows columns"], away: Int[np.ndarray, "n_depths rows columns"], reach: int
) -> Float[np.ndarray, "rows columns"]:
    """Highest cost up to `reach` depths away from the best, on the side where it is lower.

    Where the range of depths ends, the other side alone tells.
    """
    sides = [np.where((side * away > 0) & (side * away <= reach), costs, -1).max(0) for side in (-1, 1)]
    return np.minimum(*(np.where(side < 0, np.inf, side) for side in sides))


def _with_opacity(image: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 4"]:
    return np.dstack([image, np.full(image.shape[:2], 255, np.uint8)])
