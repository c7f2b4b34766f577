import numpy as np
import torch

from saff_fast.geometry.cameras import Cameras
from saff_fast.priors.plane_sweep import MAX_WITNESSES, N_DEPTHS, choose_witnesses, sweep

DEPTHS = (0.15, 0.4)
STILL = np.zeros((36, 64))


def rig(x, focal=60.0):
    c2w = np.tile(np.eye(3, 4), (len(x), 1, 1))
    c2w[:, 0, 3] = x
    return Cameras(torch.from_numpy(c2w), torch.tensor([[focal, focal, 32.0, 18.0]]).double().repeat(len(x), 1), 36, 64)


def test_finds_a_plane_between_the_planes_it_tries(static_world):
    found = sweep(static_world.images, lambda frame: STILL, static_world.cameras, 2, DEPTHS)
    truth = static_world.inverse_depth[2]
    sure = found.weight > 0.5
    assert sure.mean() > 0.6
    error = np.abs(found.inverse_depth - truth)[sure]
    assert np.median(error) < 0.2 * (DEPTHS[1] - DEPTHS[0]) / N_DEPTHS
    assert np.percentile(error / truth[sure], 95) < 0.03


def test_movers_are_not_trusted_and_do_not_mislead(static_world, moving_world):
    def moving(frame):
        return moving_world.block.astype(np.float32)

    found = sweep(moving_world.images, moving, moving_world.cameras, 2, DEPTHS)
    assert found.weight[moving_world.block].max() < 0.01
    around = (found.weight > 0.3) & ~moving_world.block
    assert around.mean() > 0.3
    error = np.abs(found.inverse_depth / static_world.inverse_depth[2] - 1)[around]
    assert np.percentile(error, 90) < 0.05
    unmasked = sweep(moving_world.images, lambda frame: STILL, moving_world.cameras, 2, DEPTHS)
    assert unmasked.weight[moving_world.block].mean() < 0.5 * unmasked.weight[~moving_world.block].mean()


def test_a_part_that_moves_in_another_frame_bears_no_witness(static_world):
    def moving(frame):
        return STILL if frame == 2 else np.ones((36, 64))

    found = sweep(static_world.images, moving, static_world.cameras, 2, DEPTHS)
    assert found.weight.max() == 0


def test_one_witness_is_not_enough(static_world):
    found = sweep(static_world.images[:2], lambda frame: STILL, static_world.cameras[:2], 0, DEPTHS)
    assert found.weight.max() == 0


def test_half_of_the_witnesses_may_see_something_else(static_world):
    random = np.random.default_rng(0)
    images = [random.integers(0, 255, (36, 64, 3), np.uint8), *static_world.images[1:4]]
    images.append(random.integers(0, 255, (36, 64, 3), np.uint8))
    found = sweep(images, lambda frame: STILL, static_world.cameras, 2, DEPTHS)
    sure = found.weight > 0.5
    assert sure.mean() > 0.5
    assert np.median(np.abs(found.inverse_depth / static_world.inverse_depth[2] - 1)[sure]) < 0.01


def test_what_looks_different_at_the_best_depth_is_less_trusted(static_world):
    images = [image // 2 + 64 if frame == 2 else image for frame, image in enumerate(static_world.images)]
    found, true = (
        sweep(x, lambda frame: STILL, static_world.cameras, 2, DEPTHS) for x in (images, static_world.images)
    )
    assert found.weight.mean() < 0.5 * true.weight.mean()


def test_where_the_near_planes_are_out_of_view_the_best_of_the_others_is_not_trusted(static_world):
    """All other cameras are to the right: what the left border shows, they see only if it is far."""
    found = sweep(static_world.images, lambda frame: STILL, static_world.cameras, 0, (0.01, 2.0))
    assert found.weight[:, :2].max() == 0
    assert found.weight[:, 32:].mean() > 0.1


def test_even_colours_and_missing_baselines_are_not_trusted(static_world, world_without_baseline):
    gray = [np.full((36, 64, 3), 128, np.uint8)] * 5
    assert sweep(gray, lambda frame: STILL, static_world.cameras, 2, DEPTHS).weight.max() < 0.01
    near = world_without_baseline
    assert sweep(near.images, lambda frame: STILL, near.cameras, 2, DEPTHS).weight.max() == 0


def test_witnesses_have_parallax_but_not_more_than_there_are_planes():
    # Over the depths, 60 pixels of focal length and a baseline b give 15 b pixels.
    assert choose_witnesses(rig([0, 0, 0.05, 0.1, 1, 4, 5]), 0, DEPTHS) == [3, 4, 5]


def test_witnesses_are_near_and_far_in_time():
    chosen = choose_witnesses(rig(0.1 * np.arange(40)), 10, DEPTHS)
    assert len(chosen) == MAX_WITNESSES
    assert {7, 8, 9, 11, 12, 13} <= set(chosen)
    assert chosen[-1] == 39
    assert chosen[0] == 0


def test_frames_behind_which_planes_lie_are_no_witnesses():
    cameras = rig([0, 1, 1])
    cameras.c2w[2, 2, 3] = 5
    assert choose_witnesses(cameras, 0, DEPTHS) == [1]
