"""A case: one call of an op with hostile arguments, some of them spoiled so that the op must refuse them."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from hypothesis import strategies as st
from torch import Tensor

from tests.ops.fuzz.hostile import Axes, Source, Spec

Draw = Callable[[st.SearchStrategy], object]

_SIZES = (0, 1, 2, 3, 7, 8, 9, 65, 200)
_LARGE = 100_000
_WRONG_DTYPE = {torch.int64: torch.int32, torch.uint8: torch.int8, torch.bool: torch.uint8}
_REFUSAL = re.compile(r"\w+: .+ must .+, (got .+|it is not differentiated)", re.DOTALL)
"""The argument, what it must be and what it was."""


@dataclass(frozen=True)
class Call:
    """What an entry of the table draws: the call of an op, its tensors not yet made."""

    function: Callable[..., object]
    arguments: dict[str, object]
    """By name. A Spec, or a list of them, becomes tensors; anything else is passed as it is."""
    outputs: list[Axes]
    """The documented shapes of the results; the first that has a name which no argument has says its size."""
    differentiable: tuple[str, ...] = ()
    constant: tuple[str, ...] = ()
    """Floats that must not require gradients."""
    sizes: dict[str, int] = field(default_factory=dict)
    """Sizes of the named axes that an op does not take in every size."""
    acceptable: bool | None = True
    """Whether the op must take the arguments that are no tensors; None: it may refuse them."""


class Case:
    """A call with its tensors."""

    def __init__(self, name: str, call: Call, draw: Draw) -> None:
        self.name, self.call = name, call
        self.source = Source(
            dtype=draw(st.sampled_from((torch.float32, torch.float64))),
            hostile_share=draw(st.sampled_from((0.0, 0.1, 1.0))),
            generator=torch.Generator().manual_seed(draw(st.integers(0, 2**32 - 1))),
        )
        self.specs = {key: _leaves(value) for key, value in call.arguments.items() if _leaves(value)}
        self.sizes = self._draw_sizes(draw)
        self.arguments = {key: self._make(value) for key, value in call.arguments.items()}
        for key in call.differentiable:
            if draw(st.booleans()):
                for tensor in _leaves(self.arguments[key]):
                    tensor.requires_grad_()
        self.spoiled = self._spoil(draw) if call.acceptable and draw(st.integers(0, 3)) == 3 else None

    def __str__(self) -> str:
        """What is passed, in one line."""
        arguments = ", ".join(f"{key}={_describe(value)}" for key, value in self.arguments.items())
        return f"{self.name}({arguments}); hostile values: {self.source.hostile_share:.0%}; spoiled: {self.spoiled}"

    __repr__ = __str__

    def run(self) -> None:
        """Call the op: it must return what it documents, or refuse what is wrong, in the words of the house."""
        try:
            result = self.call.function(**self.arguments)
        except ValueError as error:
            self._check_refusal(str(error))
        else:
            self._check_result(_tensors_of(result))

    def _check_refusal(self, message: str) -> None:
        assert self.spoiled or not self.call.acceptable, f"refused: {message}"
        assert _REFUSAL.fullmatch(message), f"unclear: {message}"

    def _check_result(self, outputs: list[Tensor]) -> None:
        assert not self.spoiled, f"took a wrong argument: {self.spoiled}"
        assert self.call.acceptable is not False, "took a number that is out of range"
        sizes = dict(self.sizes)
        for axes, output in zip(self.call.outputs, outputs, strict=True):
            for axis, size in zip(axes, output.shape, strict=True):
                expected = axis if isinstance(axis, int) else sizes.setdefault(axis, size)
                assert size == expected, f"{axes} came out as {list(output.shape)}"
        self._differentiate([output for output in outputs if output.requires_grad])

    def _differentiate(self, outputs: list[Tensor]) -> None:
        inputs = [tensor for value in self.arguments.values() for tensor in _leaves(value) if tensor.requires_grad]
        if not outputs:
            return
        upstream = [self.source.lay_out(self.source.floats(tuple(output.shape))) for output in outputs]
        torch.autograd.grad(outputs, inputs, upstream)

    def _draw_sizes(self, draw: Draw) -> dict[str, int]:
        axes = {axis for specs in self.specs.values() for spec in specs for axis in spec.axes}
        names = sorted({axis for axis in axes if isinstance(axis, str)} - set(self.call.sizes))
        large = draw(st.sampled_from((*[None] * 100, *names)))  # one axis at a time, and seldom
        usual = _SIZES if large is None else _SIZES[:4]
        return self.call.sizes | {name: _LARGE if name == large else draw(st.sampled_from(usual)) for name in names}

    def _make(self, value: object) -> object:
        if isinstance(value, list):
            return [self._make(item) for item in value]
        if not isinstance(value, Spec):
            return value
        shape = tuple(self.sizes[axis] if isinstance(axis, str) else axis for axis in value.axes)
        return self.source.lay_out(value.fill(self.source, shape, self.sizes))

    def _spoil(self, draw: Draw) -> str | None:
        """Makes one argument wrong and says how; None where that cannot be wrong in the way drawn."""
        key, way = draw(st.sampled_from(sorted(self.specs))), draw(st.sampled_from(sorted(_SPOILS)))
        value = self.arguments[key]
        wrong = _SPOILS[way](self, key, _leaves(value)[0])
        if wrong is None:
            return None
        self.arguments[key] = [wrong, *value[1:]] if isinstance(value, list) else wrong
        return f"{way} of {key}"


def _wrong_dtype(case: Case, key: str, tensor: Tensor) -> Tensor:
    return tensor.to(_WRONG_DTYPE.get(tensor.dtype, torch.bfloat16))


def _other_precision(case: Case, key: str, tensor: Tensor) -> Tensor | None:
    floats = [t for value in case.arguments.values() for t in _leaves(value) if t.is_floating_point()]
    other = torch.float32 if tensor.dtype == torch.float64 else torch.float64
    return tensor.to(other) if tensor.is_floating_point() and len(floats) > 1 else None


def _other_device(case: Case, key: str, tensor: Tensor) -> Tensor | None:
    return tensor.to("meta") if len(case.specs) > 1 else None


def _wrong_rank(case: Case, key: str, tensor: Tensor) -> Tensor:
    return tensor.flatten() if tensor.dim() > 1 else tensor[None]


def _wrong_size(case: Case, key: str, tensor: Tensor) -> Tensor | None:
    every_axis = [axis for specs in case.specs.values() for spec in specs for axis in spec.axes]
    bound = [i for i, axis in enumerate(case.specs[key][0].axes) if isinstance(axis, int) or every_axis.count(axis) > 1]
    if not bound:
        return None
    row = [1 if i == bound[-1] else size for i, size in enumerate(tensor.shape)]
    return torch.cat([tensor, tensor.new_ones(row)], dim=bound[-1])


def _unwanted_gradient(case: Case, key: str, tensor: Tensor) -> Tensor | None:
    return tensor.detach().requires_grad_() if key in case.call.constant else None


_SPOILS = {
    "dtype": _wrong_dtype,
    "precision": _other_precision,
    "device": _other_device,
    "rank": _wrong_rank,
    "size": _wrong_size,
    "gradient": _unwanted_gradient,
}


def _leaves(value: object) -> list:
    """The specs or tensors of an argument."""
    if isinstance(value, list):
        return [leaf for item in value for leaf in _leaves(item)]
    return [value] if isinstance(value, Spec | Tensor) else []


def _tensors_of(result: object) -> list[Tensor]:
    if isinstance(result, Tensor):
        return [result]
    return list(result) if isinstance(result, tuple) else list(vars(result).values())


def _describe(value: object) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_describe, value))}]"
    if not isinstance(value, Tensor):
        return repr(value)
    gradient = ", gradient" if value.requires_grad else ""
    return f"<{str(value.dtype)[6:]} {list(value.shape)}, strides {list(value.stride())}, {value.device}{gradient}>"
