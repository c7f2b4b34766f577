"""Each op's definition in plain torch, one ray or sample at a time: what the kernels are tested against."""

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from saff_fast.ops.flow_sample import FlowSamples, OccupancySlices
from saff_fast.ops.hash_encode import HashGridLayout


def packed_info(counts: list[int], device: torch.device | str = "cpu") -> Tensor:
    """First sample and count of each ray, from the numbers of samples, without gaps."""
    numbers = torch.tensor(counts, dtype=torch.long, device=device)
    return torch.stack([numbers.cumsum(0) - numbers, numbers], dim=-1)


def render_weights(sigmas: Tensor, deltas: Tensor, packed_info: Tensor) -> Tensor:
    """`saff_fast.ops.render_weights`, for samples that all belong to a ray."""
    pieces = [torch.zeros_like(sigmas[:0])]
    for begin, count in packed_info.tolist():
        tau = sigmas[begin : begin + count] * deltas[begin : begin + count]
        before = torch.cumsum(tau, 0) - tau
        pieces.append(torch.exp(-before) * -torch.expm1(-tau))
    return torch.cat(pieces)


def joint_weights(
    sigmas_static: Tensor, sigmas_dynamic: Tensor, blends: Tensor, deltas: Tensor, packed_info: Tensor
) -> tuple[Tensor, Tensor]:
    """`saff_fast.ops.joint_weights`, for samples that all belong to a ray."""
    alphas_static = (1 - blends) * -torch.expm1(-sigmas_static * deltas)
    alphas_dynamic = blends * -torch.expm1(-sigmas_dynamic * deltas)
    static, dynamic = [blends[:0] * sigmas_static[:0]], [blends[:0] * sigmas_dynamic[:0]]
    for begin, count in packed_info.tolist():
        trans = torch.ones_like(deltas[:1])
        for i in range(begin, begin + count):
            static.append(trans * alphas_static[i])
            dynamic.append(trans * alphas_dynamic[i])
            trans = trans * (1 - alphas_static[i]) * (1 - alphas_dynamic[i])
    return torch.cat(static), torch.cat(dynamic)


def accumulate(weights: Tensor, values: Tensor, packed_info: Tensor) -> Tensor:
    """`saff_fast.ops.accumulate`."""
    rows = [
        (weights[begin : begin + count, None] * values[begin : begin + count]).sum(0)
        for begin, count in packed_info.tolist()
    ]
    return torch.stack(rows) if rows else values[:0]


def march_ray(
    origin: Tensor, direction: Tensor, static: Tensor, dynamic: Tensor, n_steps: int, jitter: float
) -> list[tuple[float, bool]]:
    """Centre of each kept step of one ray, and whether its cell is dynamic; `static`, `dynamic`: bool (rx, ry, rz)."""
    steps = []
    for i in range(n_steps):
        t = (i + jitter) / n_steps
        point = origin + t * direction
        if bool((point < 0).any() or (point > 1).any()):
            continue
        resolution = torch.tensor(static.shape, device=point.device)
        x, y, z = torch.minimum((point * resolution).long(), resolution - 1).tolist()
        if static[x, y, z] or dynamic[x, y, z]:
            steps.append((t, bool(dynamic[x, y, z])))
    return steps


def hash_encode(positions: Tensor, table: Tensor, layout: HashGridLayout) -> Tensor:
    """`saff_fast.ops.hash_encode`: one level and one corner of the cells at a time, indices in int64."""
    primes = (1, 2654435761, 805459861, 3674653429)
    encodings = []
    for level in range(layout.n_levels):
        resolution, first = layout.resolutions[level], layout.offsets[level]
        size = layout.offsets[level + 1] - first
        scale = torch.tensor(layout.scales[level], dtype=positions.dtype, device=positions.device)
        places = positions.clamp(0, 1) * scale + 0.5
        lowest = places.detach().floor()
        fractions = places - lowest
        encoding = torch.zeros_like(table[:1])
        for corner in itertools.product((0, 1), repeat=layout.n_dims):
            vertices = lowest.long() + torch.tensor(corner, device=positions.device)
            if math.prod(resolution) <= size:
                strides = [math.prod(resolution[:axis]) for axis in range(layout.n_dims)]
                index = sum(vertices[:, axis] * stride for axis, stride in enumerate(strides))
            else:
                index = torch.zeros_like(vertices[:, 0])
                for axis in range(layout.n_dims):
                    index = index ^ (vertices[:, axis] * primes[axis] % 2**32)
            weights = [fractions[:, a] if upper else 1 - fractions[:, a] for a, upper in enumerate(corner)]
            encoding = encoding + torch.stack(weights).prod(0)[:, None] * table[first + index % size]
        encodings.append(encoding)
    return torch.cat(encodings, dim=1)


def flow_sample(
    positions: Tensor,
    flows: Tensor,
    times: Tensor,
    table: Tensor,
    layout: HashGridLayout,
    occupancy: OccupancySlices | None = None,
) -> FlowSamples:
    """`saff_fast.ops.flow_sample`."""
    displaced = positions + flows
    points = torch.cat([displaced, times[..., None]], dim=-1)
    inside = ((points >= 0) & (points <= 1)).all(-1).to(points.dtype)
    occupied = torch.ones_like(times) if occupancy is None else _occupied(points.detach(), occupancy)
    encodings = hash_encode(points.reshape(-1, 4), table, layout).reshape(*times.shape, -1)
    outside = (displaced - displaced.clamp(0, 1)).abs().sum(-1)
    return FlowSamples(displaced, encodings * occupied[..., None], inside, occupied, outside)


def _occupied(points: Tensor, occupancy: OccupancySlices) -> Tensor:
    """1 where the cell of `points[..., :3]` is set in the slice nearest to time `points[..., 3]`, else 0."""
    rx, ry, rz = occupancy.resolution
    values = []
    for x, y, z, t in points.reshape(-1, 4).clamp(0, 1).tolist():
        cell = (min(int(x * rx), rx - 1) * ry + min(int(y * ry), ry - 1)) * rz + min(int(z * rz), rz - 1)
        byte = occupancy.bits[int(t * (len(occupancy.bits) - 1) + 0.5), cell >> 3]
        values.append(int(byte) >> (cell & 7) & 1)
    return points.new_tensor(values).reshape(points.shape[:-1])


def mlp(inputs: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor]) -> Tensor:
    """`saff_fast.ops.mlp`."""
    for layer, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        inputs = inputs @ weight.T + bias
        if layer + 1 < len(weights):
            inputs = torch.relu(inputs)
    return inputs
