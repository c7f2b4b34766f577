"""Which labels are objects: every view votes."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Votes:
    """Outcome of a vote over labels."""

    occurrences: Int[Tensor, " n_labels"]
    """Views in which the label occurs."""
    votes: Int[Tensor, " n_labels"]
    """Views whose mean evidence over the label's pixels exceeds the threshold."""
    elected: Bool[Tensor, " n_labels"]
    """Labels with enough votes."""
    means: Float[Tensor, " n_labels"]
    """Mean evidence over all pixels of the label in all views; zero for a label without pixels."""


def vote(
    views: Iterable[tuple[Int[Tensor, "height width"], Float[Tensor, "height width"]]],
    n_labels: int,
    *,
    threshold: float,
    quorum: float,
    min_share: float,
    quorum_of: Literal["seen", "all"] = "seen",
) -> Votes:
    """Elect the labels whose mean evidence exceeds `threshold` in enough views.

    Of all views (published), an object that is seen in few of them is always lost.

    Args:
        views: Labels in [0, n_labels) and evidence (saliency, say) of each voting view.
        n_labels: Number of labels.
        threshold: Mean evidence over a label's pixels that a view must exceed to vote for it; published 0.07.
        quorum: Share of the views that must vote for a label, in (0, 1]; published 0.7.
        min_share: A label occurs in a view when it has at least this share of its pixels, and at least one.
        quorum_of: Whether it is a share of the views in which the label occurs, or of all.
    """
    occurrences = torch.zeros(n_labels, dtype=torch.int64)
    votes, pixels, totals = occurrences.clone(), occurrences.clone(), torch.zeros(n_labels, dtype=torch.float64)
    n_views = 0
    for labels, evidence in views:
        n_views += 1
        flat = labels.reshape(-1)
        counts = torch.bincount(flat, minlength=n_labels)
        sums = torch.bincount(flat, weights=evidence.reshape(-1).double(), minlength=n_labels)
        occurs = counts >= max(1.0, min_share * flat.numel())
        occurrences += occurs
        votes += occurs & (sums > threshold * counts)
        pixels += counts
        totals += sums
    # Integers, and a hair below the product, so that 0.7 of 10 views is 7 in spite of rounding.
    asked = occurrences if quorum_of == "seen" else torch.full_like(occurrences, n_views)
    needed = torch.ceil(quorum * asked.double() - 1e-9).long().clamp_min(1)
    return Votes(occurrences, votes, votes >= needed, totals / pixels.clamp_min(1))
