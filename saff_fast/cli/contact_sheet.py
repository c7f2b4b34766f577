"""One picture of what a run produced: a column a view, a row a kind of map."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from saff_fast.evaluate.masks import read_prediction
from saff_fast.evaluate.truth import SceneTruth, resize_nearest
from saff_fast.files import write_image
from saff_fast.render.colours import depth_colours, feature_colours, flow_colours, share_colours
from saff_fast.segment.labels import colourise
from saff_fast.segment.renders import Renders, View, read_renders

_CELL_WIDTH = 240
_GAP = 4
_MARGIN = 120  # for the rows' names
_HEADER = 28
_SHOWN = {"input": (0.1, 0.5, 0.8), "fix_cam0": (0.3, 0.8), "fix_time0": (0.6,)}  # places within each split

Picture = UInt8[ndarray, "height width 3"]


def write_contact_sheet(run: Path, path: Path) -> None:
    """Write the contact sheet of a rendered and segmented run.

    Columns: input views and views from cameras and times that were not filmed together. What a view does not have
    (optical flow between unfilmed views, truth of a real scene) is left grey.
    """
    renders = read_renders(run)
    views = chosen_views(renders)
    rows = [(name, [cell(view) for view in views]) for name, cell in _rows(run, renders, views).items()]
    write_image(path, sheet([_title(view) for view in views], rows, renders.height / renders.width))


def chosen_views(renders: Renders) -> list[View]:
    """A few views of each split, spread over it."""
    chosen = []
    for split, places in _SHOWN.items():
        of_split = [view for view in renders.views if view.split == split]
        chosen += [of_split[int(place * len(of_split))] for place in places if of_split]
    return chosen


def _rows(run: Path, renders: Renders, views: list[View]) -> dict[str, Callable[[View], Picture | None]]:
    truth = SceneTruth(renders.scene, renders.height, renders.width)
    nearest, farthest = np.percentile(np.stack([renders.depth(view) for view in views]), [1, 99])
    flows = {view.id: renders.flow(view, "fwd") for view in views if view.split == "input"}
    largest = max((float(np.percentile(np.linalg.norm(flow, axis=-1), 99)) for flow in flows.values()), default=1.0)
    semantics = feature_colours([renders.semantics(view).float().numpy() for view in views])
    colours = {view.id: picture for view, picture in zip(views, semantics, strict=True)}

    def share(kind: str) -> Callable[[View], Picture]:
        return lambda view: share_colours(renders.grey(view, kind).numpy())

    def masks(view: View) -> Picture | None:
        labels = read_prediction(run, view)
        return None if labels is None else colourise(labels)

    def true_masks(view: View) -> Picture | None:
        labels = truth.labels(view)
        return None if labels is None else colourise(resize_nearest(labels, renders.height, renders.width))

    return {
        "input": lambda view: truth.picture(view),
        "render": renders.rgb,
        "depth": lambda view: depth_colours(renders.depth(view), nearest, farthest),
        "flow": lambda view: flow_colours(flows[view.id], largest) if view.id in flows else None,
        "blend": share("blend"),
        "saliency": share("sal"),
        "semantics": lambda view: colours[view.id],
        "masks": masks,
        "true masks": true_masks,
    }


def _title(view: View) -> str:
    if view.split == "input":
        return f"frame {view.pose}"
    return f"camera {view.pose}, time {view.time:g}"


def sheet(titles: list[str], rows: list[tuple[str, list[Picture | None]]], aspect: float) -> Picture:
    """Pictures in a grid: a title a column, a name a row; None is left grey.

    Args:
        titles: Of the columns.
        rows: Name and pictures of each.
        aspect: Height of the cells as a share of their width.
    """
    height, width = round(_CELL_WIDTH * aspect), _CELL_WIDTH
    size = (_HEADER + len(rows) * (height + _GAP), _MARGIN + len(titles) * (width + _GAP), 3)
    page = np.full(size, 255, np.uint8)
    for column, title in enumerate(titles):
        _write(page, title, _MARGIN + column * (width + _GAP), _HEADER - 9)
    for row, (name, pictures) in enumerate(rows):
        top = _HEADER + row * (height + _GAP)
        _write(page, name, 8, top + height // 2)
        for column, picture in enumerate(pictures):
            left = _MARGIN + column * (width + _GAP)
            cell = page[top : top + height, left : left + width]
            cell[:] = 200 if picture is None else cv2.resize(picture, (width, height), interpolation=cv2.INTER_NEAREST)
    return page


def _write(page: Picture, text: str, x: int, y: int) -> None:
    cv2.putText(page, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA)
