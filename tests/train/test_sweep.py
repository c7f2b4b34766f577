"""What the occupancy grid learns from the fields."""

from dataclasses import replace

import torch

from saff_fast.render.compositing import static_alone
from saff_fast.render.occupancy import OccupancyConfig
from saff_fast.scene.reader import read_scene
from saff_fast.train.sweep import settle
from saff_fast.train.trainer import Trainer


def test_static_surfaces_that_movers_hide_from_every_frame_stay(scene_folder, tmp_path, tiny_config):
    config = replace(tiny_config(sweep_rays=2000), occupancy=OccupancyConfig(resolution=64, n_steps=64))
    model = (trainer := Trainer(read_scene(scene_folder, 36), tmp_path, config)).model
    model.field.static.log_initial_density = model.field.dynamic.log_initial_density = 6.0
    model.field.static.initial_blend_logit = 20.0  # the dynamic field has every picture for itself
    for _ in range(6):  # until what is not seen is dropped
        trainer.sweep(torch.Generator().manual_seed(0))
    settle(model, list(range(model.n_frames)), config.train)
    model.occupancy.dynamic_candidates.zero_()  # as the movers have gone elsewhere
    model.occupancy.refresh()
    with torch.no_grad():
        batch = model.renderer(model.frame_rays(2, torch.rand(500, 2) * torch.tensor([64.0, 36.0])))
    assert static_alone(batch.static, batch.samples, batch.lengths).opacity.quantile(0.05) > 0.9
