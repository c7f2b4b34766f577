"""Segmentation of a rendered run, from features to files."""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from saff_fast.errors import UserError
from saff_fast.files import save_json, save_npz
from saff_fast.segment.config import SegmentConfig
from saff_fast.segment.elbow import elbow
from saff_fast.segment.kmeans import assign
from saff_fast.segment.labels import palette, write_labels
from saff_fast.segment.merge import merge_map
from saff_fast.segment.refine import refine
from saff_fast.segment.renders import Renders, View, read_renders
from saff_fast.segment.vote import Votes, vote


@dataclass(frozen=True)
class SegmentModel:
    """Shared by all views: what turns a pixel's feature into a cluster and a cluster into an object."""

    centroids: Float[Tensor, "k d"]
    objectives: tuple[float, ...]
    """J_1, J_2, ... of the elbow search."""
    roots: Int[Tensor, " k"]
    """Cluster that each cluster was merged into."""
    ids: Int[Tensor, " k"]
    """Label of each cluster after merging, from 1; those up to `n_objects` are objects, by falling area."""
    n_objects: int
    votes: Votes
    """Outcome by root cluster."""


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


def segment_run(run: Path, config: SegmentConfig) -> SegmentReport:
    """Segment the rendered views of `run` into `run/segment`.

    Centroids, merges and objects come from the input views that training saw and are shared by all views, so labels
    mean the same in every view without tracking. Writes for each view integer and coloured labels in `final/`
    (objects),
    `no_salient/` (merged clusters, objects first and with the same numbers) and `no_merge_no_salient/` (clusters), and
    `model.npz` and `objects.json`.

    Raises:
        UserError: if the run has no rendered input views or a file of them is missing or damaged.
    """
    begin = time.perf_counter()
    renders = read_renders(run)
    inputs = renders.trained_inputs()
    if not inputs:
        raise UserError(f"{renders.folder / 'views.json'} must list input views, got none; render again.")
    fit = elbow(_fit_points(renders, inputs, config), config.kmeans, ratio=config.elbow_ratio, k_max=config.k_max)
    centroids = fit.clustering.centroids
    clusters = {view.id: _cluster(renders, view, centroids, config) for view in renders.views}
    model = _build_model(renders, inputs, clusters, fit.clustering.centroids, fit.objectives, config)
    out = run / "segment"
    areas = [_write_view(out, renders, view, clusters[view.id], model, config) for view in renders.views]
    _write_model(out, model)
    save_json(out / "objects.json", _describe_objects(renders.views, np.stack(areas), model))
    warning = None
    if not model.n_objects:
        best = float(model.votes.means.max())
        warning = (
            f"No cluster was voted an object: the largest mean {config.evidence} is {best:.3f}, the threshold "
            f"{config.vote_threshold}; lower vote_threshold or quorum. no_salient/ holds the clusters."
        )
    return SegmentReport(
        n_clusters=len(centroids),
        n_merged=int(model.ids.max()),
        n_objects=model.n_objects,
        objectives=fit.objectives,
        n_views=len(renders.views),
        seconds=time.perf_counter() - begin,
        warning=warning,
    )


def _features(renders: Renders, view: View, config: SegmentConfig) -> Float[Tensor, "n_pixels d"]:
    """Unit semantic vectors, with the weighted dynamic share as last column when it is in use."""
    semantics = F.normalize(renders.semantics(view).float().flatten(0, 1), dim=1)
    if not config.motion_weight:
        return semantics
    return torch.cat([semantics, config.motion_weight * renders.grey(view, "blend").reshape(-1, 1)], dim=1)


