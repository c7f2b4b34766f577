"""Final label maps: objects as voted, refined pixel by pixel, and their companions."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from saff_fast.segment.clusters import Clusters
from saff_fast.segment.companions import Companions
from saff_fast.segment.config import SegmentConfig
from saff_fast.segment.objects import Objects, read_evidence
from saff_fast.segment.refine import moving, refine
from saff_fast.segment.renders import Renders, View
from saff_fast.segment.rims import rims

_OFTEN = 0.5
"""Share of the views of an object that must show its companion."""

Labels = Int[np.ndarray, "height width"]


@dataclass(frozen=True)
class FinalLabels:
    """What a run is made of."""

    maps: dict[int, Labels]
    """Label maps by view, 0 = background. Voted objects come first, then companions."""
    companions: tuple[int, ...]
    """Objects that have a companion; of these the k-th, from 0 on, has the label `n_objects + 1 + k`."""


def final_labels(
    renders: Renders,
    views: list[View],
    labels: dict[int, Int[Tensor, "height width"]],
    model: tuple[Clusters, Objects],
    config: SegmentConfig,
) -> FinalLabels:
    """The final label maps of some views.

    Args:
        renders: The rendered run.
        views: What is wanted; trained input views must be among them.
        labels: Cluster of each pixel, by view.
        model: What makes clusters and objects of pixels.
        config: How rims, small pieces and companions are treated.
    """
    maps = {view.id: _object_labels(renders, view, labels[view.id], model, config) for view in views}
    n_objects = model[1].n_objects
    if config.rim_dynamic:
        lost = rims(maps[view.id] for view in renders.trained_inputs())
        maps = {k: np.where(np.isin(labels_of, lost), 0, labels_of) for k, labels_of in maps.items()}
    if not config.companion_quorum or not n_objects or renders.cameras is None:
        return FinalLabels(maps, ())
    found = Companions.find(renders, maps, config.companion_quorum, config.min_component)
    beside = {view.id: found.of(view, maps[view.id]) for view in views}
    trained = [view.id for view in renders.trained_inputs()]
    seen, accompanied = (
        sum(np.bincount(np.unique(part[k]), minlength=n_objects + 1) for k in trained) for part in (maps, beside)
    )
    often = [k for k in range(1, n_objects + 1) if accompanied[k] > _OFTEN * seen[k]]
    number = np.zeros(n_objects + 1, np.int64)
    number[often] = n_objects + 1 + np.arange(len(often))
    return FinalLabels({k: np.where(maps[k] > 0, maps[k], number[beside[k]]) for k in maps}, tuple(often))


def _object_labels(
    renders: Renders,
    view: View,
    labels: Int[Tensor, "height width"],
    model: tuple[Clusters, Objects],
    config: SegmentConfig,
) -> Int[np.ndarray, "height width"]:
    """The final label map of a view: objects, 0 = background.

    Args:
        renders: The rendered run.
        view: One of its views.
        labels: Cluster of each pixel.
        model: What makes clusters and objects of pixels.
        config: How the rim, movers that are in no object, and small pieces are treated.
    """
    clusters, objects = model
    if not objects.n_objects:
        return np.zeros(labels.shape, np.int64)
    chosen = torch.nonzero(objects.ids <= objects.n_objects)[:, 0]
    nearest = clusters.nearest(renders, view, chosen)
    evidence = read_evidence(renders, view, config.evidence)
    labels = nearest.where((objects.ids[labels] > objects.n_objects) & (evidence > objects.claim), labels)
    merged = objects.ids[labels]
    final = torch.where(merged <= objects.n_objects, merged, 0).numpy()
    enough = config.rim_dynamic * objects.dynamic[labels]
    dynamic, evident = ((values >= enough).numpy() & (final > 0) for values in (renders.dynamic(view), evidence))
    return refine(final, objects.ids[nearest].numpy(), moving(dynamic, evident), min_component=config.min_component)
