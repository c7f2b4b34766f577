from dataclasses import replace

import pytest
import torch

from saff_fast.fields.dynamic_field import DynamicFieldConfig
from saff_fast.fields.scene_field import FieldConfig
from saff_fast.fields.static_field import StaticFieldConfig
from saff_fast.preparation import prepare_synthetic
from saff_fast.render.occupancy import OccupancyConfig
from saff_fast.scene.reader import read_scene
from saff_fast.train.config import ExperimentConfig, TrainConfig
from saff_fast.train.run import train
from saff_fast.train.trainer import Trainer


@pytest.fixture(scope="session")
def scene_folder(tmp_path_factory):
    """The synthetic scene at a size on which a step takes milliseconds."""
    folder = tmp_path_factory.mktemp("scenes") / "tiny"
    prepare_synthetic(folder, 36, 64, 6)
    return folder


def _tiny_config(steps=12, **train):
    grid = {"n_levels": 4, "log2_table_size": 10, "width": 16, "n_hidden": 8}
    bookkeeping = {"checkpoint_every": 5, "log_every": 1, "first_sweep": 4, "sweep_every": 4, "sweep_rays": 100}
    return ExperimentConfig(
        train=TrainConfig(height=36, steps=steps, rays=256, moving_rays=64, **(bookkeeping | train)),
        field=FieldConfig(
            static=StaticFieldConfig(finest_resolution=32, **grid),
            dynamic=DynamicFieldConfig(finest_resolution=32, **grid),
        ),
        occupancy=OccupancyConfig(resolution=16, n_steps=32),
    )


@pytest.fixture(scope="session")
def tiny_config():
    """Makes configurations that differ in `TrainConfig` fields only."""
    return _tiny_config


@pytest.fixture
def swept(scene_folder, tmp_path, tiny_config):
    """Makes models of two opaque fields, one of which has every picture for itself, after looking around."""

    def make(dynamic):
        config = replace(tiny_config(sweep_rays=2000), occupancy=OccupancyConfig(resolution=64, n_steps=64))
        model = (trainer := Trainer(read_scene(scene_folder, 36), tmp_path, config)).model
        model.field.static.log_initial_density = model.field.dynamic.log_initial_density = 6.0
        model.field.static.initial_blend_logit = 20.0 if dynamic else -20.0
        for _ in range(6):  # until what is not seen is dropped
            trainer.sweep(torch.Generator().manual_seed(0))
        return model

    return make


@pytest.fixture(scope="session")
def finished(scene_folder, tmp_path_factory, tiny_config):
    """An uninterrupted run of the tiny configuration."""
    run = tmp_path_factory.mktemp("runs") / "uninterrupted"
    train(scene_folder, run, tiny_config())
    return run


@pytest.fixture
def poison(monkeypatch):
    """Makes the loss NaN in one step, until the step size has been halved often enough."""

    def at(step, until=0.5):
        losses = Trainer._losses

        def poisoned(self, *arguments):
            terms, statistics = losses(self, *arguments)
            if self.step == step and self._step_size > until:
                terms["rgb"] = terms["rgb"] * torch.nan
            return terms, statistics

        monkeypatch.setattr(Trainer, "_losses", poisoned)

    return at


@pytest.fixture
def config():
    return _tiny_config()


@pytest.fixture(autouse=True)
def _threads():
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(threads)
