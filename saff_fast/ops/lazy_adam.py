"""Adam that leaves alone what a batch has not touched."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from saff_fast import kernels
from saff_fast.ops import checks
from saff_fast.ops.schema import Floats


@torch.no_grad()
def lazy_adam(
    parameter: Float[Tensor, "*shape"],
    grad: Float[Tensor, "*shape"],
    exp_avg: Float[Tensor, "*shape"],
    exp_avg_sq: Float[Tensor, "*shape"],
    step: int,
    lr: float,
    betas: tuple[float, float],
    eps: float,
) -> None:
    """One step of Adam (Kingma and Ba, algorithm 1) in place, skipping blocks of 16 values without any gradient.

    `exp_avg` and `exp_avg_sq` are the running means m and v: `m += (1 - beta_1) (g - m)`,
    `v += (1 - beta_2) (g^2 - v)`, `parameter -= lr m' / (sqrt(v') + eps)` with `m' = m / (1 - beta_1^step)` and
    `v' = v / (1 - beta_2^step)`. Where all 16 gradients are zero, nothing is read further or written, so moments do not
    decay there and momentum does not go on (Instant-NGP, section 4, skips single entries; its code counts the steps of
    each). Blocks are those of the flattened parameter.

    Args:
        parameter: What is optimised, float32 or float64, contiguous; changed in place.
        grad: Its gradient; NaN is not zero.
        exp_avg: First moment, contiguous; changed in place.
        exp_avg_sq: Second moment, contiguous; changed in place.
        step: Number of this step, from 1, whether or not a block has been touched before.
        lr: Learning rate, not negative.
        betas: Decay of both moments, in [0, 1).
        eps: Added to the root of the second moment, not negative.

    Raises:
        ValueError: if a shape, dtype, device, layout or number is wrong.

    Example:
        >>> parameter, moments = torch.zeros(2), (torch.zeros(2), torch.zeros(2))
        >>> lazy_adam(parameter, torch.tensor([4.0, -1.0]), *moments, step=1, lr=0.1, betas=(0.9, 0.999), eps=0.0)
        >>> parameter
        tensor([-0.1000,  0.1000])
    """
    name = "lazy_adam"
    changed = {"parameter": parameter, "exp_avg": exp_avg, "exp_avg_sq": exp_avg_sq}
    for argument, tensor in {"grad": grad, **changed}.items():
        if tensor.shape != parameter.shape:
            raise ValueError(f"{name}: {argument} must have shape {list(parameter.shape)}, got {list(tensor.shape)}")
    checks.floats(name, **changed, grad=grad)
    checks.one_device(name, **changed, grad=grad)
    for argument, tensor in changed.items():
        if not tensor.is_contiguous():
            raise ValueError(f"{name}: {argument} must be contiguous, got strides {list(tensor.stride())}")
    if step < 1:
        raise ValueError(f"{name}: step must be at least 1, got {step}")
    if not (lr >= 0 and eps >= 0):
        raise ValueError(f"{name}: lr and eps must not be negative, got {lr} and {eps}")
    if not (min(betas) >= 0 and max(betas) < 1):
        raise ValueError(f"{name}: betas must be in [0, 1), got {betas}")
    step_size, root_of_correction = lr / (1 - betas[0] ** step), math.sqrt(1 - betas[1] ** step)
    _lazy_adam(parameter, grad.contiguous(), exp_avg, exp_avg_sq, step_size, root_of_correction, list(betas), eps)


@torch.library.custom_op("saff_fast::lazy_adam", mutates_args=("parameter", "exp_avg", "exp_avg_sq"))
def _lazy_adam(
    parameter: Tensor,
    grad: Tensor,
    exp_avg: Tensor,
    exp_avg_sq: Tensor,
    step_size: float,
    root_of_correction: float,
    betas: Floats,
    eps: float,
) -> None:
    numbers = step_size, root_of_correction, *betas, eps
    kernels.call("lazy_adam", parameter.numel(), *numbers, grad, parameter, exp_avg, exp_avg_sq, like=parameter)


@_lazy_adam.register_fake
def _(parameter, grad, exp_avg, exp_avg_sq, step_size, root_of_correction, betas, eps):
    return None
