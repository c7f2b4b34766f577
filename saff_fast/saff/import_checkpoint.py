"""A published checkpoint as a run, which everything that works on a run works on."""

from dataclasses import asdict, replace
from pathlib import Path

import torch

from saff_fast.errors import UserError
from saff_fast.geometry.spaces import NdcSpace
from saff_fast.render.sampling import UniformSampler
from saff_fast.saff.checkpoint import PublishedCheckpoint, read_checkpoint
from saff_fast.scene.layout import scene_name
from saff_fast.scene.reader import n_semantic_channels, read_published_cameras
from saff_fast.train.checkpoint import Checkpoint, save_checkpoint
from saff_fast.train.config import ExperimentConfig
from saff_fast.train.model import SceneModel
from saff_fast.train.run_folder import environment, open_run

_CPU = torch.device("cpu")


def import_checkpoint(path: Path, scene: Path, run: Path, config: ExperimentConfig) -> PublishedCheckpoint:
    """Write the run folder of a published checkpoint, with the cameras, in the space, that it was trained with.

    Args:
        path: The published file.
        scene: The scene that it was trained on, with as many frames as the training took.
        run: Folder to make.
        config: Height of its pictures, and what of `field.reference` the file does not tell.

    Raises:
        UserError: if the file is no published checkpoint or does not fit the scene, or if `run` is there already.
    """
    if run.exists() and (run.is_file() or any(run.iterdir())):
        raise UserError(f"{run}: the run folder must be new, but it exists; choose another --out")
    cameras = read_published_cameras(scene, config.train.height)
    published = read_checkpoint(path, config.field.reference, len(cameras))
    _check_channels(path, published, scene)
    field = replace(config.field, kind="reference", reference=published.config)
    config = replace(config, field=field, train=replace(config.train, steps=max(published.step, 1)))
    try:
        space = NdcSpace.published(cameras)
    except ValueError as error:
        raise UserError(f"{scene}: the cameras must all face one way, but some look backwards") from error
    model = SceneModel(published.field, UniformSampler(published.config.n_samples), cameras, space)
    backend = config.backend.resolved("cpu")
    open_run(run, scene, config, environment(_CPU, backend) | {"imported": str(path.resolve())})
    facts = {"config": asdict(config), "scene": scene_name(scene), "device": "cpu", "backend": asdict(backend)}
    save_checkpoint(run / "checkpoints", Checkpoint(published.step, 0.0, facts, model.tensors()))
    return published


def _check_channels(path: Path, published: PublishedCheckpoint, scene: Path) -> None:
    """A scene without semantics fits every checkpoint: SAFF computes them when it starts, and writes none."""
    here, there = n_semantic_channels(scene), published.field.static_semantics.out_features
    if here is not None and there and here != there:
        raise UserError(
            f"{path}: must have as many semantic channels as {scene} has, {here}, but has {there}; "
            "make the scene's semantics with that number, or remove its semantics/"
        )
