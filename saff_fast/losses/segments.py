"""Statistics of the parts of a batch that belong together, such as the rays of one frame."""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def segment_mean(
    values: Float[Tensor, " n"], segments: Int[Tensor, " n"], n_segments: int
) -> Float[Tensor, " n_segments"]:
    """Mean of the values of each segment; zero for one without values."""
    sums, counts = (values.new_zeros(n_segments).index_add(0, segments, x) for x in (values, torch.ones_like(values)))
    return sums / counts.clamp_min(1)


def segment_median(
    values: Float[Tensor, " n"], segments: Int[Tensor, " n"], n_segments: int
) -> Float[Tensor, " n_segments"]:
    """Lower median of the values of each segment, as `torch.median` takes it.

    Differentiable: the gradient goes to the value that is the median. Nothing waits for the device.

    Args:
        values: At least one.
        segments: Segment of each value, in [0, n_segments).
        n_segments: Their number.

    Returns:
        The medians; for a segment without values, some value.

    Example:
        >>> segment_median(torch.tensor([4.0, 1.0, 3.0, 2.0, 9.0]), torch.tensor([0, 0, 0, 0, 2]), 3)[[0, 2]]
        tensor([2., 9.])
    """
    by_value = values.detach().argsort(stable=True)
    order = by_value[segments[by_value].argsort(stable=True)]
    counts = torch.zeros_like(segments[:1]).repeat(n_segments).index_add(0, segments, torch.ones_like(segments))
    middle = counts.cumsum(0) - counts + (counts - 1).clamp_min(0) // 2
    return values[order[middle.clamp_max(len(values) - 1)]]
