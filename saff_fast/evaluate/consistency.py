"""Whether a point keeps its label when the camera or the time changes."""

from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from saff_fast.evaluate.masks import LabelsOf
from saff_fast.geometry.cameras import Cameras
from saff_fast.segment.renders import Renders, View

_LARGEST_LOOP = 1.0
"""Pixels by which flow there and back must miss the start for a point to be hidden."""
_LARGEST_DEPTH_STEP = 0.05
"""Relative difference of depth up to which a reprojected point is the one seen there."""


class Agreement:
    """Counts warped points and those that keep their label."""

    def __init__(self) -> None:
        self._points, self._kept, self._objects, self._kept_objects = 0, 0, 0, 0

    def add(
        self,
        source: Int[ndarray, "height width"],
        target: Int[ndarray, "height width"],
        places: Float[ndarray, "height width 2"],
        visible: Bool[ndarray, "height width"],
    ) -> None:
        """Add the pixels of `source` that are `visible` at `places` (x, y; centres at +0.5) of `target`."""
        there = sampled(target, places)[visible]
        here = source[visible]
        kept, objects = here == there, here > 0
        self._points += here.size
        self._kept += int(kept.sum())
        self._objects += int(objects.sum())
        self._kept_objects += int((kept & objects).sum())

    def shares(self) -> dict[str, float]:
        """Share of the points of objects, and of all points, that keep their label; absent without points."""
        shares = {"objects": (self._kept_objects, self._objects), "all": (self._kept, self._points)}
        return {name: kept / points for name, (kept, points) in shares.items() if points}


def sampled(array: ndarray, places: Float[ndarray, "height width 2"]) -> ndarray:
    """Values at the pixels in which `places` lie; outside the image those of its border."""
    height, width = array.shape[:2]
    columns = np.clip(np.floor(places[..., 0]), 0, width - 1).astype(np.int64)
    rows = np.clip(np.floor(places[..., 1]), 0, height - 1).astype(np.int64)
    return array[rows, columns]


def _centres(height: int, width: int) -> Float[ndarray, "height width 2"]:
    rows, columns = np.mgrid[:height, :width] + 0.5
    return np.stack([columns, rows], axis=-1)


def _inside(places: Float[ndarray, "height width 2"]) -> Bool[ndarray, "height width"]:
    height, width = places.shape[:2]
    return ((places >= 0) & (places < [width, height])).all(axis=-1)


def across_times(renders: Renders, labels_of: LabelsOf) -> dict[str, float]:
    """Labels of points carried by the rendered optical flow from each input view to the next.

    A point counts where flow there and back returns to less than a pixel from the start, so that it is seen in both.
    """
    inputs = sorted((view for view in renders.views if view.split == "input"), key=lambda view: view.time)
    agreement = Agreement()
    for here, there in pairwise(inputs):
        source, target = labels_of(here), labels_of(there)
        if source is None or target is None or not (has_flow(renders, here) and has_flow(renders, there)):
            continue
        forward, back = renders.flow(here, "fwd"), renders.flow(there, "bwd")
        places = _centres(*source.shape) + forward
        loop = np.linalg.norm(forward + sampled(back, places), axis=-1)
        agreement.add(source, target, places, _inside(places) & (loop < _LARGEST_LOOP))
    return agreement.shares()


def has_flow(renders: Renders, view: View) -> bool:
    """Whether the optical flow of a view was rendered."""
    return renders.path(view, "flow.npz").is_file()


def across_views(renders: Renders, cameras: Cameras, labels_of: LabelsOf) -> dict[str, float]:
    """Labels of points carried by the rendered depth from each view of the fixed time to the next camera's.

    A point counts where its depth and the one rendered there differ by at most 5 %, so that it is seen in both.
    """
    views = sorted((view for view in renders.views if view.split == "fix_time0"), key=lambda view: view.pose)
    agreement = Agreement()
    for here, there in pairwise(views):
        source, target = labels_of(here), labels_of(there)
        if source is None or target is None:
            continue
        places, depth = reprojected(renders.depth(here), cameras, here.pose, there.pose)
        seen = sampled(renders.depth(there), places)
        visible = _inside(places) & (np.abs(depth - seen) <= _LARGEST_DEPTH_STEP * seen) & (depth > 0)
        agreement.add(source, target, places, visible)
    return agreement.shares()


def reprojected(
    depth: Float[ndarray, "height width"], cameras: Cameras, source: int, target: int
) -> tuple[Float[ndarray, "height width 2"], Float[ndarray, "height width"]]:
    """Place and depth in camera `target` of what camera `source` sees at `depth`."""
    pixels = cameras.pixel_grid().double()
    doubled = Cameras(cameras.c2w.double(), cameras.intrinsics.double(), cameras.height, cameras.width)
    origins, directions = doubled.world_rays(torch.full((len(pixels),), source), pixels)
    points = origins + torch.from_numpy(depth).double().reshape(-1, 1) * directions
    places, depths = doubled.project(torch.full((len(pixels),), target), points)
    return places.reshape(*depth.shape, 2).numpy(), depths.reshape(depth.shape).numpy()
