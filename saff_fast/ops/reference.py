"""Each op's definition in plain torch, one ray or sample at a time: what the kernels are tested against."""

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from saff_fast.ops.composite import Emission
from saff_fast.ops.flow_sample import FlowSamples, OccupancySlices
from saff_fast.ops.hash_encode import HashGridLayout


def packed_info(counts: list[int], device: torch.device | str = "cpu") -> Tensor:
    """First sample and count of each ray, from the numbers of samples, without gaps."""
    numbers = torch.tensor(counts, dtype=torch.long, device=device)
    return torch.stack([numbers.cumsum(0) - numbers, numbers], dim=-1)


def composite(emission: Emission, deltas: Tensor, centres: Tensor, packed_info: Tensor) -> Tensor:
    """Sums of `saff_fast.ops.composite`: both fields together where the dynamic one is nowhere."""
    nowhere = Emission(emission.sigmas[:0], ()), deltas, deltas, centres, packed_info, packed_info[:0, 0]
    return composite_joint(emission, *nowhere)[0]


def composite_joint(
    static: Emission,
    dynamic: Emission,
    blends: Tensor,
    deltas: Tensor,
    centres: Tensor,
    packed_info: Tensor,
    dynamic_indices: Tensor,
) -> tuple[Tensor, Tensor]:
    """Sums of both parts of `saff_fast.ops.composite_joint`."""
    entry_of = {sample: entry for entry, sample in enumerate(dynamic_indices.tolist())}
    rays_static, rays_dynamic = [], []
    for begin, count in packed_info.tolist():
        trans = deltas.new_ones(())
        total_static, total_dynamic = _nothing(static), _nothing(dynamic)
        for i in range(begin, begin + count):
            entry = entry_of.get(i)
            v = blends[i] if entry is not None else 0 * deltas[i]
            alpha_static = (1 - v) * -torch.expm1(-static.sigmas[i] * deltas[i])
            total_static = total_static + _row(static, i, centres[i], trans * alpha_static)
            behind = trans * (1 - alpha_static)
            if entry is not None:
                alpha_dynamic = v * -torch.expm1(-dynamic.sigmas[entry] * deltas[i])
                total_dynamic = total_dynamic + _row(dynamic, entry, centres[i], trans * alpha_dynamic)
                behind = behind * (1 - alpha_dynamic)
            trans = behind
        rays_static.append(total_static)
        rays_dynamic.append(total_dynamic)
    if not rays_static:
        return _nothing(static)[None][:0], _nothing(dynamic)[None][:0]
    return torch.stack(rays_static), torch.stack(rays_dynamic)


def _row(emission: Emission, i: int, centre: Tensor, weight: Tensor) -> Tensor:
    return weight * torch.cat([torch.ones_like(centre)[None], centre[None], *(group[i] for group in emission.values)])


def _nothing(emission: Emission) -> Tensor:
    return emission.sigmas.new_zeros(2 + sum(group.shape[1] for group in emission.values))


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


def project_flow(
    points: Tensor,
    poses: Tensor,
    c2w: Tensor,
    intrinsics: Tensor,
    low: Tensor,
    high: Tensor,
    ndc: tuple[float, float, float, float],
    limit: float,
) -> Tensor:
    """`saff_fast.ops.project_flow`: cube to NDC, to the world, to the camera, to pixels."""
    scale_x, scale_y, near, z_max = ndc
    x, y, z = (low + points * (high - low)).unbind(1)
    world_z = 2 * near / (z.clamp_max(z_max) - 1)
    world = torch.stack([-x * world_z / scale_x, -y * world_z / scale_y, world_z], dim=1)
    camera, lens = c2w[poses], intrinsics[poses]
    local = torch.einsum("nji,nj->ni", camera[:, :, :3], world - camera[:, :, 3])
    depth = local[:, 2:]
    pixels = local[:, :2] / depth.clamp_min(1e-6) * lens[:, :2] + lens[:, 2:]
    return torch.where(depth > 1e-3, pixels, torch.full_like(pixels, limit)).clamp(-limit, limit)


def lazy_adam(
    parameter: Tensor,
    grad: Tensor,
    exp_avg: Tensor,
    exp_avg_sq: Tensor,
    step: int,
    lr: float,
    betas: tuple[float, float],
    eps: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """What `saff_fast.ops.lazy_adam` makes of `parameter`, `exp_avg` and `exp_avg_sq`."""
    values, means, squares = (tensor.flatten().clone() for tensor in (parameter, exp_avg, exp_avg_sq))
    gradients = grad.flatten()
    for first in range(0, len(gradients), 16):
        block = slice(first, first + 16)
        g = gradients[block]
        if not (g != 0).any():
            continue
        means[block] = betas[0] * means[block] + (1 - betas[0]) * g
        squares[block] = betas[1] * squares[block] + (1 - betas[1]) * g**2
        mean, square = means[block] / (1 - betas[0] ** step), squares[block] / (1 - betas[1] ** step)
        values[block] -= lr * mean / (square.sqrt() + eps)
    return values.view_as(parameter), means.view_as(parameter), squares.view_as(parameter)


def directional(coefficients: Tensor, directions: Tensor) -> Tensor:
    """`saff_fast.ops.directional`."""
    constant, linear = coefficients.split([3, 9], dim=1)
    return constant + torch.einsum("nij,nj->ni", linear.reshape(-1, 3, 3), directions)


def distortion(weights: Tensor, t_starts: Tensor, t_ends: Tensor, packed_info: Tensor) -> Tensor:
    """`saff_fast.ops.distortion`, all pairs of samples of a ray at once."""
    losses = [weights[:0]]
    for begin, count in packed_info.tolist():
        ray = slice(begin, begin + count)
        midpoints, lengths = (t_starts[ray] + t_ends[ray]) / 2, t_ends[ray] - t_starts[ray]
        pairs = torch.outer(weights[ray], weights[ray]) * (midpoints[:, None] - midpoints).abs()
        losses.append((pairs.sum() + (weights[ray] ** 2 * lengths).sum() / 3)[None])
    return torch.cat(losses)


def splat(values: Tensor, weights: Tensor, flow: Tensor) -> tuple[Tensor, Tensor]:
    """`saff_fast.ops.splat` for finite flow: one pixel and one of its four targets at a time."""
    height, width, _ = values.shape
    sums, totals = torch.zeros_like(values), torch.zeros_like(weights)
    for y, x in itertools.product(range(height), range(width)):
        at_x, at_y = x + flow[y, x, 0].item(), y + flow[y, x, 1].item()
        left, top = math.floor(at_x), math.floor(at_y)
        for row, column in itertools.product((top, top + 1), (left, left + 1)):
            if 0 <= row < height and 0 <= column < width:
                weight = (1 - abs(at_x - column)) * (1 - abs(at_y - row)) * weights[y, x]
                sums[row, column] += weight * values[y, x]
                totals[row, column] += weight
    return sums, totals
