"""One training step: which evidence of motion it believes."""

import torch

from saff_fast.scene.reader import read_scene
from saff_fast.train.config import LossConfig
from saff_fast.train.step import batch_losses
from saff_fast.train.trainer import Trainer


def losses(trainer, config, progress):
    targets, generator = trainer.sampler.sample(0, 300, 100)
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


def test_flow_that_leaves_the_cube_is_pulled_back(scene_folder, tmp_path, tiny_config):
    trainer = Trainer(read_scene(scene_folder, 36), tmp_path, tiny_config())
    bias = trainer.model.field.dynamic.mlp.biases[-1]
    assert losses(trainer, LossConfig(), 0.5)["pull_back"] < 0.01
    with torch.no_grad():
        bias[5:8], bias[8:11] = 40.0, -40.0  # forward and backward flow, in units of flow_scale: two cube lengths
    term = losses(trainer, LossConfig(), 0.5)["pull_back"]
    (grad,) = torch.autograd.grad(term, bias)
    assert term > 0.1
    assert (grad[5:8] > 0).all()
    assert (grad[8:11] < 0).all()
    assert losses(trainer, LossConfig(pull_back=0.0), 0.5)["pull_back"] == 0
