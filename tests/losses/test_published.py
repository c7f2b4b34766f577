"""The published losses on cases computed by hand."""

import math

import pytest
import torch

from saff_fast.losses import published

ONES = torch.ones(2)


def close(actual, expected):
    return math.isclose(float(actual), expected, rel_tol=1e-6)


def test_prob_reg_is_the_mean_over_samples_of_both():
    fw, bw = torch.tensor([0.2, 0.4, 9.0]), torch.tensor([0.1, 0.3, 9.0])
    assert close(published.prob_reg_loss(fw, bw, torch.tensor([1.0, 1.0, 0.0])), 0.5)


def test_cycle_is_a_mean_over_axes_and_trust():
    there, back = torch.tensor([[0.3, 0.0, 0.0], [1.0, 1.0, 1.0]]), torch.tensor([[0.0, 0.3, 0.0], [-1.0, -1.0, -1.0]])
    assert close(published.sf_cycle_loss(there, back, torch.tensor([1.0, 3.0])), 0.05)


def test_cycle_reaches_trust():
    trust = ONES.clone().requires_grad_()
    published.sf_cycle_loss(torch.tensor([[1.0] * 3, [0.0] * 3]), torch.zeros(2, 3), trust).backward()
    assert trust.grad[0] > 0 > trust.grad[1]


def test_reg_is_of_the_sum_over_samples_and_literally_of_the_sum_over_axes():
    weights = torch.tensor([[0.5, 0.25], [1.0, 0.0]])
    flows = torch.tensor([[[1.0, -1, 0], [-2.0, 2, 4]], [[0.0, 0, 3], [7.0, 7, 7]]])
    # Ray 0: sum over samples (0, 0, 1); ray 1: (0, 0, 3). Axes cancel in sample 0 of ray 0, where the sums are 0 and 4.
    assert close(published.sf_reg_loss((weights.unsqueeze(-1) * flows).sum(1)), 4 / 6)
    sums = (weights * flows.sum(-1).abs()).sum(1)
    assert close(published.sf_reg_loss_literal(sums, torch.tensor([2.0, 2.0])), (0 + 1 + 3 + 0) / 4)


def test_depth_by_hand():
    rendered, prior = torch.tensor([0.0, 0.1, 0.4]), torch.tensor([0.1, 0.2, 0.3])
    # Medians 0.1 and 0.2; deviations (-0.1, 0, 0.3) / (0.4 / 3) and (-0.1, 0, 0.1) / (0.2 / 3).
    expected = ((-0.75 + 1.5) ** 2 + (2.25 - 1.5) ** 2) / 3
    frames = torch.zeros(3, dtype=torch.int64)
    assert close(published.depth_loss(rendered, prior, frames, 1, torch.ones(3)), expected)


@pytest.fixture
def depths():
    frames = torch.tensor([0, 1, 0, 1, 0, 1, 0, 0, 3])
    rendered, prior = torch.rand(2, 9, dtype=torch.float64)
    return rendered, prior, frames


@pytest.mark.parametrize("which", [0, 1])
def test_depth_does_not_see_scale_and_shift_of_a_frame(depths, which):
    rendered, prior, frames = depths
    scale, shift = torch.tensor([0.3, 2.0, 1.0, 5.0]), torch.tensor([0.2, -0.5, 0.0, 1.0])
    changed = [rendered, prior]
    changed[which] = changed[which] * scale[frames] + shift[frames]
    mask = torch.ones(9, dtype=torch.float64)
    before, after = (published.depth_loss(*pair, frames, 4, mask) for pair in ((rendered, prior), changed))
    torch.testing.assert_close(after, before)
    reversed_prior = published.depth_loss(rendered, -prior, frames, 4, mask)
    assert not torch.isclose(reversed_prior, before)


def test_depth_of_mixed_frames_is_that_of_each_frame(depths):
    rendered, prior, frames = depths
    mask = torch.ones(9, dtype=torch.float64)
    alone = [
        published.depth_loss(rendered[mine], prior[mine], frames[mine], 4, mask[mine]) * mine.sum()
        for mine in (frames == k for k in (0, 1, 3))
    ]
    torch.testing.assert_close(published.depth_loss(rendered, prior, frames, 4, mask), sum(alone) / 9)


def test_depth_that_is_not_known_enters_nothing(depths):
    rendered, prior, frames = depths
    mask = torch.tensor([1.0, 1, 0, 1, 1, 1, 1, 1, 0], dtype=torch.float64)
    known = mask > 0
    expected = published.depth_loss(rendered[known], prior[known], frames[known], 4, mask[known])
    torch.testing.assert_close(published.depth_loss(rendered, prior, frames, 4, mask), expected)


def test_depth_of_a_flat_frame_is_finite():
    rendered, frames = torch.full((4,), 0.5, requires_grad=True), torch.tensor([0, 0, 0, 1])
    loss = published.depth_loss(rendered, torch.tensor([0.1, 0.2, 0.3, 0.4]), frames, 2, torch.ones(4))
    loss.backward()
    assert loss.isfinite()
    assert rendered.grad.isfinite().all()


def test_flow_is_in_pixels_a_coordinate():
    projected, seen = torch.tensor([[3.0, 4.0], [100.0, 0.0]]), torch.zeros(2, 2)
    assert close(published.flow_loss(projected, seen, torch.tensor([1.0, 0.0])), 3.5)


def test_spatial_smoothness_by_hand():
    displacements = torch.tensor([[0.0, 0, 0], [3.0, 0, 0], [3.0, 3, 0]])
    assert close(published.sf_sm_loss_spatial(displacements, torch.tensor([1.0, 1.0])), 1.0)
    assert close(published.sf_sm_loss_spatial(displacements, torch.tensor([1.0, 0.0])), 1.0)
    assert published.sf_sm_loss_spatial(displacements, torch.tensor([0.0, 0.0])) == 0


def test_kinetic_is_half_the_squared_acceleration():
    forward, backward = torch.tensor([[1.0, 2, 0], [5.0, 5, 5]]), torch.tensor([[-1.0, 1, 0], [-5.0, -5, -5]])
    assert close(published.sf_sm_loss_kinetic(forward, backward, ONES), 9 / 2 / 6)


def test_entropy_has_two_sides_and_literally_one():
    v = torch.tensor([0.5, 0.5])
    assert close(published.entropy_loss(v, ONES), math.log(2))
    assert close(published.entropy_loss_literal(v, ONES), math.log(2) / 2)
    both = [published.entropy_loss(torch.full((2,), x), ONES) for x in (0.2, 0.8)]
    assert close(*both)
    literal = [published.entropy_loss_literal(torch.full((2,), x), ONES) for x in (0.2, 0.8)]
    assert literal[0] > 1.5 * literal[1]
