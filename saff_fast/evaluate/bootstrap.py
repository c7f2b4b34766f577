"""Bootstrap intervals of means."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray

CONFIDENCE = 0.95
N_RESAMPLES = 1000


def mean_interval(values: Float[ndarray, " n"], seed: int) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean (Efron 1979): 95 % of the means of 1000 resamples lie inside.

    Frames of one scene resemble one another, so what is resampled tells how the mean depends on the frames chosen, not
    on the scene.

    Args:
        values: At least one; of one value the interval is that value.
        seed: Of the resampling.
    """
    drawn = np.random.default_rng(seed).integers(0, len(values), (N_RESAMPLES, len(values)))
    low, high = np.quantile(values[drawn].mean(axis=1), [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)
