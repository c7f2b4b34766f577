"""Segmentation of a rendered run, from features to files."""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from saff_fast.errors import UserError
from saff_fast.files import save_json, save_npz
from saff_fast.segment.clusters import Clusters, fit_clusters
from saff_fast.segment.config import SegmentConfig
from saff_fast.segment.labels import EDITED, palette, write_labels
from saff_fast.segment.objects import Objects, find_objects
from saff_fast.segment.refine import refine
from saff_fast.segment.renders import Renders, View, read_renders


@dataclass(frozen=True)
class SegmentReport:
    """What `segment_run` found."""

    n_clusters: int
    n_merged: int
    """Labels after merging."""
    n_objects: int
    objectives: tuple[float, ...]
    n_views: int
    seconds: float
    warning: str | None
    """Why there is no object, and what to change; None when there is one."""
    set_aside: Path | None
    """Where objects edited by hand are now; None if there were none."""


def segment_run(run: Path, config: SegmentConfig) -> SegmentReport:
    """Segment the rendered views of `run` into `run/segment`.

    Centroids, merges and objects come from the input views that training saw and are shared by all views, so labels
    mean the same in every view without tracking. For each view, integer and coloured labels go to `final/` (objects),
    `no_salient/` (merged clusters, objects first and with the same numbers) and `no_merge_no_salient/` (clusters); what
    is shared goes to `model.npz` and `objects.json`.

    Raises:
        UserError: if the run has no rendered input views or a file of them is missing or damaged.
    """
    begin = time.perf_counter()
    renders = read_renders(run)
    inputs = renders.trained_inputs()
    if not inputs:
        raise UserError(f"{renders.folder / 'views.json'} must list input views, got none; render again.")
    clusters = fit_clusters(renders, inputs, config)
    labels = {view.id: clusters.nearest(renders, view) for view in renders.views}
    objects = find_objects(renders, inputs, labels, clusters, config)
    out = run / "segment"
    areas = [_write_view(out, renders, view, labels[view.id], (clusters, objects), config) for view in renders.views]
    _write_model(out, clusters, objects)
    set_aside = _set_aside(out / EDITED)
    save_json(out / "objects.json", _describe_objects(renders.views, np.stack(areas), objects))
    warning = None
    if not objects.n_objects:
        best = float(objects.votes.means.max())
        warning = (
            f"No cluster was voted an object: the largest mean {config.evidence} is {best:.3f}, the threshold "
            f"{objects.threshold:.3f}; lower vote_threshold or quorum. no_salient/ holds the clusters."
        )
    return SegmentReport(
        n_clusters=len(clusters.centroids),
        n_merged=int(objects.ids.max()),
        n_objects=objects.n_objects,
        objectives=clusters.objectives,
        n_views=len(renders.views),
        seconds=time.perf_counter() - begin,
        warning=warning,
        set_aside=set_aside,
    )


def _set_aside(edited: Path) -> Path | None:
    """What a person made of older clusters is kept, but says nothing of these."""
    if not edited.is_file():
        return None
    return edited.replace(edited.with_suffix(".before.json"))


def _write_view(
    out: Path,
    renders: Renders,
    view: View,
    labels: Int[Tensor, "height width"],
    model: tuple[Clusters, Objects],
    config: SegmentConfig,
) -> Int[np.ndarray, " n_objects"]:
    """Write the three label maps of a view; returns the pixels of each object."""
    clusters, objects = model
    merged = objects.ids[labels]
    final = torch.where(merged <= objects.n_objects, merged, 0).numpy()
    if objects.n_objects:
        chosen = torch.nonzero(objects.ids <= objects.n_objects)[:, 0]
        nearest = objects.ids[clusters.nearest(renders, view, chosen)].numpy()
        static = renders.dynamic(view) < config.rim_dynamic * objects.dynamic[labels]
        final = refine(final, nearest, static.numpy(), min_component=config.min_component)
    write_labels(out / "final", view.id, final)
    write_labels(out / "no_salient", view.id, merged.numpy())
    write_labels(out / "no_merge_no_salient", view.id, (labels + 1).numpy())
    return np.bincount(final.reshape(-1), minlength=objects.n_objects + 1)[1:]


def _write_model(out: Path, clusters: Clusters, objects: Objects) -> None:
    save_npz(
        out / "model.npz",
        centroids=clusters.centroids.numpy(),
        prototypes=clusters.prototypes.numpy(),
        objectives=np.asarray(clusters.objectives),
        roots=objects.roots.numpy(),
        ids=objects.ids.numpy(),
        n_objects=np.asarray(objects.n_objects),
    )


def _describe_objects(
    views: tuple[View, ...], areas: Int[np.ndarray, "n_views n_objects"], objects: Objects
) -> list[dict[str, object]]:
    """One entry per object: identity, colour, clusters, views seen, mean area in pixels where seen, vote."""
    colours = palette(objects.n_objects + 1)
    entries: list[dict[str, object]] = []
    for index in range(objects.n_objects):
        members = torch.nonzero(objects.ids == index + 1)[:, 0].tolist()
        root = int(objects.roots[members[0]])
        seen = areas[:, index] > 0
        entries.append(
            {
                "id": index + 1,
                "colour": colours[index + 1].tolist(),
                "clusters": members,
                "views": [view.id for view, is_seen in zip(views, seen, strict=True) if is_seen],
                "mean_area": float(areas[seen, index].mean()) if seen.any() else 0.0,
                "mean_evidence": float(objects.votes.means[root]),
                "votes": int(objects.votes.votes[root]),
                "voters": int(objects.votes.occurrences[root]),
            }
        )
    return entries
