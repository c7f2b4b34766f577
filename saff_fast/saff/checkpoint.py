"""Published checkpoints, `360000.tar`: torch dictionaries of both networks' parameters (SAFF, method section 6.3)."""

import pickle
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from saff_fast.errors import UserError
from saff_fast.fields.reference_field import ReferenceField, ReferenceFieldConfig

_NETWORKS = {"static": "network_rigid", "dynamic": "network_fn_state_dict"}
_N_DIMS = {"static": 3, "dynamic": 4}
_NOWHERE_SALIENT = -100.0
"""Bias of a saliency head that a checkpoint lacks: its sigmoid is 0."""


@dataclass(frozen=True)
class PublishedCheckpoint:
    """What a published checkpoint holds."""

    step: int
    config: ReferenceFieldConfig
    """Sizes as in the file."""
    field: ReferenceField


def read_checkpoint(path: Path, config: ReferenceFieldConfig, n_frames: int) -> PublishedCheckpoint:
    """The networks of a published checkpoint. Only tensors and numbers are read; nothing is ever unpickled.

    Depth, width, frequencies, the depth of the semantic head and its channels follow from the shapes. Without a
    saliency head nothing is salient, without a semantic head there are no channels.

    Args:
        path: The file.
        config: What the file does not tell: `tanh`, `static_part`, `n_samples`.
        n_frames: Frames that the networks were trained on, which the file does not tell either.

    Raises:
        UserError: if the file is no such checkpoint, naming what is missing or does not fit.
    """
    content = _load(path)
    missing = [key for key in ("global_step", *_NETWORKS.values()) if key not in content]
    if missing:
        raise UserError(f"{path}: must be a checkpoint of SAFF, but lacks {_listed(missing)}; give its 360000.tar")
    networks = {part: _network(path, key, content[key]) for part, key in _NETWORKS.items()}
    config = _sizes(path, networks["dynamic"], config)
    field = ReferenceField(config, n_frames, _n_semantic(networks["dynamic"]))
    for part, parameters in networks.items():
        network = getattr(field, part)
        if "sal_linear.weight" not in parameters:
            _make_silent(network.sal_linear)
            parameters |= {f"sal_linear.{name}": value for name, value in network.sal_linear.state_dict().items()}
        if not _n_semantic(parameters):
            parameters |= {name: value for name, value in network.state_dict().items() if "dino_linears" in name}
        _check(path, part, parameters, network)
        network.load_state_dict(parameters)
    return PublishedCheckpoint(int(content["global_step"]), config, field)


def _load(path: Path) -> Mapping[str, Any]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise UserError(f"{path} must be a checkpoint of SAFF, but there is no such file") from error
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{path}: must hold tensors and numbers only, but holds other objects, which could run code when they are "
            "loaded, so it was not loaded; save the networks' state_dicts again"
        ) from error
    except Exception as error:  # torch.load raises whatever its parts raise
        raise UserError(
            f"{path}: must be a checkpoint of SAFF as torch.save writes it, but it is damaged or something else; "
            "copy it again"
        ) from error
    if not isinstance(content, Mapping):
        raise UserError(f"{path}: must be a checkpoint of SAFF, a dictionary, but holds a {type(content).__name__}")
    return content


def _network(path: Path, key: str, values: object) -> dict[str, Tensor]:
    if not isinstance(values, Mapping) or not all(isinstance(value, Tensor) for value in values.values()):
        raise UserError(f"{path}: {key} must map names to tensors, but it does not; give SAFF's 360000.tar")
    parameters = {str(name).removeprefix("module."): value.float() for name, value in values.items()}
    if "output_linear.weight" in parameters:
        raise UserError(f"{path}: {key} has output_linear, so it was trained without use_viewdirs; train it with")
    return parameters


def _sizes(path: Path, dynamic: dict[str, Tensor], config: ReferenceFieldConfig) -> ReferenceFieldConfig:
    try:
        width, n_in = dynamic["pts_linears.0.weight"].shape
        n_views = dynamic["views_linears.0.weight"].shape[1] - width
        return replace(
            config,
            depth=sum(name.startswith("pts_linears.") and name.endswith(".weight") for name in dynamic),
            width=width,
            n_bands=(n_in // _N_DIMS["dynamic"] - 1) // 2,
            n_bands_views=(n_views // 3 - 1) // 2,
            deep_semantics="dino_linears.1.weight" in dynamic,
        )
    except KeyError as error:
        raise UserError(f"{path}: {_NETWORKS['dynamic']} lacks {error}; give SAFF's 360000.tar") from error
    except ValueError as error:
        raise UserError(f"{path}: {_NETWORKS['dynamic']} has sizes that SAFF cannot have: {error}") from error


def _n_semantic(parameters: dict[str, Tensor]) -> int:
    heads = [value for name, value in sorted(parameters.items()) if name.startswith("dino_linears.") and "bias" in name]
    return len(heads[-1]) if heads else 0


@torch.no_grad()
def _make_silent(head: nn.Linear) -> None:
    head.weight.zero_()
    head.bias.fill_(_NOWHERE_SALIENT)


def _check(path: Path, part: str, parameters: dict[str, Tensor], network: nn.Module) -> None:
    """UserError with the names that the network needs and the file lacks, or the other way round, or other shapes."""
    expected = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    missing, strange = sorted(expected.keys() - parameters.keys()), sorted(parameters.keys() - expected.keys())
    if missing or strange:
        lacks = [f"lacks {_listed(missing)}"] if missing else []
        has = [f"has {_listed(strange)} besides"] if strange else []
        raise UserError(f"{path}: {_NETWORKS[part]} {' and '.join([*lacks, *has])}; give SAFF's 360000.tar")
    for name, shape in expected.items():
        if tuple(parameters[name].shape) != shape:
            found = tuple(parameters[name].shape)
            raise UserError(f"{path}: {_NETWORKS[part]}: {name} must have shape {shape}, but has {found}")


def _listed(names: list[str]) -> str:
    return ", ".join(names)
