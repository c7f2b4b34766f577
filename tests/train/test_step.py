"""One training step: which evidence of motion it believes."""

import torch

from saff_fast.scene.reader import read_scene
from saff_fast.train.config import LossConfig
from saff_fast.train.step import batch_losses
from saff_fast.train.trainer import Trainer


def losses(trainer, config, progress):
    targets, generator = trainer._sampler.sample(0, 300, 100)
    return batch_losses(trainer.model, targets, 100, generator, config, progress)[0]


def test_evidence_of_motion_yields_to_a_static_field_that_explains_the_picture(scene_folder, tmp_path, tiny_config):
    trainer = Trainer(read_scene(scene_folder, 36), tmp_path, tiny_config())
    early, late = (losses(trainer, LossConfig(), progress)["motion_missing"] for progress in (0.05, 1.0))
    # The field is untrained and misses all pixels alike, so most count as explained as soon as its word counts.
    assert late < 0.3 * early


def test_pixels_that_the_static_field_explains_must_not_be_dynamic(scene_folder, tmp_path, tiny_config):
    scene = read_scene(scene_folder, 36)
    scene.depth_confidences.zero_()
    trainer = Trainer(scene, tmp_path, tiny_config())
    early, late = (losses(trainer, LossConfig(), progress)["motion_present"] for progress in (0.05, 1.0))
    assert early == 0
    assert late > 0


def test_untrained_slices_are_where_flow_leads(scene_folder, tmp_path, tiny_config):
    trainer = Trainer(read_scene(scene_folder, 36), tmp_path, tiny_config(hold_out=(2,)))
    field, occupancy = trainer.model.field.dynamic, trainer.model.occupancy
    with torch.no_grad():
        field.mlp.weights[-1][5:8] = 0  # forward flow: a quarter of the cube along x, whatever the input
        field.mlp.biases[-1][5:8] = torch.tensor([0.25 / field.flow_scale, 0, 0])
        field.mlp.weights[-1][8:11] = 0  # and backward flow: out of sight
        field.mlp.biases[-1][8:11] = torch.tensor([9 / field.flow_scale, 0, 0])
    occupancy.dynamic_candidates.fill_(True)
    occupancy.dynamic_weight.fill_(1)
    occupancy.refresh()
    occupancy.dynamic_weight.zero_()
    trainer._sweep(torch.Generator().manual_seed(0))
    n = occupancy.config.resolution
    here, there = (occupancy.dynamic_weight[frame].view(n, n, n).float().amax((1, 2)) for frame in (1, 2))
    moved = round(0.25 * n)
    inside = slice(moved, n - 1)
    torch.testing.assert_close(there[inside], here[: n - 1 - moved], atol=0.2, rtol=0.5)
    assert there.max() > 0
    assert there[: moved - 1].max() == 0
