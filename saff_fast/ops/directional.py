"""Channels that depend on the direction of view: spherical harmonics of degree one."""

import torch
from jaxtyping import Float
from torch import Tensor

from saff_fast import kernels
from saff_fast.ops import checks


def directional(
    coefficients: Float[Tensor, "n_samples 12"], directions: Float[Tensor, "n_samples 3"]
) -> Float[Tensor, "n_samples 3"]:
    """Three channels `c_0 + C_1 d`, which is what real spherical harmonics up to degree one span.

    Args:
        coefficients: `c_0` (3), then the rows of `C_1` (3 x 3) of each sample, float32 or float64; columns of a wider
            tensor are read where they lie. Differentiable.
        directions: `d`, not necessarily of unit length. Not differentiable.

    Returns:
        The channels of each sample.

    Raises:
        ValueError: if a shape, dtype or device is wrong, or `directions` requires gradients.

    Example:
        >>> directional(torch.arange(12.0)[None], torch.tensor([[1.0, 0.0, 0.0]]))
        tensor([[ 3.,  7., 11.]])
    """
    name = "directional"
    checks.shape(name, {"n_samples": None, "coefficients": 12}, coefficients=coefficients)
    checks.shape(name, {"n_samples": coefficients.shape[0], "xyz": 3}, directions=directions)
    checks.floats(name, coefficients=coefficients, directions=directions)
    checks.one_device(name, coefficients=coefficients, directions=directions)
    checks.constant(name, directions=directions)
    return _directional(coefficients, directions.contiguous())


@torch.library.custom_op("saff_fast::directional", mutates_args=())
def _directional(coefficients: Tensor, directions: Tensor) -> Tensor:
    if coefficients.stride(1) != 1 or coefficients.stride(0) < 0:
        coefficients = coefficients.contiguous()
    values = torch.empty_like(directions)
    kernels.call(
        "directional", len(directions), coefficients.stride(0), coefficients, directions, values, like=directions
    )
    return values


@torch.library.custom_op("saff_fast::directional_backward", mutates_args=())
def _directional_backward(grad_values: Tensor, directions: Tensor) -> Tensor:
    grad_coefficients = directions.new_empty(len(directions), 12)
    tensors = directions, grad_values.contiguous(), grad_coefficients
    kernels.call("directional_backward", len(directions), *tensors, like=directions)
    return grad_coefficients


@_directional.register_fake
def _(coefficients, directions):
    return torch.empty_like(directions)


@_directional_backward.register_fake
def _(grad_values, directions):
    return directions.new_empty(len(directions), 12)


def _setup_context(ctx, inputs, output):
    ctx.save_for_backward(inputs[1])


def _backward(ctx, grad_values):
    return _directional_backward(grad_values, *ctx.saved_tensors), None


_directional.register_autograd(_backward, setup_context=_setup_context)
