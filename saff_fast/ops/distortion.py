"""How far the weights of a ray lie apart."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from saff_fast import kernels
from saff_fast.ops import checks


def distortion(
    weights: Float[Tensor, " n_samples"],
    t_starts: Float[Tensor, " n_samples"],
    t_ends: Float[Tensor, " n_samples"],
    packed_info: Int[Tensor, "n_rays 2"],
) -> Float[Tensor, " n_rays"]:
    """Distortion loss of each ray: small where its weights are few, short and close together.

    With midpoints `m` and lengths `l` of a ray's samples, `sum_ij w_i w_j |m_i - m_j| + 1/3 sum_i w_i^2 l_i`, which is
    the integral of `w(s) w(t) |s - t|` over both parameters (Mip-NeRF 360, eq. 14 and 15). Linear in the number of
    samples by running sums (DVGOv2, arXiv 2206.05085), here over distances between neighbours, which do not cancel.

    Args:
        weights: Weight of each sample, float32 or float64. Differentiable.
        t_starts: Where each sample begins, in the parameter in which distances count. Not differentiable.
        t_ends: Where it ends; any up to 1e10. Not differentiable.
        packed_info: First sample and count of each ray; the ranges must not overlap, and samples go front to back.

    Returns:
        One value a ray, in units of the parameter; zero for a ray without samples.

    Raises:
        ValueError: if a shape, dtype or device is wrong, or `t_starts` or `t_ends` requires gradients.

    Example:
        >>> t_starts, t_ends = torch.tensor([0.0, 2.0, 3.0]), torch.tensor([1.0, 3.0, 6.0])
        >>> distortion(torch.tensor([0.5, 0.5, 1.0]), t_starts, t_ends, torch.tensor([[0, 2], [2, 1]]))
        tensor([1.1667, 1.0000])
    """
    name = "distortion"
    intervals = {"t_starts": t_starts, "t_ends": t_ends}
    checks.shape(name, {"n_samples": None}, weights=weights)
    checks.shape(name, {"n_samples": weights.shape[0]}, **intervals)
    checks.floats(name, weights=weights, **intervals)
    checks.packed_info(name, packed_info)
    checks.one_device(name, weights=weights, **intervals, packed_info=packed_info)
    checks.constant(name, **intervals)
    return _distortion(*(tensor.contiguous() for tensor in (weights, t_starts, t_ends, packed_info)))


@torch.library.custom_op("saff_fast::distortion", mutates_args=())
def _distortion(weights: Tensor, t_starts: Tensor, t_ends: Tensor, packed_info: Tensor) -> Tensor:
    losses = weights.new_empty(packed_info.shape[0])
    sizes = packed_info.shape[0], weights.shape[0]
    kernels.call("distortion", *sizes, packed_info, weights, t_starts, t_ends, losses, like=weights)
    return losses


@torch.library.custom_op("saff_fast::distortion_backward", mutates_args=())
def _distortion_backward(
    grad_losses: Tensor, weights: Tensor, t_starts: Tensor, t_ends: Tensor, packed_info: Tensor
) -> Tensor:
    grad_weights = torch.zeros_like(weights)  # of samples that belong to no ray
    sizes = packed_info.shape[0], weights.shape[0]
    tensors = packed_info, weights, t_starts, t_ends, grad_losses.contiguous(), grad_weights
    kernels.call("distortion_backward", *sizes, *tensors, like=weights)
    return grad_weights


@_distortion.register_fake
def _(weights, t_starts, t_ends, packed_info):
    return weights.new_empty(packed_info.shape[0])


@_distortion_backward.register_fake
def _(grad_losses, weights, t_starts, t_ends, packed_info):
    return torch.empty_like(weights)


def _setup_context(ctx, inputs, output):
    ctx.save_for_backward(*inputs)


def _backward(ctx, grad_losses):
    return _distortion_backward(grad_losses, *ctx.saved_tensors), None, None, None


_distortion.register_autograd(_backward, setup_context=_setup_context)
