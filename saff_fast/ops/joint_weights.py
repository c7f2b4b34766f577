"""Volume-rendering weights of a static and a dynamic field, composited together."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from saff_fast import kernels
from saff_fast.ops import checks
from saff_fast.ops.schema import Tensors


def joint_weights(
    sigmas_static: Float[Tensor, " n_samples"],
    sigmas_dynamic: Float[Tensor, " n_samples"],
    blends: Float[Tensor, " n_samples"],
    deltas: Float[Tensor, " n_samples"],
    packed_info: Int[Tensor, "n_rays 2"],
) -> tuple[Float[Tensor, " n_samples"], Float[Tensor, " n_samples"]]:
    """Share of each ray's colour that the static and the dynamic field contribute at each sample.

    With `a = 1 - exp(-sigma delta)` of each field, the opacities are `alpha_d = v a_d` and `alpha_s = (1 - v) a_s`
    (`v` the blend), the transmittance is `T_0 = 1`, `T_{i+1} = T_i (1 - alpha_d)(1 - alpha_s)`, and the weights are
    `T alpha_s` and `T alpha_d` (NSFF eq. 6 and 7, transmittance as in SAFF). Where both are opaque at one
    sample, the two weights may sum to more than what the sample hides: the published form is kept.

    Args:
        sigmas_static: Densities of the static field, float32 or float64, in inverse units of `deltas`. Differentiable.
        sigmas_dynamic: Densities of the dynamic field. Differentiable.
        blends: Share of the dynamic field in [0, 1]. Differentiable.
        deltas: Sample lengths; any up to 1e10. Not differentiable.
        packed_info: First sample and count of each ray; the ranges must not overlap.

    Returns:
        Static and dynamic weights, in the order of the samples; zero for samples that belong to no ray.

    Raises:
        ValueError: if a shape, dtype or device is wrong, or `deltas` requires gradients.
    """
    name = "joint_weights"
    samples = {"sigmas_static": sigmas_static, "sigmas_dynamic": sigmas_dynamic, "blends": blends, "deltas": deltas}
    checks.shape(name, {"n_samples": None}, sigmas_static=sigmas_static)
    checks.shape(name, {"n_samples": sigmas_static.shape[0]}, **samples)
    checks.floats(name, **samples)
    checks.packed_info(name, packed_info)
    checks.one_device(name, **samples, packed_info=packed_info)
    checks.constant(name, deltas=deltas)
    weights_static, weights_dynamic = _joint_weights(
        *(tensor.contiguous() for tensor in samples.values()), packed_info.contiguous()
    )
    return weights_static, weights_dynamic


@torch.library.custom_op("saff_fast::joint_weights", mutates_args=())
def _joint_weights(
    sigmas_static: Tensor, sigmas_dynamic: Tensor, blends: Tensor, deltas: Tensor, packed_info: Tensor
) -> tuple[Tensor, Tensor]:
    outputs = torch.zeros_like(sigmas_static), torch.zeros_like(sigmas_static)
    sizes = packed_info.shape[0], sigmas_static.numel()
    inputs = packed_info, sigmas_static, sigmas_dynamic, blends, deltas
    kernels.call("joint_weights", *sizes, *inputs, *outputs, like=sigmas_static)
    return outputs


@torch.library.custom_op("saff_fast::joint_weights_backward", mutates_args=())
def _joint_weights_backward(grads: Tensors, samples: Tensors, packed_info: Tensor) -> Tensors:
    outputs = [torch.zeros_like(tensor) for tensor in samples[:3]]
    sizes = packed_info.shape[0], samples[0].numel()
    grads = [grad.contiguous() for grad in grads]
    kernels.call("joint_weights_backward", *sizes, packed_info, *samples, *grads, *outputs, like=samples[0])
    return outputs


@_joint_weights.register_fake
def _(sigmas_static, sigmas_dynamic, blends, deltas, packed_info):
    return torch.empty_like(sigmas_static), torch.empty_like(sigmas_static)


@_joint_weights_backward.register_fake
def _(grads, samples, packed_info):
    return [torch.empty_like(tensor) for tensor in samples[:3]]


def _setup_context(ctx, inputs, output):
    ctx.save_for_backward(*inputs)


def _backward(ctx, *grads):
    *samples, packed_info = ctx.saved_tensors
    return *_joint_weights_backward(list(grads), samples, packed_info), None, None


_joint_weights.register_autograd(_backward, setup_context=_setup_context)
