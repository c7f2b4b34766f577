"""What stands still with an object in all views and belongs to it: whoever holds the balloon that moves.

Neither motion nor semantics tell it from the ground, depth does: it stands in front of what is beside it, and it
touches the object at the object's own depth. A pole that an object passes does so too, but in few views.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from scipy.ndimage import binary_dilation
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from saff_fast.segment.morphology import nearest_pixel
from saff_fast.segment.renders import Renders, View

_PROMINENCE = 0.08
"""Share of inverse depth by which something stands out from what is beside it."""
_WIDEST = 1.4
"""Width in terms of the side of a square as large as all objects usually are, above which nothing stands out."""
_STEP = 0.06
"""Relative depth between neighbouring pixels of one thing."""
_REACH = 0.3
"""Relative depth between an object and what touches it."""
_CONTACT = 0.15
"""Share of its outline by which something touches an object."""
_LARGEST = 1.5
"""Area in terms of what all objects usually have, above which objects are rather with it than it with them."""
_FEWEST = 3
"""Views that must see a point, on average around it."""
_AROUND = 1 / 48
"""Width (sigma) of the neighbourhood that votes together, as a share of the picture's height."""
_ROUNDING = 1e-9
_GAP = 1 / 72
"""Pixels between things that touch, as a share of the picture's height."""

Labels = Int[ndarray, "height width"]
Mask = Bool[ndarray, "height width"]


@dataclass(frozen=True)
class Companions:
    """What may be with objects in the trained input views, to be asked about any view."""

    renders: Renders
    beside: dict[int, Labels]
    """By trained input view, widened by the gap: the object that a pixel may be with, 0 for none."""
    objects: dict[int, Labels]
    """By trained input view: the objects themselves."""
    area: float
    """Median pixels of all objects together in the trained input views."""
    depths: dict[int, Float[ndarray, "height width"]]
    quorum: float
    """Share of the views that see a point in which it must be beside an object."""
    smallest: float
    """Share of the picture."""

    @staticmethod
    def find(renders: Renders, objects: Mapping[int, Labels], quorum: float, smallest: float) -> "Companions":
        """Look beside the objects of every trained input view.

        Args:
            renders: The rendered run; it must know its cameras.
            objects: Label maps by view, at least of the trained input views.
            quorum: Share of the views that see a point in which it must be beside an object, in (0, 1].
            smallest: Share of the picture below which something is nothing.
        """
        views = renders.trained_inputs()
        known = {view.id: objects[view.id] for view in views}
        area = float(np.median([(labels > 0).sum() for labels in known.values()]))
        depths = {view.id: renders.depth(view) for view in views}
        gap = _element(renders.height)
        beside = {
            k: cv2.dilate(things_beside(labels, depths[k], area, smallest).astype(np.uint16), gap).astype(np.int64)
            for k, labels in known.items()
        }
        return Companions(renders, beside, known, area, depths, quorum, smallest)

    def of(self, view: View, objects: Labels) -> Labels:
        """The object that each pixel of a view is with, 0 for none.

        Args:
            view: Any rendered view.
            objects: Its label map.
        """
        things = things_beside(objects, self.renders.depth(view), self.area, self.smallest)
        points = self.renders.points(view)
        if points is None or not things.any():
            return np.zeros_like(objects)
        seen, votes = self._votes(points[things > 0], view)
        return self._elected(things > 0, seen, votes)

    def _votes(
        self, points: Float[ndarray, "n 3"], view: View
    ) -> tuple[Int[ndarray, " n"], Int[ndarray, "n_labels n"]]:
        """Trained input views but `view` that see each point, and in how many it is beside each object."""
        n_labels = 1 + max(int(m.max()) for m in (*self.objects.values(), *self.beside.values()))
        seen, votes = np.zeros(len(points), np.int64), np.zeros((n_labels, len(points)), np.int64)
        for other in self.renders.trained_inputs():
            if other.id != view.id:
                rows, columns, visible = self.renders.sight(points, other, self.depths[other.id])
                visible &= self.objects[other.id][rows, columns] == 0
                seen += visible
                votes[self.beside[other.id][rows, columns][visible], np.flatnonzero(visible)] += 1
        return seen, votes

    def _elected(self, things: Mask, seen: Int[ndarray, " n"], votes: Int[ndarray, "n_labels n"]) -> Labels:
        """The object that each of the n pixels of `things` is with, by its votes and those of the pixels around it."""

        def around(values: ndarray) -> Float[ndarray, "height width"]:
            picture = np.zeros(things.shape)
            picture[things] = values
            return cv2.GaussianBlur(picture, (0, 0), _AROUND * things.shape[0])

        enough = around(seen) >= _FEWEST * around(np.ones(len(seen))) - _ROUNDING
        by_object = np.stack([around(row) for row in votes[1:]])
        elected = things & enough & (by_object.sum(axis=0) >= self.quorum * around(seen) - _ROUNDING)
        return np.where(elected, 1 + by_object.argmax(axis=0), 0)


