"""Volume rendering of one field, or of a static and a dynamic field together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import torch
from jaxtyping import Float, Int
from torch import Tensor

from saff_fast import kernels
from saff_fast.ops import checks
from saff_fast.types import PackedSamples

MAX_GROUPS = 8  # kMaxGroups in cuda_ext/ops/composite.h
FIRST_CHANNEL = 2
"""Columns 0 and 1 of composited sums are opacity and the sum of `weight * centre`."""


@dataclass(frozen=True)
class Emission:
    """What a field emits at samples: density, and any number of channels in up to `MAX_GROUPS` tensors.

    The tensors may be columns of a larger one: rows need not lie next to each other.
    """

    sigmas: Float[Tensor, " n_samples"]
    """Density in inverse units of the sample lengths."""
    values: Sequence[Float[Tensor, "n_samples n_channels"]]
    """Colour, features, flow, ..."""


@dataclass(frozen=True)
class Composited:
    """Rays of one field."""

    sums: Float[Tensor, "n_rays n_columns"]
    """Opacity, sum of `weight * centre`, then the channels in their order; not divided by opacity."""
    weights: Float[Tensor, " n_samples"]
    """Weight of each sample; carries no gradient. Zero for samples that belong to no ray, empty if not asked for."""


def composite(
    emission: Emission,
    deltas: Float[Tensor, " n_samples"],
    centres: Float[Tensor, " n_samples"],
    packed_info: Int[Tensor, "n_rays 2"],
    with_weights: bool = False,
) -> Composited:
    """One field: weights `T a` with `a = 1 - exp(-sigma delta)`, `T_0 = 1`, `T_{i+1} = T_i (1 - a_i)` (NeRF eq. 3).

    Args:
        emission: Densities and channels, all float32 or all float64. Differentiable.
        deltas: Sample lengths; any up to 1e10. Not differentiable.
        centres: Place of each sample along its ray. Not differentiable.
        packed_info: First sample and count of each ray; the ranges must not overlap.
        with_weights: Whether the weights of the samples are wanted, too.

    Raises:
        ValueError: if a shape, dtype or device is wrong, or `deltas` or `centres` requires gradients.
    """
    nowhere = packed_info, torch.zeros_like(packed_info), packed_info.new_empty(0)
    nothing = Emission(emission.sigmas[:0], ())
    unread = deltas  # in place of the blends, which count at dynamic samples only
    return _run(emission, nothing, (unread, deltas, centres), nowhere, with_weights)[0]


def composite_joint(
    static: Emission,
    dynamic: Emission,
    blends: Float[Tensor, " n_samples"],
    deltas: Float[Tensor, " n_samples"],
    centres: Float[Tensor, " n_samples"],
    samples: PackedSamples,
    with_weights: bool = False,
) -> tuple[Composited, Composited]:
    """Two fields with one transmittance, each with its own share of every ray.

    With `a = 1 - exp(-sigma delta)` of each field, the opacities are `alpha_d = v a_d` and `alpha_s = (1 - v) a_s`
    (`v` the blend), the transmittance is `T_0 = 1`, `T_{i+1} = T_i (1 - alpha_d)(1 - alpha_s)`, and the weights are
    `T alpha_s` and `T alpha_d` (NSFF eq. 6 and 7, transmittance as in SAFF). Where both are opaque at one
    sample, the two weights may sum to more than what the sample hides: the published form is kept.

    Nothing is kept per sample between the passes: the backward pass computes the weights again.

    Args:
        static: What the static field emits at all samples, all float32 or all float64. Differentiable.
        dynamic: What the dynamic field emits at `samples.dynamic_indices`, which must ascend. Differentiable.
        blends: Share of the dynamic field in [0, 1]; taken as 0 where there is no dynamic sample. Differentiable.
        deltas: Sample lengths; any up to 1e10. Not differentiable.
        centres: Place of each sample along its ray. Not differentiable.
        samples: Which samples belong to which ray, and which of them are dynamic; the ranges must not overlap.
        with_weights: Whether the weights of the samples are wanted, too.

    Returns:
        The static and the dynamic part.

    Raises:
        ValueError: if a shape, dtype or device is wrong, or `deltas` or `centres` requires gradients.
    """
    places = samples.packed_info, samples.dynamic_packed_info, samples.dynamic_indices
    return _run(static, dynamic, (blends, deltas, centres), places, with_weights)


def _run(
    static: Emission,
    dynamic: Emission,
    lengths: tuple[Tensor, Tensor, Tensor],
    places: tuple[Tensor, Tensor, Tensor],
    with_weights: bool,
) -> tuple[Composited, Composited]:
    _check(static, dynamic, lengths, places)
    samples = [tensor.contiguous() for tensor in (static.sigmas, dynamic.sigmas, *lengths, *places)]
    groups = (_rows(group) for emission in (static, dynamic) for group in emission.values)
    op = composite_op(len(static.values), len(dynamic.values))
    sums_static, sums_dynamic, weights_static, weights_dynamic = op(*samples, *groups, with_weights)
    return Composited(sums_static, weights_static), Composited(sums_dynamic, weights_dynamic)


def _check(
    static: Emission,
    dynamic: Emission,
    lengths: tuple[Tensor, Tensor, Tensor],
    places: tuple[Tensor, Tensor, Tensor],
) -> None:
    name, (blends, deltas, centres) = "composite", lengths
    checks.shape(name, {"n_samples": None}, sigmas=static.sigmas)
    checks.shape(name, {"n_dynamic": None}, sigmas_dynamic=dynamic.sigmas)
    n_samples, n_dynamic = len(static.sigmas), len(dynamic.sigmas)
    checks.shape(name, {"n_samples": n_samples}, deltas=deltas, centres=centres, blends=blends)
    tensors = {"sigmas": static.sigmas, "sigmas_dynamic": dynamic.sigmas}
    tensors |= {"blends": blends, "deltas": deltas, "centres": centres}
    for kind, emission, n in (("values", static, n_samples), ("values_dynamic", dynamic, n_dynamic)):
        if len(emission.values) > MAX_GROUPS:
            raise ValueError(f"{name}: {kind} must be at most {MAX_GROUPS} tensors, got {len(emission.values)}")
        groups = {f"{kind}[{k}]": group for k, group in enumerate(emission.values)}
        checks.shape(name, {"n_samples": n, "n_channels": None}, **groups)
        tensors |= groups
    checks.floats(name, **tensors)
    packed_info, dynamic_packed_info, dynamic_indices = places
    checks.packed_info(name, packed_info)
    checks.shape(name, {"n_rays": packed_info.shape[0], "first_and_count": 2}, dynamic_packed_info=dynamic_packed_info)
    checks.shape(name, {"n_dynamic": n_dynamic}, dynamic_indices=dynamic_indices)
    indices = {"dynamic_packed_info": dynamic_packed_info, "dynamic_indices": dynamic_indices}
    checks.dtype(name, torch.int64, **indices)
    checks.one_device(name, **tensors, packed_info=packed_info, **indices)
    checks.constant(name, deltas=deltas, centres=centres)


def _rows(group: Tensor) -> Tensor:
    """The same values with the channels of a row next to each other."""
    return group if group.stride(1) == 1 or group.shape[1] == 1 else group.contiguous()


def _table(groups: Sequence[Tensor]) -> Tensor:
    """Address (0: none), row stride and number of channels of each group, as the kernels read them."""
    rows = [(group.data_ptr(), group.stride(0), group.shape[1]) for group in groups]
    return torch.tensor(rows, dtype=torch.int64).reshape(-1, 3)


# An op that takes lists of tensors walks through them as trees, which takes longer than the kernel on small batches. So
# there is one op for each number of groups; the inputs of all begin alike.

_SAMPLES = (
    "sigmas",
    "sigmas_dynamic",
    "blends",
    "deltas",
    "centres",
    "packed_info",
    "dynamic_packed_info",
    "dynamic_indices",
)
_N_SAMPLES = len(_SAMPLES)


@cache
def composite_op(n_static: int, n_dynamic: int) -> Callable[..., tuple[Tensor, ...]]:
    """The op for so many groups of channels of the static and of the dynamic field.

    It takes densities of both fields, blends, lengths, centres, `packed_info` of both fields, dynamic indices, the
    groups, static before dynamic, and whether weights are wanted; it gives the sums of both fields, then the weights.
    """
    name = f"saff_fast::composite_{n_static}_{n_dynamic}"
    inputs = ", ".join(f"Tensor {name}" for name in (*_SAMPLES, *(f"values_{k}" for k in range(n_static + n_dynamic))))

    def split(groups: Sequence[Tensor]) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
        return groups[:n_static], groups[n_static:]

    def forward(*inputs):
        return _forward(inputs[:_N_SAMPLES], split(inputs[_N_SAMPLES:-1]), with_weights=inputs[-1])

    def backward(grad_static, grad_dynamic, *inputs):
        grads = grad_static, grad_dynamic
        return _backward(grads, inputs[:_N_SAMPLES], split(inputs[_N_SAMPLES:-1]), needs=inputs[-1])

    def fake(sigmas, sigmas_dynamic, *inputs):
        n_rays, groups, with_weights = len(inputs[3]), inputs[_N_SAMPLES - 2 : -1], inputs[-1]
        return _new_outputs((sigmas, sigmas_dynamic), n_rays, split(groups), with_weights)

    def fake_backward(_static, _dynamic, *inputs):
        groups = _new_grads(inputs[_N_SAMPLES:-1], inputs[-1], torch.empty_like)
        return [*map(torch.empty_like, inputs[:3]), *groups]

    def remember(ctx, inputs, output):
        ctx.save_for_backward(*inputs[:-1])
        ctx.mark_non_differentiable(*output[2:])

    def differentiate(ctx, grad_static, grad_dynamic, *_):
        needs = ctx.needs_input_grad[_N_SAMPLES:-1]
        grads = backward_op(grad_static, grad_dynamic, *ctx.saved_tensors, needs)
        groups = (grad if need else None for grad, need in zip(grads[3:], needs, strict=True))
        return *grads[:3], *[None] * (_N_SAMPLES - 3), *groups, None

    schema = f"({inputs}, bool with_weights) -> (Tensor, Tensor, Tensor, Tensor)"
    op = torch.library.custom_op(name, forward, mutates_args=(), schema=schema)
    schema = f"(Tensor grad_static, Tensor grad_dynamic, {inputs}, bool[] needs) -> Tensor[]"
    backward_op = torch.library.custom_op(f"{name}_backward", backward, mutates_args=(), schema=schema)
    op.register_fake(fake)
    op.register_autograd(differentiate, setup_context=remember)
    backward_op.register_fake(fake_backward)
    return op


_Groups = tuple[Sequence[Tensor], Sequence[Tensor]]
"""Those of the static field, then those of the dynamic field."""


def _forward(samples: Sequence[Tensor], groups: _Groups, with_weights: bool) -> tuple[Tensor, ...]:
    fields, lengths, places = samples[:2], samples[2:5], samples[5:]
    outputs = _new_outputs(fields, len(places[0]), groups, with_weights)
    sums, weights = outputs[:2], [weight.zero_() if with_weights else None for weight in outputs[2:]]
    sizes = len(places[0]), len(fields[0]), len(fields[1])
    tables = (part for values in groups for part in (len(values), _table(values)))
    kernels.call("composite", *sizes, *places, *fields, *lengths, *tables, *sums, *weights, like=fields[0])
    return outputs


def _backward(
    grad_sums: tuple[Tensor, Tensor], samples: Sequence[Tensor], groups: _Groups, needs: Sequence[bool]
) -> list[Tensor]:
    """Gradients of both densities, of the blends, and of each group; `needs` is of the groups."""
    fields, lengths, places = samples[:2], samples[2:5], samples[5:]
    sizes = len(places[0]), len(fields[0]), len(fields[1])
    new = [
        torch.empty_like if _covers(info, len(field)) else torch.zeros_like
        for info, field in zip(places[:2], fields, strict=True)
    ]
    grads = [new[0](fields[0]), new[1](fields[1]), new[0](lengths[0])]
    n_static = len(groups[0])
    grad_groups = _new_grads(groups[0], needs[:n_static], new[0]), _new_grads(groups[1], needs[n_static:], new[1])
    tables = (part for values in groups for part in (len(values), _table(values)))
    targets = *(grad.contiguous() for grad in grad_sums), *grads, *map(_table, grad_groups)
    kernels.call("composite_backward", *sizes, *places, *fields, *lengths, *tables, *targets, like=fields[0])
    return [*grads, *grad_groups[0], *grad_groups[1]]


def _new_outputs(fields: Sequence[Tensor], n_rays: int, groups: _Groups, with_weights: bool) -> tuple[Tensor, ...]:
    sums = (fields[0].new_empty(n_rays, FIRST_CHANNEL + sum(group.shape[1] for group in values)) for values in groups)
    return *sums, *(torch.empty_like(field) if with_weights else field.new_empty(0) for field in fields)


def _new_grads(groups: Sequence[Tensor], needs: Sequence[bool], new: Callable[..., Tensor]) -> list[Tensor]:
    """An empty tensor stands for a gradient that nobody asked for: its address is 0."""
    return [
        new(group, memory_format=torch.contiguous_format) if need else group.new_empty(0, group.shape[1])
        for group, need in zip(groups, needs, strict=True)
    ]


def _covers(packed_info: Tensor, n: int) -> bool:
    """Whether rays lie one behind the other and fill the buffer, so that the kernel writes all of it.

    Where asking would wait for the device the answer is no: there, filling with zeros costs little.
    """
    if packed_info.device.type != "cpu":
        return False
    starts, counts = packed_info.numpy().T  # ten times faster than torch at this size
    ends = counts.cumsum()
    filled = int(ends[-1]) if len(ends) else 0
    return filled == n and bool((starts == ends - counts).all()) and int(packed_info.numpy().min(initial=0)) >= 0
