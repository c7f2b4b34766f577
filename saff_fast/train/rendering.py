"""A finished run, ready to be rendered."""

from pathlib import Path

from saff_fast.backends import Device, resolve_device
from saff_fast.errors import UserError
from saff_fast.train.borders import extend_static
from saff_fast.train.checkpoint import load_checkpoint
from saff_fast.train.memory import keep_freed_memory
from saff_fast.train.model import SceneModel, restore_model
from saff_fast.train.run_folder import read_config, read_meta
from saff_fast.train.untrained import carry_occupancy


def load_run(run: Path, device: Device = "auto") -> SceneModel:
    """The trained model of a run, ready to render trained and untrained times.

    Args:
        run: The run folder, trained on any device.
        device: Where to render.

    Raises:
        UserError: if the folder holds no finished checkpoint, or the device or the run's backends cannot be used.
    """
    keep_freed_memory()
    read_meta(run)
    checkpoint = load_checkpoint(run / "checkpoints")
    if checkpoint is None:
        raise UserError(f"{run}: holds no checkpoint yet; run `saff-fast train` on it first")
    config = read_config(run)
    where = resolve_device(device)
    held_out = config.train.hold_out
    model = restore_model(config.field, config.occupancy, checkpoint.tensors, run, config.backend, where, held_out)
    extend_static(model)
    carry_occupancy(model)
    return model
