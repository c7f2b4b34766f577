"""Statistics of segments against those of each segment alone."""

import torch

from saff_fast.losses.segments import segment_mean, segment_median

segments = torch.tensor([2, 0, 2, 2, 0, 4, 2, 0])


def test_medians_and_means_are_those_of_each_segment():
    values = torch.randn(8, dtype=torch.float64)
    medians, means = segment_median(values, segments, 5), segment_mean(values, segments, 5)
    for k in (0, 2, 4):
        mine = values[segments == k]
        assert medians[k] == mine.median()  # the lower one of the four of segment 2
        torch.testing.assert_close(means[k], mine.mean())
    assert means[1] == 0


def test_the_gradient_of_a_median_goes_to_that_value():
    values = torch.tensor([5.0, 3, 1, 9, 2, 7, 4, 8], requires_grad=True)
    segment_median(values, segments, 5)[[0, 2]].sum().backward()
    assert values.grad.tolist() == [0, 1, 0, 0, 0, 0, 1, 0]  # of 3 2 8 and of 5 1 9 4


def test_equal_values():
    assert segment_median(torch.ones(8), segments, 5)[[0, 2, 4]].tolist() == [1, 1, 1]