def things_beside(objects: Labels, depth: Float[ndarray, "height width"], area: float, smallest: float) -> Labels:
    """The object that each pixel is beside: of things that stand out in depth and touch an object at its depth.

    Args:
        objects: Label map, 0 = background.
        depth: Along camera z.
        area: Pixels that all objects together usually have.
        smallest: Share of the picture below which a thing is left out.
    """
    found = np.zeros_like(objects)
    if not objects.any():
        return found
    smooth = cv2.medianBlur(np.maximum(depth, 1e-6).astype(np.float32), 5)
    stands_out = prominence(_behind(smooth, objects > 0), _WIDEST * area**0.5) > _PROMINENCE
    things = _things(stands_out & (objects == 0), np.log(smooth))
    touching = (cv2.dilate(objects.astype(np.uint16), _element(objects.shape[0])) > 0) & (things > 0)
    nearest = nearest_pixel(objects > 0)
    labels_there, depth_there = objects.flat[nearest], smooth.flat[nearest]
    sizes = np.bincount(things.reshape(-1))
    fits = (sizes >= smallest * things.size) & (sizes <= _LARGEST * area)
    for thing in np.unique(things[touching & fits[things]]):
        mask = things == thing
        contact = mask & touching
        label = int(np.bincount(labels_there[contact]).argmax())
        outline = int((binary_dilation(mask) & ~mask).sum())
        distance = np.median(np.abs(np.log(smooth[contact] / depth_there[contact])))
        if contact.sum() >= _CONTACT * outline and distance < _REACH:
            found[mask] = label
    return found


def _behind(depth: Float[ndarray, "height width"], objects: Mask) -> Float[ndarray, "height width"]:
    """Depth without the objects: in each row the deeper of what is left and right of them."""
    columns = np.arange(depth.shape[1])
    left = np.maximum.accumulate(np.where(objects, -1, columns), axis=1)
    right = np.minimum.accumulate(np.where(objects, depth.shape[1], columns)[:, ::-1], axis=1)[:, ::-1]
    padded = np.pad(depth, ((0, 0), (1, 1)))  # beyond the picture is nothing
    beside = (np.take_along_axis(padded, side + 1, axis=1) for side in (left, right))
    filled = np.where(objects, np.maximum(*beside), depth)
    return np.where(filled > 0, filled, depth)  # in a row of objects only


def prominence(depth: Float[ndarray, "height width"], widest: float) -> Float[ndarray, "height width"]:
    """How far each pixel stands out from what is beside it in its row: 0 for not at all, to 1.

    The share of inverse depth that goes when everything narrower than `widest` pixels is cut off. Ground is equally far
    along a row, however near it comes further down, and a slanted wall rises steadily: neither stands out (but a wall
    does where it comes nearest at a side of the picture: it might be a thing that is cut off there).
    """
    inverse = (1 / depth).astype(np.float32)
    row = np.ones((1, max(3, round(widest) | 1)), np.uint8)
    return 1 - cv2.morphologyEx(inverse, cv2.MORPH_OPEN, row, borderType=cv2.BORDER_REPLICATE) / inverse


def _things(mask: Mask, log_depth: Float[ndarray, "height width"]) -> Labels:
    """Connected pieces of the mask without a step in depth, numbered from 1."""
    index = np.arange(mask.size).reshape(mask.shape)
    pairs = []
    for axis in (0, 1):
        before, after = (np.take(index, range(k, mask.shape[axis] - 1 + k), axis) for k in (0, 1))
        joined = mask.flat[before] & mask.flat[after]
        joined &= np.abs(log_depth.flat[before] - log_depth.flat[after]) < _STEP
        pairs.append(np.stack([before[joined], after[joined]]))
    rows, columns = np.concatenate(pairs, axis=1)
    links = coo_matrix((np.ones(len(rows), bool), (rows, columns)), shape=(mask.size, mask.size))
    _, pieces = connected_components(links, directed=False)
    return np.where(mask, pieces.reshape(mask.shape) + 1, 0).astype(np.int64)


def _element(height: int) -> ndarray:
    radius = max(1, round(height * _GAP))
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
