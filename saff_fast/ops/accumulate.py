"""Weighted sums of packed samples, one a ray."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from saff_fast import kernels
from saff_fast.ops import checks
from saff_fast.ops.schema import Bools


def accumulate(
    weights: Float[Tensor, " n_samples"],
    values: Float[Tensor, "n_samples n_channels"],
    packed_info: Int[Tensor, "n_rays 2"],
) -> Float[Tensor, "n_rays n_channels"]:
    """Sum of `weights * values` over the samples of each ray.

    Args:
        weights: Weight of each sample, float32 or float64. Differentiable.
        values: What is composited: colour, features, a depth of one channel. Differentiable.
        packed_info: First sample and count of each ray; the ranges must not overlap.

    Returns:
        One row a ray; zero for a ray without samples.

    Raises:
        ValueError: if a shape, dtype or device is wrong.

    Example:
        >>> accumulate(torch.tensor([0.5, 0.25]), torch.tensor([[2.0], [4.0]]), torch.tensor([[0, 2], [2, 0]]))
        tensor([[2.],
                [0.]])
    """
    name = "accumulate"
    checks.shape(name, {"n_samples": None}, weights=weights)
    checks.shape(name, {"n_samples": weights.shape[0], "n_channels": None}, values=values)
    checks.floats(name, weights=weights, values=values)
    checks.packed_info(name, packed_info)
    checks.one_device(name, weights=weights, values=values, packed_info=packed_info)
    return _accumulate(weights.contiguous(), values.contiguous(), packed_info.contiguous())


@torch.library.custom_op("saff_fast::accumulate", mutates_args=())
def _accumulate(weights: Tensor, values: Tensor, packed_info: Tensor) -> Tensor:
    out = values.new_empty(packed_info.shape[0], values.shape[1])
    sizes = packed_info.shape[0], *values.shape
    kernels.call("accumulate", *sizes, packed_info, weights, values, out, like=values)
    return out


@torch.library.custom_op("saff_fast::accumulate_backward", mutates_args=())
def _accumulate_backward(
    grad_out: Tensor, weights: Tensor, values: Tensor, packed_info: Tensor, needs: Bools
) -> tuple[Tensor, Tensor]:
    # An empty tensor stands for a gradient that nobody asked for.
    grads = tuple(
        torch.zeros_like(t) if need else t.new_empty(0) for t, need in zip((weights, values), needs, strict=True)
    )
    sizes = packed_info.shape[0], *values.shape
    targets = (grad if need else None for grad, need in zip(grads, needs, strict=True))
    kernels.call(
        "accumulate_backward", *sizes, packed_info, weights, values, grad_out.contiguous(), *targets, like=values
    )
    return grads[0], grads[1]


@_accumulate.register_fake
def _(weights, values, packed_info):
    return values.new_empty(packed_info.shape[0], values.shape[1])


@_accumulate_backward.register_fake
def _(grad_out, weights, values, packed_info, needs):
    grads = [torch.empty_like(t) if need else t.new_empty(0) for t, need in zip((weights, values), needs, strict=True)]
    return grads[0], grads[1]


def _setup_context(ctx, inputs, output):
    ctx.save_for_backward(*inputs)


def _backward(ctx, grad_out):
    needs = list(ctx.needs_input_grad[:2])
    grads = _accumulate_backward(grad_out, *ctx.saved_tensors, needs)
    return *(grad if need else None for grad, need in zip(grads, needs, strict=True)), None


_accumulate.register_autograd(_backward, setup_context=_setup_context)
