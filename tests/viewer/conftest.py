"""Runs to look at: one of a few steps with objects at random, and one in which movers can be told apart."""

import math
import shutil
import time

import numpy as np
import pytest
import torch

from saff_fast.config import load_config, override, preset_path
from saff_fast.playback.renderer import ShotRenderer
from saff_fast.playback.views import render_run
from saff_fast.preparation import prepare_synthetic
from saff_fast.segment.config import SegmentConfig
from saff_fast.segment.pipeline import segment_run
from saff_fast.train.checkpoint import load_checkpoint, save_checkpoint
from saff_fast.train.config import ExperimentConfig
from saff_fast.train.rendering import load_run
from saff_fast.train.run import train
from saff_fast.viewer.camera import BrowserCamera, quaternion, vertical_fov
from saff_fast.viewer.opened import OpenRun
from saff_fast.viewer.session import Session
from saff_fast.viewer.survey import Survey
from tests.train.conftest import finished, scene_folder, tiny_config  # noqa: F401 - fixtures

HEIGHT, WIDTH, N_FRAMES, STEPS = 36, 64, 6, 100


@pytest.fixture(scope="session")
def few_steps(finished, tmp_path_factory):  # noqa: F811 - the fixture
    """A run that knows little, whose objects are clusters of its semantics, whatever they are; never written to."""
    run = shutil.copytree(finished, tmp_path_factory.mktemp("viewer") / "run")
    torch.manual_seed(3)
    checkpoint = load_checkpoint(run / "checkpoints")
    tables = [name for name in checkpoint.tensors if name.startswith("field.") and name.endswith("grid.table")]
    for name in tables:
        checkpoint.tensors[name].uniform_(-1, 1)  # as it is, nothing moves yet
    for name in ("dynamic_candidates", "dynamic_weight"):
        checkpoint.tensors[f"occupancy.{name}"].fill_(1)
    save_checkpoint(run / "checkpoints", checkpoint)
    found = Survey.of(ShotRenderer(load_run(run, "cpu"))).objects(4, 0.0)
    found.edited(torch.tensor([0, 1, 2, 2])).save(run)
    return run


@pytest.fixture
def run(few_steps, tmp_path):
    """A copy of it, to be written to."""
    return shutil.copytree(few_steps, tmp_path / "run")


@pytest.fixture(scope="session")
def opened(few_steps):
    return OpenRun(few_steps, "cpu")


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A run in which movers can be told apart; never written to."""
    folder = tmp_path_factory.mktemp("viewer")
    prepare_synthetic(folder / "scene", HEIGHT, WIDTH, N_FRAMES)
    config = load_config(ExperimentConfig, preset_path("demo"))
    few = [f"train.height={HEIGHT}", f"train.steps={STEPS}", "train.rays=768", "train.moving_rays=384"]
    # In so few steps what moves would not leave the static field, and a sweep would find nothing of it.
    both = [
        "field.static.initial_blend=0.5",
        "loss.static=0",
        "loss.motion_missing=2",
        "train.first_sweep=1000",
    ]
    train(folder / "scene", folder / "run", override(config, few + both))
    render_run(folder / "run")
    segment_run(folder / "run", SegmentConfig())
    return folder / "run"


class Screen:
    """Keeps what a session shows."""

    def __init__(self):
        self.pictures, self.statistics, self.times = [], [], []
        self.hits, self.groups, self.failures = [], [], []

    def show(self, picture, final):
        self.pictures.append((picture, final))

    def tell(self, statistics):
        self.statistics.append(statistics)

    def moved(self, time, playing):
        self.times.append((time, playing))

    def clicked(self, hit):
        self.hits.append(hit)

    def regrouped(self, objects):
        self.groups.append(objects)

    def failed(self, sentence):
        self.failures.append(sentence)


def eventually(condition, seconds=60.0):
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it never was so"
        time.sleep(0.01)
    return found


def camera_of(shot, width=160, height=90):
    """A browser whose camera takes a shot."""
    c2w = shot.c2w.numpy()
    return BrowserCamera.of(quaternion(c2w), c2w[:, 3], math.radians(vertical_fov(shot)), width, height)


@pytest.fixture
def screen():
    return Screen()


@pytest.fixture
def session(opened, screen):
    session = Session(opened, screen)
    yield session
    session.close()
    assert not session.alive


def final_picture(session):
    """The picture of the newest wish in all its rows."""
    wish = session.wish
    eventually(lambda: session.statistics.final and session.statistics.wish >= wish)
    return np.asarray(session._screen.pictures[-1][0])


@pytest.fixture(autouse=True)
def _threads():
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(threads)
