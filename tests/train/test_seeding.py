"""First occupancy from the depth prior."""

from dataclasses import replace

import torch

from saff_fast.geometry.rays import pixel_rays
from saff_fast.render.occupancy import OccupancyConfig
from saff_fast.scene.reader import read_scene
from saff_fast.train.trainer import Trainer


def test_cells_finer_than_pixels_leave_no_gaps(scene_folder, tmp_path, tiny_config):
    scene = read_scene(scene_folder, 36)
    config = replace(tiny_config(), occupancy=OccupancyConfig(resolution=128, n_steps=128))
    model = Trainer(scene, tmp_path, config).model
    pixels = torch.rand(2000, 2) * torch.tensor([64.0, 36.0])  # anywhere, not in the middle of pixels
    poses = torch.full((len(pixels),), 2)
    rays = pixel_rays(model.space, model.cameras, poses, pixels, poses.float())
    counts = model.occupancy.march(rays, None).dynamic_packed_info[:, 1]
    assert (counts > 0).float().mean() > 0.99
