"""A small multi-layer perceptron in torch: one library call a layer, autograd's own backward."""

from collections.abc import Sequence

import torch
from torch import Tensor


def mlp(inputs: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor]) -> Tensor:
    """Linear layers with ReLU between them; the last one is linear."""
    for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
        inputs = torch.relu(torch.nn.functional.linear(inputs, weight, bias))
    return torch.nn.functional.linear(inputs, weights[-1], biases[-1])
