"""Each op's definition in plain torch, one ray or sample at a time: what the kernels are tested against."""

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor

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
    positions: Tensor, flows: Tensor, times: Tensor, table: Tensor, layout: HashGridLayout
) -> tuple[Tensor, Tensor, Tensor]:
    """`saff_fast.ops.flow_sample`."""
    displaced = positions + flows
    points = torch.cat([displaced, times[:, None]], dim=1)
    valid = ((points >= 0) & (points <= 1)).all(1).to(points.dtype)
    return displaced, hash_encode(points, table, layout), valid


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
