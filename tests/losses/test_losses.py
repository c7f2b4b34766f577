"""Losses on cases computed by hand, and which inputs they reach."""

import math

import torch

from saff_fast.losses import geometry, motion, separation
from saff_fast.losses.reconstruction import reconstruction
from saff_fast.losses.reductions import masked_mean
from saff_fast.types import RenderOutputs


def rendered(rgb, saliency, semantic):
    n = len(rgb)
    return RenderOutputs(rgb, torch.zeros(n), torch.ones(n), torch.zeros(n), saliency, semantic)


def test_reconstruction_by_hand():
    outputs = rendered(torch.tensor([[0.0, 0, 0], [1, 1, 1]]), torch.tensor([0.5, 0]), torch.ones(2, 4))
    terms = reconstruction(outputs, torch.zeros(2, 3), torch.zeros(2, 4), torch.zeros(2), torch.tensor([1.0, 3.0]))
    assert math.isclose(terms["rgb"], 0.75, rel_tol=1e-6)
    assert math.isclose(terms["saliency"], 0.25 / 4, rel_tol=1e-6)
    assert math.isclose(terms["semantic"], 1.0, rel_tol=1e-6)


def test_without_semantics_there_is_no_semantic_term():
    outputs = rendered(torch.zeros(2, 3), torch.zeros(2), torch.zeros(2, 0))
    assert "semantic" not in reconstruction(outputs, torch.zeros(2, 3), torch.zeros(2, 0), torch.zeros(2))


def test_masked_mean_of_an_empty_mask_is_zero():
    assert masked_mean(torch.ones(3), torch.zeros(3)) == 0


def test_masked_mean_carries_gradients_to_its_mask():
    mask = torch.ones(2, requires_grad=True)
    masked_mean(torch.tensor([0.0, 1.0]), mask).backward()
    assert mask.grad[1] > 0 > mask.grad[0]


def test_depth_cannot_be_lowered_by_transparency():
    prior, sure = torch.tensor([0.5]), torch.ones(1)
    opaque = geometry.depth(torch.tensor([0.4]), torch.ones(1), prior, sure)
    hollow = geometry.depth(torch.tensor([0.0]), torch.zeros(1), prior, sure)
    assert math.isclose(opaque, 0.1, rel_tol=1e-6)
    assert math.isclose(hollow, 0.5, rel_tol=1e-6)


def test_spread_is_the_standard_deviation_along_the_ray_however_opaque():
    depth, squares = torch.tensor([0.5, 0.25, 0.3]), torch.tensor([0.26, 0.13, 0.09])  # 0.4 and 0.6, halves; 0.3
    for rows, expected in (([0], 0.1), ([1], 0.1), ([2], 0.0), ([0, 1, 2], (0.1 + 0.05) / 2.5)):
        opacity = torch.tensor([1.0, 0.5, 1.0])[rows]
        assert math.isclose(geometry.spread(depth[rows], squares[rows], opacity), expected, abs_tol=4e-3)
    assert geometry.spread(torch.zeros(1), torch.zeros(1), torch.zeros(1)) == 0


def test_spread_of_a_sharp_surface_has_a_finite_gradient():
    depth = torch.tensor([0.3], requires_grad=True)
    geometry.spread(depth, torch.tensor([0.09]), torch.ones(1)).backward()
    assert depth.grad.isfinite().all()


def test_optical_flow_is_in_image_widths_and_bounded():
    projected, seen = torch.tensor([[3.0, 4.0], [1000, 0]]), torch.zeros(2, 2)
    assert math.isclose(motion.optical_flow(projected, seen, torch.tensor([1.0, 0]), 100), 0.07, rel_tol=1e-6)
    assert math.isclose(motion.optical_flow(projected, seen, torch.tensor([0.0, 1]), 100), 0.1, rel_tol=1e-6)


