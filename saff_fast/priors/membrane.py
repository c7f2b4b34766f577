"""Interpolation that stops at edges of colour."""

import numpy as np
import scipy.sparse
import scipy.sparse.linalg
from jaxtyping import Float

COLOUR_SCALE = 0.04
"""Colour difference, of 1, over which neighbours cease to be alike."""


def membrane(
    weight: Float[np.ndarray, "h w"],
    weighted: Float[np.ndarray, "h w"],
    guide: Float[np.ndarray, "h w 3"],
    smoothness: float,
) -> Float[np.ndarray, "h w"]:
    """Values that keep to what is known and change least between alike neighbours (Levin et al., SIGGRAPH 2004).

    Minimiser of `sum weight (d - s)^2 + sum stiffness (d_p - d_q)^2` over pixels and pairs of 4-neighbours.

    Args:
        weight: Trust in what is known of each pixel; not 0 everywhere.
        weighted: What is known, times that trust: `weight s`.
        guide: Colours, 0 to 1.
        smoothness: Stiffness between neighbours of one colour.
    """
    height, width = weight.shape
    index = np.arange(height * width).reshape(height, width)
    pairs, stiffness = [], []
    for a, b in ((np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1], np.s_[1:])):
        difference = np.abs(guide[a] - guide[b]).max(-1)
        pairs.append(np.stack([index[a].ravel(), index[b].ravel()]))
        stiffness.append(smoothness * (np.exp(-difference / COLOUR_SCALE) + 1e-3).ravel())
    (p, q), s = np.concatenate(pairs, axis=1), np.concatenate(stiffness)
    n = height * width
    edges = scipy.sparse.coo_matrix((np.concatenate([s, s]), (np.concatenate([p, q]), np.concatenate([q, p]))), (n, n))
    diagonal = weight.ravel() + np.asarray(edges.sum(1)).ravel()
    system = (scipy.sparse.diags(diagonal) - edges).tocsc()
    return scipy.sparse.linalg.spsolve(system, weighted.ravel(), permc_spec="MMD_AT_PLUS_A").reshape(height, width)
