"""Volume-rendering weights of packed samples."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from saff_fast import kernels
from saff_fast.ops import checks


def render_weights(
    sigmas: Float[Tensor, " n_samples"],
    deltas: Float[Tensor, " n_samples"],
    packed_info: Int[Tensor, "n_rays 2"],
) -> Float[Tensor, " n_samples"]:
    """Share of each ray's colour that each of its samples contributes.

    With transmittance `T_0 = 1` and `T_{i+1} = T_i exp(-sigma_i delta_i)` along one ray, the weight of
    sample `i` is `w_i = T_i - T_{i+1}` (NeRF eq. 3). Weights are non-negative and sum to the ray's opacity.

    Args:
        sigmas: Densities, float32 or float64, in inverse units of `deltas`. Differentiable.
        deltas: Sample lengths, of the same dtype. Not differentiable.
        packed_info: First sample and count of each ray; the ranges must not overlap.

    Returns:
        The weights, in the order of `sigmas`; zero for samples that belong to no ray.

    Raises:
        ValueError: if a shape, dtype or device is wrong, or `deltas` requires gradients.

    Example:
        >>> sigmas, deltas = torch.tensor([0.0, 1.0, 2.0]), torch.ones(3)
        >>> render_weights(sigmas, deltas, torch.tensor([[0, 1], [1, 2]]))
        tensor([0.0000, 0.6321, 0.3181])
    """
    name = "render_weights"
    checks.shape(name, {"n_samples": None}, sigmas=sigmas)
    checks.shape(name, {"n_samples": sigmas.shape[0]}, deltas=deltas)
    checks.floats(name, sigmas=sigmas, deltas=deltas)
    checks.packed_info(name, packed_info)
    checks.one_device(name, sigmas=sigmas, deltas=deltas, packed_info=packed_info)
    checks.constant(name, deltas=deltas)
    return _render_weights(sigmas.contiguous(), deltas.contiguous(), packed_info.contiguous())


@torch.library.custom_op("saff_fast::render_weights", mutates_args=())
def _render_weights(sigmas: Tensor, deltas: Tensor, packed_info: Tensor) -> Tensor:
    weights = torch.zeros_like(sigmas)
    sizes = packed_info.shape[0], sigmas.numel()
    kernels.call("render_weights", *sizes, packed_info, sigmas, deltas, weights, like=sigmas)
    return weights


@torch.library.custom_op("saff_fast::render_weights_backward", mutates_args=())
def _render_weights_backward(
    grad_weights: Tensor, sigmas: Tensor, deltas: Tensor, weights: Tensor, packed_info: Tensor
) -> Tensor:
    grad_sigmas = torch.zeros_like(sigmas)
    sizes = packed_info.shape[0], sigmas.numel()
    tensors = packed_info, sigmas, deltas, weights, grad_weights.contiguous(), grad_sigmas
    kernels.call("render_weights_backward", *sizes, *tensors, like=sigmas)
    return grad_sigmas


@_render_weights.register_fake
def _(sigmas, deltas, packed_info):
    return torch.empty_like(sigmas)


@_render_weights_backward.register_fake
def _(grad_weights, sigmas, deltas, weights, packed_info):
    return torch.empty_like(sigmas)


def _setup_context(ctx, inputs, output):
    sigmas, deltas, packed_info = inputs
    ctx.save_for_backward(sigmas, deltas, output, packed_info)


def _backward(ctx, grad_weights):
    sigmas, deltas, weights, packed_info = ctx.saved_tensors
    return _render_weights_backward(grad_weights, sigmas, deltas, weights, packed_info), None, None


_render_weights.register_autograd(_backward, setup_context=_setup_context)
