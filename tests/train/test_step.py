"""One training step: which evidence of motion it believes."""

import torch

from saff_fast.scene.reader import read_scene
from saff_fast.train.budget import SampleBudget
from saff_fast.train.config import LossConfig
from saff_fast.train.step import batch_losses
from saff_fast.train.trainer import Trainer


def losses(trainer, config, progress, budget=None):
    targets, generator = trainer.sampler.sample(0, 300, 100)
    jitter = torch.rand(300, generator=generator)
    return batch_losses(trainer.model, targets, jitter, 100, config, torch.tensor(progress), budget)[0]


def test_evidence_of_motion_yields_to_a_static_field_that_explains_the_picture(scene_folder, tmp_path, tiny_config):
    trainer = Trainer(read_scene(scene_folder, 36), tmp_path, tiny_config())
    early, late = (losses(trainer, LossConfig(), progress)["motion_missing"] for progress in (0.05, 1.0))
    # The field is untrained and misses all pixels alike, so most count as explained as soon as its word counts.
    assert late < 0.3 * early


def test_pixels_that_the_static_field_explains_must_not_be_dynamic(scene_folder, tmp_path, tiny_config):
    scene = read_scene(scene_folder, 36)
    scene.depth_confidences.zero_()
    trainer = Trainer(scene, tmp_path, tiny_config())
    trainer.model.field.static.initial_blend_logit = 2.0  # more of it than is free
    early, late = (losses(trainer, LossConfig(), progress)["motion_present"] for progress in (0.05, 1.0))
    assert early == 0
    assert late > 0


def test_static_field_learns_behind_what_moves_in_every_frame(scene_folder, tmp_path, tiny_config):
    scene = read_scene(scene_folder, 36)
    scene.motion_masks.fill_(1.0)
    trainer = Trainer(scene, tmp_path, tiny_config())
    colours = trainer.model.field.static.mlp.biases[-1]
    term = losses(trainer, LossConfig(), 0.05)["static_rgb"]
    assert torch.autograd.grad(term, colours)[0][1:4].norm() > 0
    assert losses(trainer, LossConfig(static_doubtful=0.0), 0.05)["static_rgb"] == 0


def test_static_field_alone_is_made_opaque(scene_folder, tmp_path, tiny_config):
    trainer = Trainer(read_scene(scene_folder, 36), tmp_path, tiny_config())
    bias = trainer.model.field.static.mlp.biases[-1]
    early, late = (losses(trainer, LossConfig(), progress)["static_opaque"] for progress in (0.05, 1.0))
    assert early == 0
    assert torch.autograd.grad(late, bias)[0][0] < 0  # more density, less of it


def test_static_field_is_made_thin(scene_folder, tmp_path, tiny_config):
    trainer = Trainer(read_scene(scene_folder, 36), tmp_path, tiny_config())
    grid = trainer.model.field.static.grid.table
    term, twice = (losses(trainer, LossConfig(static_spread=weight), 0.5)["static_spread"] for weight in (1.0, 2.0))
    assert 0.003 < float(term.detach()) < 0.5  # a standard deviation of what lies in [0, 1]
    torch.testing.assert_close(twice, 2 * term)
    assert torch.autograd.grad(term, grid)[0].any()


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


def gradients(trainer, budget):
    terms = losses(trainer, LossConfig(), 0.5, budget)
    parameters = dict(trainer.model.field.named_parameters())
    grads = torch.autograd.grad(torch.stack(list(terms.values())).sum(), parameters.values(), allow_unused=True)
    return terms, {name: grad for name, grad in zip(parameters, grads, strict=True) if grad is not None}


def counted(trainer):
    targets, generator = trainer.sampler.sample(0, 300, 100)
    model, jitter = trainer.model, torch.rand(300, generator=generator)
    rays = model.frame_rays(targets.frames, targets.pixels)
    return SampleBudget.of(model.occupancy.march(rays, jitter), 100)


def test_a_budget_that_is_large_enough_changes_nothing(scene_folder, tmp_path, tiny_config):
    trainer = Trainer(read_scene(scene_folder, 36), tmp_path, tiny_config())
    with torch.no_grad():
        trainer.model.field.dynamic.mlp.biases[-1][5:11] = 12.0  # flow that leaves the cube here and there
    exact, padded = gradients(trainer, None), gradients(trainer, counted(trainer))
    for name, term in exact[0].items():
        torch.testing.assert_close(padded[0][name], term, rtol=1e-4, atol=1e-7, msg=name)
    for name, grad in exact[1].items():
        assert (padded[1][name] - grad).norm() <= 1e-4 * grad.norm(), name


def test_a_budget_that_is_too_small_drops_rays(scene_folder, tmp_path, tiny_config):
    trainer = Trainer(read_scene(scene_folder, 36), tmp_path, tiny_config())
    whole = counted(trainer)
    half = SampleBudget(whole.n_samples // 2, whole.n_dynamic // 2, whole.n_moving // 2)
    targets, generator = trainer.sampler.sample(0, 300, 100)
    jitter = torch.rand(300, generator=generator)
    arguments = trainer.model, targets, jitter, 100, LossConfig(), torch.tensor(0.5)
    dropped = [int(batch_losses(*arguments, budget)[1]["dropped_rays"]) for budget in (whole, half)]
    assert dropped[0] == 0
    assert 0 < dropped[1] < 300
    assert all(grad.isfinite().all() for grad in gradients(trainer, half)[1].values())


def test_moving_rays_that_do_not_fit_have_no_samples():
    info = torch.tensor([[0, 3], [3, 2], [5, 0], [5, 4]])
    assert SampleBudget(100, 100, 8).fitting(info).tolist() == [[0, 3], [3, 2], [5, 0], [0, 0]]
