"""The published networks as a model like any other."""

import pytest
import torch

from saff_fast.config import override
from saff_fast.errors import UserError
from saff_fast.evaluate.evaluate_run import evaluate_run
from saff_fast.geometry.rays import pixel_rays
from saff_fast.playback.views import render_run
from saff_fast.scene.reader import read_scene
from saff_fast.segment.config import SegmentConfig
from saff_fast.segment.pipeline import segment_run
from saff_fast.train.checkpoint import load_checkpoint
from saff_fast.train.model import restore_model
from saff_fast.train.published_config import Moment
from saff_fast.train.rendering import load_run
from saff_fast.train.run import train
from saff_fast.train.schedule import learning_rate
from saff_fast.train.trainer import Trainer
from tests.train.runs import metrics
from tests.views import view_of

N_SAMPLES = 8


@pytest.fixture(scope="session")
def reference_config(tiny_config):
    """Makes configurations of tiny published networks that differ in `TrainConfig` fields only."""

    def make(**options):
        keys = "kind=reference", "reference.depth=6", "reference.width=16", f"reference.n_samples={N_SAMPLES}"
        return override(tiny_config(**options), [f"field.{key}" for key in keys])

    return make


@pytest.fixture(scope="session")
def finished(scene_folder, tmp_path_factory, reference_config):
    run = tmp_path_factory.mktemp("runs") / "reference"
    torch.set_num_threads(2)  # as in the tests: matrix products are rounded otherwise by another number
    train(scene_folder, run, reference_config(hold_out=(2,)))
    return run


def test_the_networks_see_ndc(scene_folder, tmp_path, reference_config):
    model = Trainer(read_scene(scene_folder, 36), tmp_path, reference_config()).model
    assert model.space.near == 1
    assert model.space.low.tolist() == [-1, -1, -1]
    assert model.space.high.tolist() == [1, 1, 1]
    poses = torch.tensor([3, 3])
    pixels = torch.tensor([[0.5, 0.5], [40.0, 11.0]])
    rays = pixel_rays(model.space, model.cameras, poses, pixels, poses.float())
    origins, directions = model.cameras.world_rays(poses, pixels)
    starts = origins - ((1 + origins[:, 2]) / directions[:, 2]).unsqueeze(1) * directions
    scale = 2 * model.cameras.intrinsics[0, :2] / torch.tensor([64.0, 36.0])
    torch.testing.assert_close(2 * rays.origins[:, :2] - 1, -scale * starts[:, :2] / starts[:, 2:])
    torch.testing.assert_close(2 * rays.origins[:, 2] - 1, torch.full((2,), -1.0))
    torch.testing.assert_close(2 * rays.directions[:, 2], torch.full((2,), 2.0))


def test_it_learns(scene_folder, tmp_path, reference_config):
    config = reference_config(steps=60, checkpoint_every=100)
    config = override(config, ["field.reference.width=32", "field.reference.learning_rate=0.003"])
    train(scene_folder, tmp_path / "run", config)
    log = metrics(tmp_path / "run")
    for term in ("rgb", "dynamic_rgb", "next_rgb", "previous_rgb"):
        first, last = (sum(entry["loss"][term] for entry in part) for part in (log[:5], log[-5:]))
        assert last < first, term
    assert {(entry["samples_per_ray"], entry["dynamic_samples_per_ray"]) for entry in log} == {(N_SAMPLES, N_SAMPLES)}


def test_interrupted_and_resumed_ends_in_the_same_bits(scene_folder, finished, tmp_path, reference_config):
    def interrupt(progress):
        if progress.step == 7:
            raise KeyboardInterrupt

    config = reference_config(hold_out=(2,))
    with pytest.raises(KeyboardInterrupt):
        train(scene_folder, tmp_path / "run", config, interrupt)
    train(scene_folder, tmp_path / "run", config)
    actual, expected = (load_checkpoint(run / "checkpoints").tensors for run in (tmp_path / "run", finished))
    assert actual.keys() == expected.keys()
    assert [name for name in expected if not torch.equal(actual[name], expected[name])] == []


def test_a_run_renders_segments_and_is_scored(finished):
    render_run(finished)
    segment_run(finished, SegmentConfig())
    scores = evaluate_run(finished)
    assert scores["splits"]


def test_views_do_not_depend_on_how_many_rays_are_rendered_at_once(finished):
    model = load_run(finished)
    expected = view_of(model, 2, 2.5)
    model.occupancy.rays_at_once, march, sizes = 100, model.occupancy.march_at, []
    model.occupancy.march_at = lambda rays, *rest: sizes.append(len(rays)) or march(rays, *rest)
    actual = view_of(model, 2, 2.5)
    for name, value in vars(expected).items():
        torch.testing.assert_close(getattr(actual, name), value, msg=name)
    assert 1 < max(sizes) <= 100


def test_it_does_not_look_around(scene_folder, tmp_path, reference_config, monkeypatch):
    trainer = Trainer(read_scene(scene_folder, 36), tmp_path, reference_config(first_sweep=1, sweep_every=1))
    monkeypatch.setattr(Trainer, "sweep", lambda *_: pytest.fail("a sweep"))
    trainer.train_step()


def test_each_kind_has_its_step_size(tiny_config, reference_config):
    hash_rate, reference_rate = (
        learning_rate(make(steps=100), Moment(20, 0.2)) for make in (tiny_config, reference_config)
    )
    assert hash_rate / reference_rate == pytest.approx(1e-2 / 5e-4)


def test_a_checkpoint_of_the_other_kind_is_refused(finished, tiny_config):
    checkpoint = load_checkpoint(finished / "checkpoints")
    config = tiny_config()
    with pytest.raises(UserError, match="must come from the configuration beside it"):
        restore_model(config.field, config.occupancy, checkpoint.tensors, finished)
