"""Checkpoints: safetensors files with everything that training and inference need; nothing is ever unpickled."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from saff_fast.errors import UserError
from saff_fast.files import atomic_path

_KEPT = 2


@dataclass(frozen=True)
class Checkpoint:
    """State of a run after `step` steps."""

    step: int
    seconds: float
    """Time spent training, over all sessions of the run."""
    facts: dict[str, Any]
    """What the session that wrote it ran: configuration, scene, device, backends (JSON values)."""
    tensors: dict[str, Tensor]
    step_size: float = 1.0
    """Factor on the learning rate: halved each time that the run had to go back."""
    good_step: int | None = None
    """The step whose checkpoint the run goes back to, 0 for its beginning; None for this one."""


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write `step_<step>.safetensors`, then point `latest` to it, then drop what no run goes on from.

    Kept are the two newest, and the one to go back to. A crash, a full disk or a kill at any moment leaves the previous
    checkpoint valid and pointed to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = _path(folder, checkpoint.step)
    metadata = {
        "step": str(checkpoint.step),
        "seconds": repr(checkpoint.seconds),
        "facts": json.dumps(checkpoint.facts, sort_keys=True),
        "step_size": repr(checkpoint.step_size),
    }
    if checkpoint.good_step is not None:
        metadata["good_step"] = str(checkpoint.good_step)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in checkpoint.tensors.items()}
    try:
        with atomic_path(path, durable=True) as partial:
            save_file(tensors, partial, metadata)
        with atomic_path(folder / "latest", durable=True) as partial:
            partial.write_text(path.name + "\n")
    except (OSError, SafetensorError) as error:
        raise UserError(
            f"{path}: the checkpoint could not be written ({error}); the previous one is still valid: "
            "free some space and run the same command again to resume"
        ) from error
    written = sorted(folder.glob("step_*.safetensors"))
    until_now = [other for other in written if other <= path]  # later ones belong to a future that the run has left
    kept = set(until_now[-_KEPT:])
    if checkpoint.good_step is not None:
        kept.add(_path(folder, checkpoint.good_step))
    for other in set(written) - kept:
        other.unlink()


def load_checkpoint(folder: Path, step: int | None = None) -> Checkpoint | None:
    """The checkpoint that `latest` points to, or that of a step; None if there is none.

    Raises:
        UserError: if the file is missing or damaged.
    """
    pointer = folder / "latest"
    if not pointer.is_file():
        return None
    path = folder / pointer.read_text().strip() if step is None else _path(folder, step)
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata()
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, not a dict
        good_step = metadata.get("good_step")
        return Checkpoint(
            int(metadata["step"]),
            float(metadata["seconds"]),
            json.loads(metadata["facts"]),
            tensors,
            float(metadata.get("step_size", "1")),
            None if good_step is None else int(good_step),
        )
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{path}: must be a checkpoint of saff-fast but cannot be read ({error}); "
            f"point {pointer} to an older one in that folder or train again in a new folder"
        ) from error


def _path(folder: Path, step: int) -> Path:
    return folder / f"step_{step:08d}.safetensors"


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimiser's state as flat names `optimiser.<parameter>.<quantity>`."""
    return {
        f"optimiser.{index}.{name}": value
        for index, state in optimiser.state_dict()["state"].items()
        for name, value in state.items()
    }


def restore_optimiser(optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put `optimiser_tensors` back."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith("optimiser."):
            _, index, name = key.split(".")
            state.setdefault(int(index), {})[name] = value
    optimiser.load_state_dict({**optimiser.state_dict(), "state": state})
