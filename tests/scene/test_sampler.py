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
    sampler = PixelSampler(scene, torch.zeros_like(masks), [0, 1, 2], seed=0, detail_share=0.5)
    targets, _ = sampler.sample(0, 3000, 2000)
    moving = targets[:2000]
    assert set(moving.frames.tolist()) == {1}
    distance = (moving.pixels - torch.tensor([20.5, 10.5])).abs().amax(1)
    assert distance.max() == 1  # 36 rows: one pixel around
    # One pixel of weight 3/2 among eight of 1/2.
    assert abs((distance == 0).float().mean() - 1.5 / 5.5) < 0.03
    assert set(targets[2000:].frames.tolist()) == {0, 1, 2}


def test_more_pixels_are_drawn_where_pictures_have_detail(tmp_path):
    """Left halves are checkered, right halves gray but for a step in the last frame, which is not drawn from."""
    prepare_synthetic(tmp_path, 36, 64, 4)
    scene = read_scene(tmp_path, 36)
    images = torch.full_like(scene.images, 90)
    y, x = torch.meshgrid(torch.arange(36), torch.arange(64), indexing="ij")
    images[:, ((x + y) % 2 == 0) & (x < 32)] = 190
    images[3, :, 48:] = 255
    scene = dataclasses.replace(scene, images=images)

    def drawn(detail_share):
        sampler = PixelSampler(scene, torch.zeros(4, 36, 64), [0, 1, 2], seed=0, detail_share=detail_share)
        return sampler.sample(0, 20_000, 0)[0].pixels[:, 0]

    assert abs((drawn(0.0) < 32).float().mean() - 1 / 2) < 0.02
    assert abs((drawn(0.5) < 32).float().mean() - 3 / 4) < 0.03
    assert drawn(1.0).max() < 32 + 4  # squares of 7 pixels look over the edge
    counts = torch.bincount(drawn(0.5).long(), minlength=64)
    assert counts[:28].float().std() < 0.1 * counts[:28].float().mean()
