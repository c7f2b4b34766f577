"""Encodings where scene flow carries samples to."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from saff_fast import kernels
from saff_fast.ops import checks
from saff_fast.ops.hash_encode import HashGridLayout, check_grid
from saff_fast.ops.schema import Bools, Ints, Tensors


@dataclass(frozen=True)
class OccupancySlices:
    """Which cells of the unit cube are occupied at the time of each frame, as `march` takes them."""

    bits: UInt8[Tensor, "n_frames n_bytes"]
    """From `pack_bits`, at least one frame. Slices of which nothing is known must be occupied everywhere."""
    resolution: tuple[int, int, int]
    """Cells along x, y and z."""


@dataclass(frozen=True)
class FlowSamples:
    """Samples at their neighbour times, one row a neighbour."""

    displaced: Float[Tensor, "n_neighbours n_samples 3"]
    """`positions + flows`, not clamped."""
    encodings: Float[Tensor, "n_neighbours n_samples n_outputs"]
    """4D encodings there, as `hash_encode` gives them; zero where nothing is."""
    inside: Float[Tensor, "n_neighbours n_samples"]
    """1 where the displaced point is in the unit cube and the time in [0, 1], else 0. Not differentiable."""
    occupied: Float[Tensor, "n_neighbours n_samples"]
    """1 where the occupancy of the neighbour time has something, else 0. Not differentiable."""
    outside: Float[Tensor, "n_neighbours n_samples"]
    """L1 distance of the displaced point to the unit cube, to be lowered by a loss: the pull-back."""

    @property
    def valid(self) -> Float[Tensor, "n_neighbours n_samples"]:
        """1 where a point is inside and something is there."""
        return self.inside * self.occupied


def flow_sample(
    positions: Float[Tensor, "n_samples 3"],
    flows: Float[Tensor, "n_neighbours n_samples 3"],
    times: Float[Tensor, "n_neighbours n_samples"],
    table: Float[Tensor, "n_entries n_features"],
    layout: HashGridLayout,
    occupancy: OccupancySlices | None = None,
) -> FlowSamples:
    """Where samples are at neighbour times, and the 4D hash encodings there (the warped field of NSFF).

    One pass over the samples of all neighbours (t+1 and t-1, or t+2 and t-2 as well) does what
    `displaced = positions + flows`, the tests whether that is inside and occupied, its distance to the cube and
    `hash_encode(cat(displaced, times))` do, without their intermediate tensors.

    A displaced point outside the unit cube is encoded, and its occupancy read, at the nearest point of the cube, where
    the encoding gives the flow no gradient: only a loss on `outside` can pull it back. Where the cell at the frame
    nearest to the neighbour time is empty, the encoding is zero and has no gradients; a field must give such samples
    no density.

    Args:
        positions: Samples in the unit cube of the field's space, float32 or float64. Differentiable.
        flows: Scene flow from each sample's time to each neighbour time, in the same units. Differentiable.
        times: Neighbour times, normalised so that the frames span [0, 1]. Not differentiable.
        table: Entries of the 4D hash grid, as in `hash_encode`. Differentiable.
        layout: Sizes and places of its levels; `n_dims` must be 4.
        occupancy: What is occupied when; everything without it.

    Returns:
        The samples at their neighbour times. A NaN coordinate is not inside, is looked up at 0 and adds no distance.

    Raises:
        ValueError: if a shape, dtype, device or number is wrong, or `times` requires gradients.

    Example:
        >>> layout = HashGridLayout.build(4, 2, 2, 12, 4, 8)
        >>> positions, flows = torch.full((1, 3), 0.9), torch.tensor([[[0.0, 0.0, 0.3]], [[0.0, 0.0, -0.3]]])
        >>> times, table = torch.tensor([[1.0], [0.0]]), torch.zeros(layout.n_entries, 2)
        >>> flow_sample(positions, flows, times, table, layout).inside
        tensor([[0.],
                [1.]])
    """
    name = "flow_sample"
    if layout.n_dims != 4:
        raise ValueError(f"{name}: layout must have n_dims = 4, got {layout.n_dims}")
    n_neighbours = flows.shape[0] if flows.dim() else None
    checks.shape(name, {"n_samples": None, "xyz": 3}, positions=positions)
    checks.shape(name, {"n_neighbours": None, "n_samples": positions.shape[0], "xyz": 3}, flows=flows)
    checks.shape(name, {"n_neighbours": n_neighbours, "n_samples": positions.shape[0]}, times=times)
    points = {"positions": positions, "flows": flows, "times": times}
    checks.floats(name, **points)
    check_grid(name, table, layout, positions=positions)
    checks.one_device(name, **points, table=table)
    checks.constant(name, times=times)
    bits, resolution = _checked_occupancy(name, occupancy, positions)
    tensors = (tensor.contiguous() for tensor in (*points.values(), table))
    return FlowSamples(*_flow_sample(*tensors, layout.levels, bits, resolution))


def _checked_occupancy(
    function: str, occupancy: OccupancySlices | None, positions: Tensor
) -> tuple[Tensor | None, list[int]]:
    if occupancy is None:
        return None, [1, 1, 1]
    bits, resolution = occupancy.bits, occupancy.resolution
    if len(resolution) != 3 or min(resolution) < 1:
        raise ValueError(f"{function}: occupancy.resolution must be three positive integers, got {resolution}")
    n_bytes = -(-resolution[0] * resolution[1] * resolution[2] // 8)
    checks.shape(function, {"n_frames": None, "n_bytes": n_bytes}, **{"occupancy.bits": bits})
    if bits.shape[0] == 0:
        raise ValueError(f"{function}: occupancy.bits must have at least one frame, got none")
    checks.dtype(function, torch.uint8, **{"occupancy.bits": bits})
    checks.one_device(function, positions=positions, **{"occupancy.bits": bits})
    return bits.contiguous(), list(resolution)


@torch.library.custom_op("saff_fast::flow_sample", mutates_args=())
def _flow_sample(
    positions: Tensor,
    flows: Tensor,
    times: Tensor,
    table: Tensor,
    levels: Tensor,
    bits: Tensor | None,
    resolution: Ints,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    outputs = _new_outputs(flows, times, table, levels)
    slices = *resolution, *((1, 1) if bits is None else bits.shape), bits
    sizes = *times.shape, table.shape[1], levels.shape[0]
    kernels.call("flow_sample", *sizes, levels, positions, flows, times, table, *slices, *outputs, like=table)
    return outputs


def _new_outputs(
    flows: Tensor, times: Tensor, table: Tensor, levels: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    encodings = times.new_empty(*times.shape, levels.shape[0] * table.shape[1])
    inside, occupied, outside = (torch.empty_like(times) for _ in range(3))
    return torch.empty_like(flows), encodings, inside, occupied, outside


@torch.library.custom_op("saff_fast::flow_sample_backward", mutates_args=())
def _flow_sample_backward(
    upstream: Tensors,
    positions: Tensor,
    flows: Tensor,
    times: Tensor,
    table: Tensor,
    levels: Tensor,
    occupied: Tensor,
    needs: Bools,
) -> tuple[Tensor, Tensor]:
    """Gradients of the displaced points and of the table, from those of `displaced`, `encodings` and `outside`."""
    # An empty tensor stands for a gradient that nobody asked for. The kernel clears both itself.
    grad_points = torch.empty_like(flows) if needs[0] else times.new_empty(0)
    grad_table = torch.empty_like(table, dtype=times.dtype) if needs[1] else times.new_empty(0)
    sizes = *times.shape, table.shape[1], levels.shape[0]
    inputs = levels, positions, flows, times, table, occupied, *(grad.contiguous() for grad in upstream)
    targets = grad_table if needs[1] else None, grad_points if needs[0] else None
    kernels.call("flow_sample_backward", *sizes, *inputs, *targets, like=table)
    return grad_points, grad_table.to(table.dtype)


@_flow_sample.register_fake
def _(positions, flows, times, table, levels, bits, resolution):
    return _new_outputs(flows, times, table, levels)


@_flow_sample_backward.register_fake
def _(upstream, positions, flows, times, table, levels, occupied, needs):
    grad_points = torch.empty_like(flows) if needs[0] else times.new_empty(0)
    return grad_points, torch.empty_like(table) if needs[1] else table.new_empty(0)


def _setup_context(ctx, inputs, output):
    _, _, inside, occupied, _ = output
    ctx.save_for_backward(*inputs[:5], occupied)
    ctx.mark_non_differentiable(inside, occupied)


def _backward(ctx, grad_displaced, grad_encodings, grad_inside, grad_occupied, grad_outside):
    needs_positions, needs_flows, _, needs_table = ctx.needs_input_grad[:4]
    needs = [needs_positions or needs_flows, needs_table]
    upstream = [grad_displaced, grad_encodings, grad_outside]
    grad_points, grad_table = _flow_sample_backward(upstream, *ctx.saved_tensors, needs)
    return (
        grad_points.sum(0) if needs_positions else None,
        grad_points if needs_flows else None,
        None,
        grad_table if needs_table else None,
        None,
        None,
        None,
    )


_flow_sample.register_autograd(_backward, setup_context=_setup_context)
