"""Encodings where scene flow carries samples to."""

import torch
from jaxtyping import Float
from torch import Tensor

from saff_fast import kernels
from saff_fast.ops import checks
from saff_fast.ops.hash_encode import HashGridLayout, check_grid
from saff_fast.ops.schema import Bools


def flow_sample(
    positions: Float[Tensor, "n_samples 3"],
    flows: Float[Tensor, "n_samples 3"],
    times: Float[Tensor, " n_samples"],
    table: Float[Tensor, "n_entries n_features"],
    layout: HashGridLayout,
) -> tuple[Float[Tensor, "n_samples 3"], Float[Tensor, "n_samples n_outputs"], Float[Tensor, " n_samples"]]:
    """Where samples are at a neighbour time, and the 4D hash encoding there (the warped field of NSFF).

    One pass over the samples does what `displaced = positions + flows`, the test whether that is inside, and
    `hash_encode(cat(displaced, times))` do, without their intermediate tensors.

    A displaced point outside the unit cube is encoded at the nearest point of the cube, where its encoding gives the
    flow no gradient: only a loss on `displaced` can pull it back.

    Args:
        positions: Samples in the unit cube of the field's space, float32 or float64. Differentiable.
        flows: Scene flow from each sample's time to its neighbour time, in the same units. Differentiable.
        times: Neighbour time of each sample, normalised so that the frames span [0, 1]. Not differentiable.
        table: Entries of the 4D hash grid. Differentiable.
        layout: Sizes and places of its levels; `n_dims` must be 4.

    Returns:
        displaced: `positions + flows`, not clamped.
        encodings: As `hash_encode` gives them.
        valid: 1 where the displaced point is in the unit cube and the time in [0, 1], else 0.

    Raises:
        ValueError: if a shape, dtype or device is wrong, or `times` requires gradients.
    """
    name = "flow_sample"
    if layout.n_dims != 4:
        raise ValueError(f"{name}: layout must have n_dims = 4, got {layout.n_dims}")
    check_grid(name, table, layout)
    checks.shape(name, {"n_samples": None, "xyz": 3}, positions=positions)
    checks.shape(name, {"n_samples": positions.shape[0], "xyz": 3}, flows=flows)
    checks.shape(name, {"n_samples": positions.shape[0]}, times=times)
    tensors = {"positions": positions, "flows": flows, "times": times, "table": table}
    checks.floats(name, **tensors)
    checks.one_device(name, **tensors)
    checks.constant(name, times=times)
    displaced, encodings, valid = _flow_sample(*(t.contiguous() for t in tensors.values()), layout.levels)
    return displaced, encodings, valid


@torch.library.custom_op("saff_fast::flow_sample", mutates_args=())
def _flow_sample(
    positions: Tensor, flows: Tensor, times: Tensor, table: Tensor, levels: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    displaced, valid = torch.empty_like(positions), torch.empty_like(times)
    encodings = positions.new_empty(positions.shape[0], levels.shape[0] * table.shape[1])
    sizes = positions.shape[0], table.shape[1], levels.shape[0]
    points = positions, flows, times
    kernels.call("flow_sample", *sizes, levels, *points, table, displaced, encodings, valid, like=table)
    return displaced, encodings, valid


@torch.library.custom_op("saff_fast::flow_sample_backward", mutates_args=())
def _flow_sample_backward(
    grad_displaced: Tensor,
    grad_encodings: Tensor,
    positions: Tensor,
    flows: Tensor,
    times: Tensor,
    table: Tensor,
    levels: Tensor,
    needs: Bools,
) -> tuple[Tensor, Tensor]:
    """Gradients of the displaced points and of the table."""
    # An empty tensor stands for a gradient that nobody asked for. The kernel clears the table's itself.
    grad_points = grad_displaced.clone(memory_format=torch.contiguous_format) if needs[0] else times.new_empty(0)
    grad_table = torch.empty_like(table) if needs[1] else table.new_empty(0)
    sizes = positions.shape[0], table.shape[1], levels.shape[0]
    inputs = levels, positions, flows, times, table, grad_encodings.contiguous()
    targets = grad_table if needs[1] else None, grad_points if needs[0] else None
    kernels.call("flow_sample_backward", *sizes, *inputs, *targets, like=table)
    return grad_points, grad_table


@_flow_sample.register_fake
def _(positions, flows, times, table, levels):
    encodings = positions.new_empty(positions.shape[0], levels.shape[0] * table.shape[1])
    return torch.empty_like(positions), encodings, torch.empty_like(times)


@_flow_sample_backward.register_fake
def _(grad_displaced, grad_encodings, positions, flows, times, table, levels, needs):
    grad_points = torch.empty_like(positions) if needs[0] else times.new_empty(0)
    return grad_points, torch.empty_like(table) if needs[1] else table.new_empty(0)


def _setup_context(ctx, inputs, output):
    ctx.save_for_backward(*inputs)
    ctx.mark_non_differentiable(output[2])


def _backward(ctx, grad_displaced, grad_encodings, grad_valid):
    needs_positions, needs_flows, _, needs_table, _ = ctx.needs_input_grad
    needs = [needs_positions or needs_flows, needs_table]
    grad_points, grad_table = _flow_sample_backward(grad_displaced, grad_encodings, *ctx.saved_tensors, needs)
    grads = (
        grad_points if needs_positions else None,
        grad_points if needs_flows else None,
        None,
        grad_table if needs_table else None,
        None,
    )
    return grads


_flow_sample.register_autograd(_backward, setup_context=_setup_context)
