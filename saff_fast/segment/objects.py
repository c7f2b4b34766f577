"""From clusters to objects: vote, merge, numbering."""

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from saff_fast.segment.clusters import Clusters
from saff_fast.segment.config import Evidence, SegmentConfig
from saff_fast.segment.merge import merge_map
from saff_fast.segment.oracle import Oracle
from saff_fast.segment.renders import View, ViewMaps
from saff_fast.segment.vote import Votes, vote

_HIGH = 0.8


@dataclass(frozen=True)
class Objects:
    """What turns a cluster into an object."""

    roots: Int[Tensor, " k"]
    """Cluster that each cluster was merged into."""
    ids: Int[Tensor, " k"]
    """Label of each cluster after merging, from 1; those up to `n_objects` are objects, by falling area."""
    n_objects: int
    votes: Votes
    """Outcome by root cluster."""
    threshold: float
    """Mean evidence that a view had to exceed."""
    dynamic: Float[Tensor, " k"]
    """What the dynamic share of each cluster's pixels is to be compared with: that of the most dynamic object, where
    objects are what moves, else its own, where it is highest."""
    claim: float
    """Evidence above which a pixel of another cluster is of an object, the nearest; infinite where none is."""


def find_objects(
    renders: ViewMaps,
    views: list[View],
    labels: dict[int, Tensor],
    clusters: Clusters,
    config: SegmentConfig,
    oracle: Oracle | None = None,
) -> Objects:
    """Vote over the views on the clusters in `labels` (by view id), merge them, and number what results.

    Where there is an oracle, it decides in place of the votes.
    """
    k = len(clusters.centroids)
    evidence = {view.id: read_evidence(renders, view, config.evidence) for view in views}
    singles = torch.arange(k)

    def elect(roots: Tensor, threshold: float) -> Votes:
        pairs = ((roots[labels[view.id]], evidence[view.id]) for view in views)
        votes = vote(
            pairs,
            k,
            threshold=threshold,
            quorum=config.quorum,
            min_share=config.min_label_share,
            quorum_of=config.quorum_of,
        )
        if oracle is None:
            return votes
        return replace(votes, elected=oracle.elect(roots[labels[oracle.view]], k, config.oracle_share))

    strongest = float(elect(singles, config.vote_threshold).means.max())
    threshold = max(config.vote_threshold, config.relative_threshold * strongest)
    groups = elect(singles, threshold).elected if config.vote_first else None
    roots = merge_map(clusters.centroids, config.merge_cosine, None if groups is None else groups.long())
    votes = elect(roots, threshold)
    # The groups decide when they were formed first: a merged label's own vote could differ from its parts'.
    elected = votes.elected if groups is None else groups[roots]
    areas = torch.zeros(k, dtype=torch.int64)
    for view in views:
        areas += torch.bincount(roots[labels[view.id]].reshape(-1), minlength=k)
    dynamic = _high_dynamic(renders, views, labels, k)
    claim = math.inf
    if oracle is None and config.evidence != "saliency" and elected.any():
        highest = dynamic[elected].max()
        dynamic[elected] = highest
        if config.claim_dynamic:
            claim = max(config.claim_dynamic * float(highest), threshold)
    is_root = roots == singles
    order = sorted(singles[is_root].tolist(), key=lambda c: (not elected[c], -int(areas[c]), c))
    numbers = torch.zeros(k, dtype=torch.int64)
    numbers[order] = torch.arange(1, len(order) + 1)
    return Objects(
        roots,
        numbers[roots],
        int((is_root & elected).sum()),
        votes,
        threshold,
        dynamic,
        claim,
    )


def read_evidence(renders: ViewMaps, view: View, kind: Evidence) -> Float[Tensor, "height width"]:
    """What a view votes by, in [0, 1]."""
    if kind == "motion":
        return renders.moving(view)
    saliency = renders.grey(view, "sal")
    return saliency * renders.moving(view) if kind == "moving_saliency" else saliency


def _high_dynamic(renders: ViewMaps, views: list[View], labels: dict[int, Tensor], k: int) -> Float[Tensor, " k"]:
    """Dynamic share that a fifth of each cluster's pixels over `views` exceed, of 256 steps; 0 for an empty cluster.

    Not the median: semantics spill over edges so far that more than half of a cluster can be background.
    """
    histogram = torch.zeros(k * 256, dtype=torch.int64)
    for view in views:
        steps = (renders.dynamic(view) * 255).round().long()
        histogram += torch.bincount((labels[view.id] * 256 + steps).reshape(-1), minlength=k * 256)
    counts = histogram.view(k, 256).cumsum(1)
    return (counts < _HIGH * counts[:, -1:]).sum(1) / 255
