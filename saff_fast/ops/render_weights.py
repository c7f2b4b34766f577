"""Volume-rendering weights of packed samples."""

import torch
from torch import Tensor

from saff_fast import kernels


def render_weights(sigmas: Tensor, deltas: Tensor, packed_info: Tensor) -> Tensor:
    """Share of each ray's colour that each of its samples contributes.

    With transmittance `T_0 = 1` and `T_{i+1} = T_i exp(-sigma_i delta_i)` along one ray, the weight of
    sample `i` is `w_i = T_i - T_{i+1}` (NeRF eq. 3). Weights are non-negative and sum to the ray's opacity.

    Args:
        sigmas: `(n_samples,)` float32 or float64, densities in inverse scene units. Differentiable.
        deltas: `(n_samples,)` same dtype, sample lengths in scene units. Not differentiable.
        packed_info: `(n_rays, 2)` int64, first sample and count of each ray; the ranges must not overlap.

    Returns:
        `(n_samples,)` weights; zero for samples that belong to no ray.

    Raises:
        ValueError: if a shape, dtype or device is wrong, or `deltas` requires gradients.
    """
    if sigmas.dim() != 1 or sigmas.shape != deltas.shape:
        raise ValueError(
            "render_weights: sigmas and deltas must both have shape (n_samples,), "
            f"got {list(sigmas.shape)} and {list(deltas.shape)}"
        )
    if sigmas.dtype not in (torch.float32, torch.float64) or deltas.dtype != sigmas.dtype:
        raise ValueError(
            "render_weights: sigmas and deltas must both be float32 or both float64, "
            f"got {sigmas.dtype} and {deltas.dtype}"
        )
    if packed_info.dim() != 2 or packed_info.shape[1] != 2:
        raise ValueError(f"render_weights: packed_info must have shape (n_rays, 2), got {list(packed_info.shape)}")
    if packed_info.dtype != torch.int64:
        raise ValueError(f"render_weights: packed_info must be int64, got {packed_info.dtype}")
    if not sigmas.device == deltas.device == packed_info.device:
        raise ValueError(
            "render_weights: all tensors must be on one device, "
            f"got {sigmas.device}, {deltas.device} and {packed_info.device}"
        )
    if deltas.requires_grad:
        raise ValueError("render_weights: deltas must not require gradients, they are not differentiated")
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
