"""Annotations from which torch.library infers an op's schema: torch 2.6 knows lists by their `typing` names only."""

import typing

from torch import Tensor

Bools = typing.List[bool]  # noqa: UP006
Floats = typing.List[float]  # noqa: UP006
Ints = typing.List[int]  # noqa: UP006
Tensors = typing.List[Tensor]  # noqa: UP006
