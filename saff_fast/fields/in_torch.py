"""The backend `torch`: hash encoding and network in plain torch, on any device."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from saff_fast.ops import FlowSamples, HashGridLayout

_PRIMES = (1, 2654435761, 805459861, 3674653429)  # Instant-NGP, eq. 4; the first axis keeps its coherence
_GRADIENT_SCALE = 1024.0


def hash_encode(
    positions: Float[Tensor, "n_samples n_dims"], table: Float[Tensor, "n_entries n_features"], layout: HashGridLayout
) -> Float[Tensor, "n_samples n_outputs"]:
    """What `saff_fast.ops.hash_encode` computes, with one index_select a level."""
    points = in_unit_cube(positions)
    levels = range(layout.n_levels)
    return torch.cat([_encode_level(points, table, layout, level) for level in levels], dim=1)


def placed(
    displaced: Float[Tensor, "n_neighbours n 3"],
    times: Float[Tensor, "n_neighbours n"],
    encodings: Float[Tensor, "n_neighbours n n_outputs"],
) -> FlowSamples:
    """What `saff_fast.ops.flow_sample` says of displaced samples, whose encodings are known, without occupancy."""
    inside = ((displaced >= 0) & (displaced <= 1)).all(-1) & (times >= 0) & (times <= 1)
    outside = (displaced - displaced.clamp(0, 1)).abs().sum(-1)
    return FlowSamples(displaced, encodings, inside.to(displaced), torch.ones_like(times), outside)


def in_unit_cube(positions: Tensor) -> Tensor:
    """`positions` clamped to the unit cube, where their gradient is zero; NaN counts as 0."""
    return positions.nan_to_num(nan=0.0).clamp(0, 1)


def _encode_level(points: Tensor, table: Tensor, layout: HashGridLayout, level: int) -> Tensor:
    """Interpolation on one level; the corners of a cell double with each axis."""
    first, end = layout.offsets[level : level + 2]
    resolution = layout.resolutions[level]
    is_dense = math.prod(resolution) <= end - first
    index = torch.zeros(len(points), 1, dtype=torch.int64, device=points.device)
    weights = torch.ones_like(points[:, :1])
    for axis, scale in enumerate(layout.scales[level]):
        place = points[:, axis] * scale + 0.5
        lower = place.detach().floor()
        fraction = place - lower
        factor = math.prod(resolution[:axis]) if is_dense else _PRIMES[axis]
        along = torch.stack([lower, lower + 1], dim=1).long() * factor
        index, along = index.unsqueeze(2), along.unsqueeze(1)
        index = (index + along if is_dense else index ^ along).flatten(1)
        weights = (weights.unsqueeze(2) * torch.stack([1 - fraction, fraction], dim=1).unsqueeze(1)).flatten(1)
    entries = table[first:end].index_select(0, (index % (end - first)).flatten()).unflatten(0, index.shape)
    return (weights.unsqueeze(2) * entries).sum(1)


def mlp(inputs: Float[Tensor, "n d_in"], weights: list[Tensor], biases: list[Tensor]) -> Float[Tensor, "n d_out"]:
    """What `saff_fast.ops.mlp` computes; in half precision for float32 tensors on CUDA."""
    in_half = inputs.is_cuda and inputs.dtype == torch.float32
    return half_mlp(inputs, weights, biases) if in_half else _layers(inputs, weights, biases)


def half_mlp(inputs: Float[Tensor, "n d_in"], weights: list[Tensor], biases: list[Tensor]) -> Float[Tensor, "n d_out"]:
    """The same with float16 products, sums in float32, and float32 parameters and results.

    Gradients of a mean over a batch are too small for float16, so they are larger by a constant inside.
    """

    def lower(tensor: Tensor) -> Tensor:
        return _ScaledGradient.apply(tensor, 1 / _GRADIENT_SCALE).half()

    outputs = _layers(lower(inputs), [lower(weight) for weight in weights], [lower(bias) for bias in biases])
    return _ScaledGradient.apply(outputs.float(), _GRADIENT_SCALE)


def _layers(inputs: Tensor, weights: list[Tensor], biases: list[Tensor]) -> Tensor:
    for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
        inputs = torch.relu(torch.nn.functional.linear(inputs, weight, bias))
    return torch.nn.functional.linear(inputs, weights[-1], biases[-1])


class _ScaledGradient(torch.autograd.Function):
    """The identity, with its gradient times a factor."""

    @staticmethod
    def forward(ctx, tensor, factor):
        ctx.factor = factor
        return tensor.view_as(tensor)

    @staticmethod
    def backward(ctx, grad):
        return grad * ctx.factor, None