def test_cycle_and_kinetic_vanish_for_uniform_motion():
    flow, ones = torch.rand(5, 3), torch.ones(5)
    assert motion.cycle(flow, -flow, torch.zeros(5), ones) == 0
    assert motion.kinetic(flow, -flow, ones) == 0
    assert motion.kinetic(flow, flow, ones) > 0


def test_pull_back_counts_only_neighbours_that_exist():
    outside = torch.tensor([[0.2, 0.0], [5.0, 0.4]])
    assert math.isclose(motion.pull_back(outside, torch.tensor([[1.0, 1.0], [0.0, 1.0]])), 0.2, rel_tol=1e-6)


def test_smoothness_ignores_the_gap_between_rays():
    flows = torch.tensor([[0.0, 0, 0], [0, 0, 0], [1, 1, 1], [1, 1, 1]])
    assert motion.smoothness(flows, torch.tensor([0, 0, 1, 1]), torch.ones(4)) == 0
    assert motion.smoothness(flows, torch.tensor([0, 0, 0, 0]), torch.ones(4)) == 1


def test_entropy_is_least_at_both_ends():
    ends = separation.blend_entropy(torch.tensor([0.0, 1.0]), torch.ones(2))
    middle = separation.blend_entropy(torch.tensor([0.5, 0.5]), torch.ones(2))
    assert math.isclose(middle, math.log(2), rel_tol=1e-5)
    assert ends < 0.01


def test_motion_evidence_by_hand():
    missing, present = separation.motion_evidence(
        torch.tensor([0.25, 0.65, 0.3]), torch.tensor([1.0, 0.0, 0.0]), torch.tensor([1.0, 0.5, 1.0]), 0.3
    )
    assert math.isclose(missing, 0.25)
    assert math.isclose(present, 0.25 / 3, rel_tol=1e-6)  # half of the way from 0.3 to 1, half known


def test_motion_unfounded_by_hand():
    blends, weights = torch.tensor([0.65, 1.0, 0.2, 1.0]), torch.tensor([1.0, 0.5, 1.0, 1.0])
    unfounded = separation.motion_unfounded(blends, weights, torch.tensor([0.0, 0.0, 0.0, 1.0]), 2, 0.3)
    assert math.isclose(unfounded, 0.5, rel_tol=1e-6)


def test_a_small_dynamic_share_is_free_where_no_motion_was_seen():
    blends = torch.tensor([0.0, 0.1, 0.29], requires_grad=True)
    still, ones = torch.zeros(3), torch.ones(3)
    present = separation.motion_evidence(blends, still, ones, 0.3)[1]
    loss = present + separation.motion_unfounded(blends, ones, still, 3, 0.3)
    loss.backward()
    assert loss.item() == 0
    torch.testing.assert_close(blends.grad, torch.zeros(3))


def test_the_static_field_explains_what_it_misses_no_more_than_usual():
    errors = torch.tensor([0.01, 0.01, 0.01, 0.09, 1.0, 0.01])
    motion = torch.tensor([0.0, 0.0, 0.0, 1.0, 1.0, 1.0])
    explained = separation.static_fit(errors, motion).explained
    assert math.isclose(explained[3], 0.5, rel_tol=1e-5)
    assert explained[4] < 0.01
    assert explained[5] > 0.98


def test_the_static_field_is_pulled_as_by_the_difference_itself():
    errors = torch.tensor([0.01, 0.01, 0.01, 0.27, 1e4, 4e4])
    pull = separation.static_fit(errors, torch.tensor([0.0, 0.0, 0.0, 1.0, 1.0, 1.0])).pull
    assert math.isclose(pull[3], 0.5, rel_tol=1e-5)
    assert math.isclose(pull[5] * errors[5], 2 * pull[4] * errors[4], rel_tol=1e-4)  # four times the square


def test_where_everything_moves_the_usual_error_is_that_of_all():
    assert math.isclose(separation.static_fit(torch.full((3,), 0.2), torch.ones(3)).explained[0], 81 / 82, rel_tol=1e-5)
