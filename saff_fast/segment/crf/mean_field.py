"""Mean field of the dense CRF with exact kernels, in plain torch: for GPUs, and for small pictures anywhere."""

import torch
from jaxtyping import Float
from torch import Tensor

from saff_fast.segment.crf.energy import PairwiseTerm

_TILE_ENTRIES = 2**25
"""Entries of the kernel matrix held at once."""


def mean_field(
    unary: Float[Tensor, "n_pixels n_labels"], terms: list[PairwiseTerm], n_iterations: int
) -> Float[Tensor, "n_pixels n_labels"]:
    """Marginals after some updates (Krähenbühl and Koltun 2011, algorithm 1, Potts compatibility).

    `Q <- softmax(-U + sum_m w_m D_m^-1/2 K_m D_m^-1/2 Q)` from `Q = softmax(-U)`, where D holds the sums of the rows of
    K. A pixel's message to itself is among them, as in the authors' code. The kernels are exact and made anew, tile by
    tile, in every update: time grows with the square of the pixels, memory does not.

    Args:
        unary: Energy of each label; its device and type are those of the result.
        terms: The pairwise terms.
        n_iterations: Updates.
    """
    features = [_centred(term.features.to(unary)) for term in terms]
    ones = unary.new_ones(len(unary), 1)
    scales = [_filtered(f, ones).rsqrt() for f in features]
    marginals = torch.softmax(-unary, dim=1)
    for _ in range(n_iterations):
        logits = -unary
        for term, f, scale in zip(terms, features, scales, strict=True):
            logits = logits + term.weight * scale * _filtered(f, scale * marginals)
        marginals = torch.softmax(logits, dim=1)
    return marginals


def _centred(features: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    """About their mean: the squares below then cancel less."""
    return features - features.mean(dim=0)


def _filtered(features: Float[Tensor, "n d"], values: Float[Tensor, "n c"]) -> Float[Tensor, "n c"]:
    """`K values` with the Gaussian kernel of the features."""
    squares = features.square().sum(dim=1)
    parts = []
    for rows in torch.arange(len(features), device=features.device).split(max(1, _TILE_ENTRIES // len(features))):
        exponent = features[rows] @ features.T - 0.5 * (squares[rows, None] + squares)
        parts.append(exponent.clamp_max_(0).exp_() @ values)
    return torch.cat(parts)
