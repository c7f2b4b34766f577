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


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write `step_<step>.safetensors`, then point `latest` to it, then drop all but the two newest.

    A crash, a full disk or a kill at any moment leaves the previous checkpoint valid and pointed to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"step_{checkpoint.step:08d}.safetensors"
    metadata = {
        "step": str(checkpoint.step),
        "seconds": repr(checkpoint.seconds),
        "facts": json.dumps(checkpoint.facts, sort_keys=True),
    }
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
    for old in sorted(folder.glob("step_*.safetensors"))[:-_KEPT]:
        old.unlink()


def load_checkpoint(folder: Path) -> Checkpoint | None:
    """The checkpoint that `latest` points to, or None if there is none.

    Raises:
        UserError: if the file is missing or damaged.
    """
    pointer = folder / "latest"
    if not pointer.is_file():
        return None
    path = folder / pointer.read_text().strip()
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata()
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, not a dict
        return Checkpoint(int(metadata["step"]), float(metadata["seconds"]), json.loads(metadata["facts"]), tensors)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{path}: must be a checkpoint of saff-fast but cannot be read ({error}); "
            f"point {pointer} to an older one in that folder or train again in a new folder"
        ) from error


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
