"""Runs of the published objective: they learn, resume, and say what they leave out."""

import dataclasses

import pytest
import torch

from saff_fast.errors import UserError
from saff_fast.fields.reference_field import ReferenceFieldConfig
from saff_fast.scene.reader import read_scene
from saff_fast.train.budget import SampleBudget
from saff_fast.train.checkpoint import load_checkpoint
from saff_fast.train.objective import missing_data
from saff_fast.train.published_config import Moment, PublishedLossConfig
from saff_fast.train.published_step import batch_losses
from saff_fast.train.run import train
from saff_fast.train.trainer import Trainer
from tests.train.runs import metrics

TERMS = ["render_loss", "render_loss_dino", "render_loss_sal", "prob_reg_loss", "sf_cycle_loss", "sf_reg_loss"]
TERMS += ["depth_loss", "flow_loss", "sf_sm_loss_spatial", "sf_sm_loss_kinetic", "sf_sm_loss_chain", "entropy_loss"]


@pytest.fixture
def published(tiny_config):
    """Makes configurations of the published objective."""

    def make(kind="hash", losses=PublishedLossConfig(), **train):  # noqa: B008 - frozen
        config = tiny_config(detail_share=0, **train)  # published rays are drawn evenly
        reference = ReferenceFieldConfig(width=24, n_bands=4, n_samples=16, learning_rate=5e-3)
        field = dataclasses.replace(config.field, kind=kind, reference=reference)
        return dataclasses.replace(config, objective="published", published=losses, field=field)

    return make


@pytest.mark.parametrize("kind", ["hash", "reference"])
def test_a_run_through_all_stages_lowers_its_losses(scene_folder, tmp_path, published, kind):
    losses = PublishedLossConfig(decay_depth=False, decay_optical_flow=False, stage=0.4)
    train(scene_folder, tmp_path, published(kind, losses, steps=100, first_sweep=1000))
    entries = metrics(tmp_path)
    assert list(entries[0]["loss"]) == TERMS
    # One more render is added, and others are masked, in the next stage: losses compare within one.
    early, late = (entries[a:b] for a, b in ((0, 5), (36, 41)))
    # 100 steps teach the published network no depth.
    for term in ("render_loss",) if kind == "reference" else ("render_loss", "depth_loss"):
        assert sum(e["loss"][term] for e in late) < sum(e["loss"][term] for e in early), term
    assert sum(e["psnr"] for e in entries[-5:]) > sum(e["psnr"] for e in entries[:5])


@pytest.mark.parametrize("kind", ["hash", "reference"])
def test_interrupted_and_resumed_ends_in_the_same_bits(scene_folder, tmp_path, published, kind):
    """Between steps whose chains lead opposite ways, with noise."""
    config = published(kind, PublishedLossConfig(stage=0.25))

    def interrupt(progress):
        if progress.step == 7:
            raise KeyboardInterrupt

    train(scene_folder, tmp_path / "whole", config)
    with pytest.raises(KeyboardInterrupt):
        train(scene_folder, tmp_path / "parts", config, interrupt)
    train(scene_folder, tmp_path / "parts", config)
    whole, parts = (load_checkpoint(tmp_path / name / "checkpoints").tensors for name in ("whole", "parts"))
    assert [name for name in whole if not torch.equal(whole[name], parts[name])] == []


def without(scene, data):
    zeros = {
        "optical flow": ("flow_masks_fw", "flow_masks_bw"),
        "depth": ("depth_confidences",),
        "semantics": (),
        "saliency": ("saliencies",),
    }
    changed = {name: torch.zeros_like(getattr(scene, name)) for name in zeros[data]}
    if data == "semantics":
        changed["semantics"] = scene.semantics[..., :0]
    return dataclasses.replace(scene, **changed)


@pytest.mark.parametrize(
    ("data", "term"),
    [
        ("optical flow", "flow_loss"),
        ("depth", "depth_loss"),
        ("semantics", "render_loss_dino"),
        ("saliency", "render_loss_sal"),
    ],
)
def test_what_a_scene_lacks_is_not_trained(scene_folder, tmp_path, published, data, term):
    scene = without(read_scene(scene_folder, 36), data)
    assert missing_data(scene) == [data]
    terms, _ = Trainer(scene, tmp_path, published()).train_step()
    assert list(terms) == [name for name in TERMS if name != term]
    assert all(loss.isfinite() for loss in terms.values())


def test_published_networks_do_without_depth(scene_folder, tmp_path, published):
    """There is no grid whose cells could be chosen by it."""
    scene = without(read_scene(scene_folder, 36), "depth")
    terms, _ = Trainer(scene, tmp_path, published("reference")).train_step()
    assert "depth_loss" not in terms
    assert all(loss.isfinite() for loss in terms.values())


