"""What fills the arguments of a case: tensors whose values, and whose place in memory, are as bad as a caller's can be.

Hypothesis draws the few numbers that say what a case is, and a torch generator fills the tensors: drawing every value
would take most of the time and make no case harder.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Axes = tuple[str | int, ...]
"""The axes of a tensor: a size, or a name that means the same size wherever it stands in a call."""

_FLOATS = (0.0, 1.0, -1.0, 0.5, float("nan"), float("inf"), -float("inf"), 1e-45, 5e-324, 1e-8, 1 + 1e-7, 1e10, 1e30)
_EDGES = (-1e30, 3.4e38, 2.0**24, 2.0**31, -(2.0**31), 2.0**32, 2.0**63, -(2.0**63), 1.7e308)
_INTEGERS = (0, 1, -1, 7, 2**31, -(2**31), 2**32, 2**62, 2**63 - 1, -(2**63))


@dataclass
class Source:
    """Random tensors of one case."""

    dtype: torch.dtype
    """Of its floats."""
    hostile_share: float
    """Of the values."""
    generator: torch.Generator

    def pick(self, values: tuple, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """Entries drawn from `values`."""
        return torch.tensor(values, dtype=dtype)[torch.randint(len(values), shape, generator=self.generator)]

    def mix(self, hostile: Tensor, usual: Tensor) -> Tensor:
        """`usual` with its share of hostile entries."""
        return torch.where(torch.rand(usual.shape, generator=self.generator) < self.hostile_share, hostile, usual)

    def floats(self, shape: tuple[int, ...]) -> Tensor:
        """Numbers in and around the unit interval, and hostile ones."""
        usual = torch.rand(shape, generator=self.generator, dtype=self.dtype) * 1.4 - 0.2
        if not self.hostile_share:
            return usual
        return self.mix(self.pick(_FLOATS + _EDGES, shape, self.dtype), usual)

    def lay_out(self, tensor: Tensor) -> Tensor:
        """The same tensor in memory that is transposed, strided, repeated or not aligned."""
        layout = int(torch.randint(5, (), generator=self.generator))
        if layout == 0:
            return tensor.transpose(0, -1).contiguous().transpose(0, -1)
        if layout == 1:
            return torch.stack([tensor, tensor], dim=-1)[..., 0]
        if layout == 2:
            return tensor[:1].expand_as(tensor)
        if layout == 3:
            return torch.cat([tensor.new_empty(1), tensor.flatten()])[1:].view_as(tensor)
        return tensor


@dataclass(frozen=True)
class Spec:
    """A tensor argument: its axes, and what fills it, given its shape and the sizes of all axes."""

    axes: Axes
    fill: Callable[[Source, tuple[int, ...], dict[str, int]], Tensor]


def floats(*axes: str | int) -> Spec:
    """A float argument; those of one case have one dtype."""
    return Spec(axes, lambda source, shape, sizes: source.floats(shape))


def indices(*axes: str | int) -> Spec:
    """An int64 argument, mostly far out of any range."""
    return Spec(axes, lambda source, shape, sizes: source.pick(_INTEGERS, shape, torch.int64))


def bits(*axes: str | int) -> Spec:
    """A uint8 argument."""
    return Spec(axes, lambda source, shape, sizes: source.pick((0, 255, 90), shape, torch.uint8))


def booleans(*axes: str | int) -> Spec:
    """A boolean argument."""
    return Spec(axes, lambda source, shape, sizes: source.pick((False, True), shape, torch.bool))


def packed_info(samples: str = "n_samples") -> Spec:
    """First sample and count of each ray: a partition of the samples, with rays that overlap it or lie outside."""

    def fill(source: Source, shape: tuple[int, ...], sizes: dict[str, int]) -> Tensor:
        n_rays, n_samples = shape[0], sizes[samples]
        cuts = torch.randint(n_samples + 1, (max(n_rays - 1, 0),), generator=source.generator).sort().values
        bounds = torch.cat([torch.zeros(1, dtype=torch.int64), cuts, torch.tensor([n_samples])])[: n_rays + 1]
        partition = torch.stack([bounds[:n_rays], bounds.diff()[:n_rays]], dim=-1)
        nonsense = (*_INTEGERS, n_samples // 2, n_samples, n_samples + 1)
        return source.mix(source.pick(nonsense, shape, torch.int64), partition)

    return Spec(("n_rays", 2), fill)
