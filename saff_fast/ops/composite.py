"""Volume rendering of one field, or of a static and a dynamic field together."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from saff_fast import kernels
from saff_fast.ops import checks
from saff_fast.ops.schema import Bools, Tensors
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
    values = [[_rows(group) for group in emission.values] for emission in (static, dynamic)]
    sums_static, sums_dynamic, weights_static, weights_dynamic = _composite(*samples, *values, with_weights)
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


# Lists of tensors are what an op is slow to take: only the groups, whose number is open, come as lists.


@torch.library.custom_op("saff_fast::composite", mutates_args=())
def _composite(  # noqa: PLR0913 (see above)
    sigmas: Tensor,
    sigmas_dynamic: Tensor,
    blends: Tensor,
    deltas: Tensor,
    centres: Tensor,
    packed_info: Tensor,
    dynamic_packed_info: Tensor,
    dynamic_indices: Tensor,
    values_static: Tensors,
    values_dynamic: Tensors,
    with_weights: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    places, samples = (packed_info, dynamic_packed_info, dynamic_indices), (blends, deltas, centres)
    sizes = packed_info.shape[0], sigmas.shape[0], sigmas_dynamic.shape[0]
    values = values_static, values_dynamic
    sums = [sigmas.new_empty(sizes[0], _n_columns(groups)) for groups in values]
    fields = sigmas, sigmas_dynamic
    weights = [torch.zeros_like(field) if with_weights else field.new_empty(0) for field in fields]
    tables = (part for groups in values for part in (len(groups), _table(groups)))
    targets = (weight if with_weights else None for weight in weights)
    kernels.call("composite", *sizes, *places, *fields, *samples, *tables, *sums, *targets, like=sigmas)
    return sums[0], sums[1], weights[0], weights[1]


@torch.library.custom_op("saff_fast::composite_backward", mutates_args=())
def _composite_backward(  # noqa: PLR0913 (see above)
    grad_sums_static: Tensor,
    grad_sums_dynamic: Tensor,
    sigmas: Tensor,
    sigmas_dynamic: Tensor,
    blends: Tensor,
    deltas: Tensor,
    centres: Tensor,
    packed_info: Tensor,
    dynamic_packed_info: Tensor,
    dynamic_indices: Tensor,
    values_static: Tensors,
    values_dynamic: Tensors,
    needs: Bools,
) -> Tensors:
    """Gradients of both densities, of the blends, and of each group, static before dynamic; `needs` is of groups."""
    places, samples = (packed_info, dynamic_packed_info, dynamic_indices), (blends, deltas, centres)
    sizes = packed_info.shape[0], sigmas.shape[0], sigmas_dynamic.shape[0]
    whole = _covers(packed_info, sizes[1]), _covers(dynamic_packed_info, sizes[2])
    empty = [torch.empty_like if covered else torch.zeros_like for covered in whole]
    grads = [empty[0](sigmas), empty[1](sigmas_dynamic), empty[0](blends)]
    n_static = len(values_static)
    # An empty tensor stands for a gradient that nobody asked for: its address is 0.
    grad_values = [
        empty[k >= n_static](group, memory_format=torch.contiguous_format)
        if needs[k]
        else group.new_empty(0, group.shape[1])
        for k, group in enumerate([*values_static, *values_dynamic])
    ]
    inputs = *places, sigmas, sigmas_dynamic, *samples
    tables = n_static, _table(values_static), len(values_dynamic), _table(values_dynamic)
    targets = *grads, _table(grad_values[:n_static]), _table(grad_values[n_static:])
    upstream = grad_sums_static.contiguous(), grad_sums_dynamic.contiguous()
    kernels.call("composite_backward", *sizes, *inputs, *tables, *upstream, *targets, like=sigmas)
    return [*grads, *grad_values]


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


def _n_columns(values: Sequence[Tensor]) -> int:
    return FIRST_CHANNEL + sum(group.shape[1] for group in values)


@_composite.register_fake
def _(sigmas, sigmas_dynamic, *inputs):
    packed_info, (*values, with_weights) = inputs[3], inputs[6:]
    sums = [sigmas.new_empty(len(packed_info), _n_columns(groups)) for groups in values]
    fields = sigmas, sigmas_dynamic
    weights = [torch.empty_like(field) if with_weights else field.new_empty(0) for field in fields]
    return sums[0], sums[1], weights[0], weights[1]


@_composite_backward.register_fake
def _(_static, _dynamic, sigmas, sigmas_dynamic, blends, *inputs):
    values_static, values_dynamic, needs = inputs[5:]
    groups = zip([*values_static, *values_dynamic], needs, strict=True)
    grad_values = [g.new_empty(g.shape) if need else g.new_empty(0, g.shape[1]) for g, need in groups]
    return [*map(torch.empty_like, (sigmas, sigmas_dynamic, blends)), *grad_values]


_N_SAMPLES = 8
"""Inputs of the op that are not lists."""


def _setup_context(ctx, inputs, output):
    values_static, values_dynamic = inputs[_N_SAMPLES : _N_SAMPLES + 2]
    ctx.n_static = len(values_static)
    ctx.save_for_backward(*inputs[:_N_SAMPLES], *values_static, *values_dynamic)
    ctx.mark_non_differentiable(*output[2:])


def _backward(ctx, grad_static, grad_dynamic, *_):
    samples, groups = ctx.saved_tensors[:_N_SAMPLES], ctx.saved_tensors[_N_SAMPLES:]
    values = list(groups[: ctx.n_static]), list(groups[ctx.n_static :])
    needs = [need for part in ctx.needs_input_grad[_N_SAMPLES : _N_SAMPLES + 2] for need in part]
    grads = _composite_backward(grad_static, grad_dynamic, *samples, *values, needs)
    grad_groups = [grad if need else None for grad, need in zip(grads[3:], needs, strict=True)]
    constants = [None] * (_N_SAMPLES - 3)
    return *grads[:3], *constants, grad_groups[: ctx.n_static], grad_groups[ctx.n_static :], None


_composite.register_autograd(_backward, setup_context=_setup_context)
