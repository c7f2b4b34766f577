"""Files of pretrained weights: where they may lie, what is in them, and whether that is the network asked for."""

import os
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn

from saff_fast.errors import UserError

State = dict[str, Tensor]
"""Parameters and buffers by name."""

_WRAPPERS = ("model", "state_dict")
"""Names under which training scripts put the parameters beside an optimiser and the like."""
_PARALLEL = "module."
"""What `nn.DataParallel` puts before every name."""
_COUNTER = "num_batches_tracked"
"""A buffer of batch normalisation that older files lack and that inference does not read."""
_SHOWN = 3


@dataclass(frozen=True)
class WeightsSource:
    """Where the weights of one network come from."""

    network: str
    option: str
    """The option of `saff-fast prepare` that takes the file."""
    files: tuple[str, ...] = ()
    """Names the file has in the checkpoints of torch.hub."""
    repository: str | None = None
    """Where on the Hugging Face hub it comes from: owner and name."""

    def find(self) -> Path | None:
        """The first file in the local caches of the two hubs; nothing is downloaded."""
        home = Path.home()
        torch_home = Path(os.environ.get("TORCH_HOME", home / ".cache" / "torch"))
        candidates = [torch_home / "hub" / "checkpoints" / name for name in self.files]
        if self.repository is not None:
            cache = Path(os.environ.get("HF_HOME", home / ".cache" / "huggingface")) / "hub"
            snapshots = cache / f"models--{self.repository.replace('/', '--')}" / "snapshots"
            for name in ("model.safetensors", "pytorch_model.bin", *self.files):
                candidates += sorted(snapshots.glob(f"*/{name}"))
        return next((path for path in candidates if path.is_file()), None)

    def how_to_get(self) -> str:
        """Which file is needed, where it is looked for and which option takes it: the end of a sentence."""
        places = [f"{' or '.join(self.files)} in ~/.cache/torch/hub/checkpoints"] if self.files else []
        places += [f"{self.repository} in the Hugging Face cache"] if self.repository else []
        return ", or ".join([*(["put " + ", or ".join(places)] if places else []), f"pass the file with {self.option}"])


def read_state(path: Path) -> State:
    """Parameters of a safetensors or PyTorch file, out of what training scripts wrap around them.

    Raises:
        UserError: The file cannot be read or does not hold named tensors. No code in it is run.
    """
    try:
        if path.suffix == ".safetensors":
            found = load(path.read_bytes())
        else:
            found = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, ValueError, pickle.UnpicklingError, SafetensorError) as error:
        raise UserError(
            f"{path} must be a file of weights (.pth, .pt, .bin or .safetensors), but it does not load "
            f"({type(error).__name__}); download it again."
        ) from error
    while isinstance(found, Mapping) and (inner := next((key for key in _WRAPPERS if key in found), None)):
        found = found[inner]
    if not isinstance(found, Mapping) or not all(isinstance(value, Tensor) for value in found.values()):
        raise UserError(f"{path} must hold the parameters of a network by name, but it holds something else.")
    return {str(name).removeprefix(_PARALLEL): value for name, value in found.items()}


def load_weights(module: nn.Module, state: State, path: Path, network: str) -> None:
    """Give a module the parameters of a file; it is in evaluation mode then.

    Args:
        module: Its names must be those of `state`.
        state: From `read_state`, maybe renamed.
        path: Where `state` is from, for the message.
        network: What the module is called, for the message.

    Raises:
        UserError: The file is that of another network; the first names that are missing, foreign or of another shape.
    """
    wanted = module.state_dict()
    missing = [name for name in wanted if name not in state and not name.endswith(_COUNTER)]
    foreign = [name for name in state if name not in wanted]
    shapes = [
        f"{name} {_shape(state[name])} instead of {_shape(value)}"
        for name, value in wanted.items()
        if name in state and state[name].shape != value.shape
    ]
    parts = (("missing", missing), ("not of this network", foreign), ("of another shape", shapes))
    problems = [f"{len(names)} parameters are {what} ({_first(names)})" for what, names in parts if names]
    if problems:
        raise UserError(f"{path} must hold the weights of {network}, but {', '.join(problems)}; pass another file.")
    module.load_state_dict(state, strict=False)
    module.eval().requires_grad_(False)


def _first(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")


def _shape(value: Tensor) -> str:
    return " x ".join(str(side) for side in value.shape) or "scalar"
