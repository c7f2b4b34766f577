"""What is known of each object: in which views it is, how salient and dynamic, where in the world at each time."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from numpy import ndarray

from saff_fast.segment.labels import palette
from saff_fast.segment.objects import Objects
from saff_fast.segment.renders import Renders, View

_MIDDLE = (0.05, 0.95)
"""Quantiles of the points between which a box lies: at the rim of an object depth is that of something else."""
_SOLID = 0.5
"""Opacity from which a pixel shows a surface."""


@dataclass
class _Seen:
    """One object so far."""

    areas: dict[int, int] = field(default_factory=dict)
    """Pixels by view."""
    pixels: int = 0
    """In trained input views."""
    saliency: float = 0.0
    motion: float = 0.0
    """Sums over those pixels."""
    boxes: list[dict[str, Any]] = field(default_factory=list)


class ObjectTable:
    """Gathers what the final label maps of a run say of its objects."""

    def __init__(self, renders: Renders, objects: Objects, companions: tuple[int, ...] = ()) -> None:
        self._renders, self._objects, self._companions = renders, objects, companions
        self._trained = {view.id for view in renders.trained_inputs()}
        self._seen = {label: _Seen() for label in range(1, objects.n_objects + len(companions) + 1)}

    def add(self, view: View, final: Int[ndarray, "height width"]) -> None:
        """Add the final label map of a view."""
        renders = self._renders
        is_input, trained = view.split == "input", view.id in self._trained
        saliency = renders.grey(view, "sal").numpy() if trained else None
        motion = renders.moving(view).numpy() if trained else None
        points = renders.points(view) if is_input else None
        solid = renders.grey(view, "opacity").numpy() > _SOLID if points is not None else None
        for label in np.unique(final[final > 0]).tolist():
            mask, seen = final == label, self._seen[label]
            seen.areas[view.id] = int(mask.sum())
            if saliency is not None and motion is not None:
                seen.pixels += seen.areas[view.id]
                seen.saliency += float(saliency[mask].sum())
                seen.motion += float(motion[mask].sum())
            if points is not None and solid is not None and (mask & solid).any():
                lower, upper = np.quantile(points[mask & solid], _MIDDLE, axis=0)
                seen.boxes.append({"time": view.time, "lower": lower.tolist(), "upper": upper.tolist()})

    def entries(self) -> list[dict[str, Any]]:
        """One entry per object that is seen at all, companions last.

        `id`; `colour`; `clusters` it is made of, their `mean_evidence`, its `votes`, and `voters`, the views that had a
        vote; or, of a companion, `with`, the object that it belongs to; `views` in which it is seen; `frames`, how many
        are input views; `mean_area` in pixels where it is seen; `mean_saliency` of its pixels in trained input views,
        and `mean_motion`, the evidence in [0, 1] that they move; `boxes`, where the renders say their cameras: for each
        input view in which it is seen the `time`, and `lower` and `upper` corner in the world of the middle 90 % of
        what is seen of it.
        """
        colours = palette(len(self._seen) + 1)
        inputs = {view.id for view in self._renders.views if view.split == "input"}
        entries: list[dict[str, Any]] = []
        for label, seen in self._seen.items():
            if not seen.areas:  # all of it was the rim of others
                continue
            entry = {
                "id": label,
                "colour": colours[label].tolist(),
                **self._origin(label),
                "views": list(seen.areas),
                "frames": len(inputs & set(seen.areas)),
                "mean_area": float(np.mean(list(seen.areas.values()))),
                "mean_saliency": seen.saliency / max(seen.pixels, 1),
                "mean_motion": seen.motion / max(seen.pixels, 1),
            }
            entries.append(entry | ({"boxes": seen.boxes} if self._renders.cameras is not None else {}))
        return entries

    def _origin(self, label: int) -> dict[str, Any]:
        objects, votes = self._objects, self._objects.votes
        if label > objects.n_objects:
            return {"with": self._companions[label - objects.n_objects - 1]}
        members = torch.nonzero(objects.ids == label)[:, 0].tolist()
        root = int(objects.roots[members[0]])
        counts = {"votes": int(votes.votes[root]), "voters": int(votes.occurrences[root])}
        return {"clusters": members, "mean_evidence": float(votes.means[root]), **counts}


def as_text(entries: list[dict[str, Any]]) -> str:
    """A line an object: number, input views in which it is seen, mean area, saliency, motion."""
    rows = [
        f"{e['id']:6d}  {e['frames']:6d}  {e['mean_area']:9.0f}  {e['mean_saliency']:8.2f}  {e['mean_motion']:6.2f}"
        for e in entries
    ]
    return "\n".join(["object  frames  mean area  saliency  motion", *rows])