def _fit_points(renders: Renders, inputs: list[View], config: SegmentConfig) -> Float[Tensor, "n d"]:
    generator = torch.Generator().manual_seed(config.kmeans.seed)
    n_pixels = renders.height * renders.width
    n_drawn = -(-n_pixels // config.sample_interval)
    parts = []
    for view in inputs:
        # A regular stride would see few columns when the width is a multiple of it.
        drawn = torch.randperm(n_pixels, generator=generator)[:n_drawn]
        parts.append(_features(renders, view, config)[drawn])
    return torch.cat(parts)


def _cluster(
    renders: Renders, view: View, centroids: Float[Tensor, "k d"], config: SegmentConfig
) -> Int[Tensor, "height width"]:
    labels, _ = assign(_features(renders, view, config), centroids)
    return labels.reshape(renders.height, renders.width)


def _evidence(renders: Renders, view: View, config: SegmentConfig) -> Float[Tensor, "height width"]:
    if config.evidence == "dynamic":
        return renders.grey(view, "blend")
    saliency = renders.grey(view, "sal")
    return saliency * renders.grey(view, "blend") if config.evidence == "dynamic_saliency" else saliency


def _build_model(
    renders: Renders,
    inputs: list[View],
    clusters: dict[int, Tensor],
    centroids: Float[Tensor, "k d"],
    objectives: tuple[float, ...],
    config: SegmentConfig,
) -> SegmentModel:
    k = len(centroids)
    semantic = centroids[:, :-1] if config.motion_weight else centroids

    def elect(roots: Tensor) -> Votes:
        views = ((roots[clusters[view.id]], _evidence(renders, view, config)) for view in inputs)
        limits = {"threshold": config.vote_threshold, "quorum": config.quorum, "min_share": config.min_label_share}
        return vote(views, k, **limits)

    groups = elect(torch.arange(k)).elected if config.vote_first else None
    roots = merge_map(semantic, config.merge_cosine, None if groups is None else groups.long())
    votes = elect(roots)
    # The groups decide when they were formed first: a merged label's own vote could differ from its parts'.
    elected = votes.elected if groups is None else groups[roots]
    areas = torch.zeros(k, dtype=torch.int64)
    for view in inputs:
        areas += torch.bincount(roots[clusters[view.id]].reshape(-1), minlength=k)
    is_root = roots == torch.arange(k)
    order = sorted(torch.nonzero(is_root)[:, 0].tolist(), key=lambda c: (not elected[c], -int(areas[c]), c))
    numbers = torch.zeros(k, dtype=torch.int64)
    numbers[order] = torch.arange(1, len(order) + 1)
    return SegmentModel(centroids, objectives, roots, numbers[roots], int((is_root & elected).sum()), votes)


def _write_view(
    out: Path, renders: Renders, view: View, clusters: Tensor, model: SegmentModel, config: SegmentConfig
) -> Int[np.ndarray, " n_objects"]:
    """Write the three label maps of a view; returns the pixels of each object."""
    merged = model.ids[clusters]
    objects = torch.where(merged <= model.n_objects, merged, 0)
    if model.n_objects:
        chosen = torch.nonzero(model.ids <= model.n_objects)[:, 0]
        nearest, _ = assign(_features(renders, view, config), model.centroids[chosen])
        final = refine(
            objects.numpy(),
            model.ids[chosen][nearest].reshape(clusters.shape).numpy(),
            renders.grey(view, "blend").numpy(),
            keep_above=config.keep_above,
            adopt_above=config.adopt_above,
            min_component=config.min_component,
        )
    else:
        final = objects.numpy()
    write_labels(out / "final", view.id, final)
    write_labels(out / "no_salient", view.id, merged.numpy())
    write_labels(out / "no_merge_no_salient", view.id, (clusters + 1).numpy())
    return np.bincount(final.reshape(-1), minlength=model.n_objects + 1)[1:]


def _write_model(out: Path, model: SegmentModel) -> None:
    save_npz(
        out / "model.npz",
        centroids=model.centroids.numpy(),
        objectives=np.asarray(model.objectives),
        roots=model.roots.numpy(),
        ids=model.ids.numpy(),
        n_objects=np.asarray(model.n_objects),
    )


def _describe_objects(
    views: tuple[View, ...], areas: Int[np.ndarray, "n_views n_objects"], model: SegmentModel
) -> list[dict[str, object]]:
    """One entry per object: identity, colour, clusters, views seen, mean area in pixels where seen, vote."""
    colours = palette(model.n_objects + 1)
    entries: list[dict[str, object]] = []
    for index in range(model.n_objects):
        members = torch.nonzero(model.ids == index + 1)[:, 0].tolist()
        root = int(model.roots[members[0]])
        seen = areas[:, index] > 0
        entries.append(
            {
                "id": index + 1,
                "colour": colours[index + 1].tolist(),
                "clusters": members,
                "views": [view.id for view, is_seen in zip(views, seen, strict=True) if is_seen],
                "mean_area": float(areas[seen, index].mean()) if seen.any() else 0.0,
                "mean_evidence": float(model.votes.means[root]),
                "votes": int(model.votes.votes[root]),
                "voters": int(model.votes.occurrences[root]),
            }
        )
    return entries
