"""Segmentation of a rendered run, from features to files."""

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int
from torch import Tensor

from saff_fast.errors import UserError
from saff_fast.files import save_json, save_npz
from saff_fast.segment.clusters import Clusters, fit_clusters
from saff_fast.segment.config import SegmentConfig
from saff_fast.segment.final import final_labels
from saff_fast.segment.labels import EDITED, write_labels
from saff_fast.segment.objects import Objects, find_objects
from saff_fast.segment.oracle import read_oracle
from saff_fast.segment.renders import Renders, read_renders
from saff_fast.segment.table import ObjectTable


@dataclass(frozen=True)
class SegmentReport:
    """What `segment_run` found."""

    n_clusters: int
    n_merged: int
    """Labels after merging."""
    objects: list[dict[str, Any]]
    """What is known of each, see `ObjectTable.entries`."""
    objectives: tuple[float, ...]
    n_views: int
    seconds: float
    warning: str | None
    """Why there is no object, and what to change; None when there is one."""
    set_aside: Path | None
    """Where objects edited by hand are now; None if there were none."""

    @property
    def n_objects(self) -> int:
        """How many there are."""
        return len(self.objects)


def segment_run(run: Path, config: SegmentConfig, oracle: Path | None = None) -> SegmentReport:
    """Segment the rendered views of `run` into `run/segment`.

    Centroids, merges and objects come from the input views that training saw and are shared by all views, so labels
    mean the same in every view without tracking. What stands still with an object in all views is an object, too
    (`companions`), where the renders know their cameras. For each view, integer and coloured labels go to `final/`
    (objects), `no_salient/` (merged clusters, voted objects first and with the same numbers) and `no_merge_no_salient/`
    (clusters); what is shared goes to `model.npz` and `objects.json`, and how it was made to `segment.json`.

    Args:
        run: The run folder.
        config: The settings.
        oracle: True foreground of view 0, which then decides in place of votes (see `read_oracle`).

    Raises:
        UserError: if the run has no rendered input views or a file of them is missing or damaged, or the oracle is.
    """
    begin = time.perf_counter()
    renders = read_renders(run)
    inputs = renders.trained_inputs()
    if not inputs:
        raise UserError(f"{renders.folder / 'views.json'} must list input views, got none; render again.")
    clusters = fit_clusters(renders, inputs, config)
    labels = {view.id: clusters.nearest(renders, view) for view in renders.views}
    known = None if oracle is None else read_oracle(oracle, renders)
    objects = find_objects(renders, inputs, labels, clusters, config, known)
    entries = _write(run / "segment", renders, labels, (clusters, objects), config)
    set_aside = _set_aside(run / "segment" / EDITED)
    save_json(run / "segment" / "segment.json", {"oracle": oracle and oracle.name, "config": asdict(config)})
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
        objects=entries,
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


def _write(
    out: Path,
    renders: Renders,
    labels: dict[int, Int[Tensor, "height width"]],
    model: tuple[Clusters, Objects],
    config: SegmentConfig,
) -> list[dict[str, Any]]:
    """Write the three label maps of each view, what they come from, and the table of objects; returns the latter."""
    clusters, objects = model
    final = final_labels(renders, list(renders.views), labels, model, config)
    table = ObjectTable(renders, objects, final.companions)
    for view in renders.views:
        table.add(view, final.maps[view.id])
        write_labels(out / "final", view.id, final.maps[view.id])
        write_labels(out / "no_salient", view.id, objects.ids[labels[view.id]].numpy())
        write_labels(out / "no_merge_no_salient", view.id, (labels[view.id] + 1).numpy())
    _write_model(out, clusters, objects)
    entries = table.entries()
    save_json(out / "objects.json", entries)
    return entries


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
