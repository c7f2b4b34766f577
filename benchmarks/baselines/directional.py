"""Direction-dependent channels in plain torch: one small matrix product a sample."""

import torch
from torch import Tensor


def directional(coefficients: Tensor, directions: Tensor) -> Tensor:
    """`c_0 + C_1 d` of each sample."""
    constant, linear = coefficients[:, :3], coefficients[:, 3:].unflatten(1, (3, 3))
    return torch.baddbmm(constant.unsqueeze(2), linear, directions.unsqueeze(2)).squeeze(2)
