"""Pixels of a batch: where they are drawn."""

import dataclasses

import torch

from saff_fast.preparation import prepare_synthetic
from saff_fast.scene.reader import read_scene
from saff_fast.scene.sampler import PixelSampler


def test_the_moving_part_is_drawn_at_motion_and_beside_it(tmp_path):
    prepare_synthetic(tmp_path, 36, 64, 4)
    scene = read_scene(tmp_path, 36)
    masks = torch.zeros_like(scene.motion_masks)
    masks[1, 10, 20] = 1
    scene = dataclasses.replace(scene, motion_masks=masks)
    sampler = PixelSampler(scene, torch.zeros_like(masks), [0, 1, 2], seed=0)
    targets, _ = sampler.sample(0, 3000, 2000)
    moving = targets[:2000]
    assert set(moving.frames.tolist()) == {1}
    distance = (moving.pixels - torch.tensor([20.5, 10.5])).abs().amax(1)
    assert distance.max() == 1  # 36 rows: one pixel around
    # One pixel of weight 3/2 among eight of 1/2.
    assert abs((distance == 0).float().mean() - 1.5 / 5.5) < 0.03
    assert set(targets[2000:].frames.tolist()) == {0, 1, 2}
