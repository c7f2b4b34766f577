"""What training benchmarks train on: the synthetic scene of `saff-fast demo`, or a prepared scene folder."""

import argparse
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from saff_fast.cli.demo import HEIGHT, N_FRAMES, WIDTH
from saff_fast.config import load_config, override, preset_names
from saff_fast.preparation import prepare_synthetic
from saff_fast.scene.reader import read_scene
from saff_fast.scene.scene import Scene
from saff_fast.train.config import ExperimentConfig
from saff_fast.train.run import train
from saff_fast.train.run_folder import commit
from saff_fast.train.trainer import Trainer

HELD_OUT = (4, 10, 16, 22)
"""Frames of the `holdout` protocol on real scenes; none of the views of `page-codec` is among them."""
REFERENCE = "field.kind=reference"
"""What makes of a configuration that of the published networks."""
STEPS_BEFORE = 300
"""Of the run that is made where none is given."""
CACHE = Path(__file__).resolve().parent.parent / "runs" / "benchmarks"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Which scene, which preset."""
    parser.add_argument("--scene", type=Path, metavar="DIR", help="a prepared scene (default: the demo's)")
    parser.add_argument("--preset", default="cpu-preview", choices=preset_names())


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Which run; without one, which scene and preset to make it from."""
    default = f"{STEPS_BEFORE} steps on the scene"
    parser.add_argument("--run", type=Path, metavar="RUN", help=f"a trained run (default: {default})")
    add_options(parser)


def chosen(options: argparse.Namespace, *assignments: str) -> tuple[Scene, ExperimentConfig]:
    """The scene, and the preset with these keys changed."""
    config = configuration(options, *assignments)
    return read_scene(options.scene or demo_scene(), config.train.height), config


def configuration(options: argparse.Namespace, *assignments: str) -> ExperimentConfig:
    """The preset with these keys changed; the demo scene has a height of its own."""
    height = [] if options.scene else [f"train.height={HEIGHT}"]
    return override(load_config(ExperimentConfig, options.preset), [*height, *assignments])


def demo_scene() -> Path:
    """The demo's scene, written once by each commit, since its priors change with the code."""
    folder = CACHE / f"scene_{WIDTH}x{HEIGHT}x{N_FRAMES}_{commit()}"
    if not folder.is_dir():
        for old in CACHE.glob("scene_*"):
            shutil.rmtree(old)
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as partial:
            prepare_synthetic(Path(partial) / "scene", HEIGHT, WIDTH, N_FRAMES)
            (Path(partial) / "scene").rename(folder)
    return folder


@contextmanager
def new_trainer(scene: Scene, config: ExperimentConfig) -> Iterator[Trainer]:
    """A trainer whose run folder is thrown away."""
    with tempfile.TemporaryDirectory() as run:
        yield Trainer(scene, Path(run), config)


@contextmanager
def trained_run(options: argparse.Namespace) -> Iterator[Path]:
    """The run that was given, or one of a few steps, which is thrown away."""
    if options.run is not None:
        yield options.run
        return
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        train(options.scene or demo_scene(), run, configuration(options, f"train.steps={STEPS_BEFORE}"))
        yield run