def test_what_is_off_is_said_once(scene_folder, tmp_path, published, monkeypatch):
    monkeypatch.setattr("saff_fast.train.run.read_scene", lambda *_: without(read_scene(scene_folder, 36), "depth"))
    said = []
    config = published(losses=PublishedLossConfig(w_cycle=0.0), steps=2)
    train(scene_folder, tmp_path / "run", config, notice=said.append)
    assert said == [
        "The scene has no depth: its losses are off, and the whole space is searched.",
        "Losses with a weight of 0 are off: w_cycle.",
    ]
    robust = dataclasses.replace(config, objective="robust")
    train(scene_folder, tmp_path / "robust", robust, notice=said.append)
    assert said[2:] == said[:1]


def test_a_complete_scene_has_nothing_to_say(scene_folder, tmp_path, published, capsys):
    train(scene_folder, tmp_path, published(steps=1))
    assert capsys.readouterr().out == ""


def test_a_batch_may_have_nothing_to_train(scene_folder, tmp_path, published):
    losses = PublishedLossConfig(w_render=0.0, dino_coe=0.0, sal_coe=0.0)
    training = Trainer(read_scene(scene_folder, 36), tmp_path, published(losses=losses))
    occupancy = training.model.occupancy
    everywhere, nowhere = torch.ones_like(occupancy.static_candidates), torch.zeros_like(occupancy.dynamic_candidates)
    occupancy.seed(everywhere, nowhere, occupancy.trained.clone())
    terms, _ = training.train_step()
    assert list(terms.values()) == [0]


def test_nothing_to_train_is_an_error(scene_folder, tmp_path, published):
    scene = without(read_scene(scene_folder, 36), "depth")
    only_depth = dict.fromkeys(PublishedLossConfig().weights, 0.0) | {"w_depth": 1.0}
    with pytest.raises(UserError, match="tiny: has no depth, and no other loss has a weight"):
        Trainer(scene, tmp_path, published(losses=PublishedLossConfig(**only_depth)))


@pytest.mark.parametrize("kind", ["hash", "reference"])
@pytest.mark.parametrize("literal", [False, True])
def test_four_identical_frames(scene_folder, tmp_path, published, kind, literal):
    scene = read_scene(scene_folder, 36)
    per_frame = [f.name for f in dataclasses.fields(scene) if f.name not in ("name", "names", "cameras")]
    same = {name: getattr(scene, name)[:1].expand(4, *[-1] * (getattr(scene, name).dim() - 1)) for name in per_frame}
    same |= {"flows_fw": 0 * same["flows_fw"], "flows_bw": 0 * same["flows_bw"]}
    scene = dataclasses.replace(scene, names=scene.names[:4], cameras=scene.cameras[[0] * 4], **same)
    losses = PublishedLossConfig(stage=0.1, literal=literal)
    trainer = Trainer(scene, tmp_path, published(kind, losses))
    for _ in range(4):
        terms, _ = trainer.train_step()
        assert all(loss.isfinite() for loss in terms.values())
    assert all(p.isfinite().all() for p in trainer.model.field.parameters())


def test_mining_ends_with_the_first_stage(scene_folder, tmp_path, published, tiny_config):
    objective = Trainer(read_scene(scene_folder, 36), tmp_path, published()).objective
    assert [objective.moving_rays(Moment(0, progress), 64) for progress in (0.0, 0.05, 0.1, 1.0)] == [64, 64, 0, 0]
    robust = Trainer(read_scene(scene_folder, 36), tmp_path / "robust", tiny_config()).objective
    assert robust.moving_rays(Moment(0, 1.0), 64) == 64


@pytest.mark.parametrize("n_moving", [0, 100])
def test_buffers_that_are_longer_than_needed_change_nothing(scene_folder, tmp_path, published, n_moving):
    trainer = Trainer(read_scene(scene_folder, 36), tmp_path, published())
    targets, generator = trainer.sampler.sample(0, 300, n_moving)
    jitter = torch.rand(300, generator=generator)
    rest = jitter, n_moving, PublishedLossConfig(stage=0.1), Moment(1, 0.5)
    exact, statistics = batch_losses(trainer.model, targets, *rest)
    n_samples = [int(300 * statistics[f"{kind}samples_per_ray"] + 100) for kind in ("", "dynamic_")]
    padded, _ = batch_losses(trainer.model, targets, *rest, SampleBudget(*n_samples, 1).capacity)
    assert exact.keys() == padded.keys()
    for name, loss in exact.items():
        torch.testing.assert_close(padded[name], loss, rtol=1e-4, atol=1e-7, msg=name)


def test_a_batch_without_dynamic_samples_trains_the_static_field(scene_folder, tmp_path, published):
    trainer = Trainer(read_scene(scene_folder, 36), tmp_path, published())
    occupancy = trainer.model.occupancy
    occupancy.dynamic_candidates.zero_()
    occupancy.refresh()
    terms, statistics = trainer.train_step()
    assert statistics["dynamic_samples_per_ray"] == 0
    assert list(terms) == TERMS[:3]
