"""Training as a whole: from a scene folder to a run folder."""

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import MappingProxyType

import torch

from saff_fast.backends import resolve_device
from saff_fast.distributed import by_first, rank, take_device, together
from saff_fast.scene.reader import read_scene
from saff_fast.scene.scene import Scene
from saff_fast.train.config import ExperimentConfig
from saff_fast.train.frames import check_frames
from saff_fast.train.memory import keep_freed_memory
from saff_fast.train.missing import missing_priors
from saff_fast.train.objective import losses_off
from saff_fast.train.record import Notice, Record, Report
from saff_fast.train.run_folder import environment, open_run, sole_writer
from saff_fast.train.tensorboard import TensorBoard
from saff_fast.train.trainer import Trainer


def train(
    scene_folder: Path,
    run: Path,
    config: ExperimentConfig,
    report: Report = lambda _: None,
    notice: Notice = lambda _: None,
    tensorboard: bool = False,
    notes: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Train on a scene folder until its steps or its time are over, resuming what `run` already holds.

    On one CPU machine the result depends on the configuration and the seed alone: interrupted and resumed, the run ends
    in the state of an uninterrupted one, bit for bit. Several processes that have met (`distributed.joined`) share the
    work; they end in the same state as one does, up to rounding.

    Args:
        scene_folder: The prepared scene.
        run: The run folder, made if it is not there.
        config: The resolved configuration.
        report: Called after every logged step, in the first process.
        notice: Told in a sentence what the user should know, in the first process.
        tensorboard: Whether to write `run/tensorboard`.
        notes: Texts to leave beside the configuration, by file name.

    Raises:
        UserError: if the scene, the run folder, the device or a backend cannot be used, the losses stay not finite, or
            another process has ended.
    """
    keep_freed_memory()
    scene = together(lambda: _read(scene_folder, config))
    device = scene.images.device
    backend = config.backend.resolved(device.type)
    with ExitStack() as stack:
        board = together(lambda: stack.enter_context(TensorBoard(run / "tensorboard"))) if tensorboard else None
        by_first(lambda: open_run(run, scene_folder, config, environment(device, backend)))
        by_first(lambda: stack.enter_context(sole_writer(run)))
        by_first(lambda: _leave(notes, run))
        trainer = together(lambda: Trainer(scene, run, config))
        record = Record(run, report, notice, board) if rank() == 0 else None
        if record is not None:
            for sentence in (*missing_priors(scene), *losses_off(config)):
                record.notice(sentence)
        trainer.run(record)


def _leave(notes: Mapping[str, str], run: Path) -> None:
    for name, text in notes.items():
        (run / name).write_text(text, encoding="utf-8")


def _read(folder: Path, config: ExperimentConfig) -> Scene:
    """The scene on the device of this process, checked."""
    if config.train.device != "cpu" and torch.cuda.is_available():
        take_device()
    device = resolve_device(config.train.device)
    config.backend.resolved(device.type)
    scene = read_scene(folder, config.train.height)
    check_frames(len(scene), config.train)
    return scene.to(device)
