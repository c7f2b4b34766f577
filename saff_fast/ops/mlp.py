"""A small multi-layer perceptron in one kernel forward and one backward."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from saff_fast import kernels
from saff_fast.ops import checks
from saff_fast.ops.schema import Ints


def mlp(
    inputs: Float[Tensor, "n d_in"],
    weights: Sequence[Float[Tensor, "d_out d_in"]],
    biases: Sequence[Float[Tensor, " d_out"]],
) -> Float[Tensor, "n d_last"]:
    """Linear layers `x W^T + b` with ReLU between them; the last one is linear.

    All layers run over one block of samples at a time, and hidden activations are computed again in the backward pass
    instead of being kept. The kernel is for the CPU; networks on CUDA tensors are a matter of `saff_fast.backends`.

    Args:
        inputs: One row a sample, float32 or float64, on the CPU. Differentiable.
        weights: Matrix of each layer; each takes what the one before gives. Differentiable.
        biases: Bias of each layer. Differentiable.

    Returns:
        One row a sample, as wide as the last layer.

    Raises:
        ValueError: if a shape, dtype or device is wrong, or the numbers of weights and biases differ or are zero.

    Example:
        >>> weights, biases = [torch.tensor([[1.0]]), torch.tensor([[2.0]])], [torch.zeros(1), torch.ones(1)]
        >>> mlp(torch.tensor([[1.0], [-1.0]]), weights, biases)
        tensor([[3.],
                [1.]])
    """
    widths = _check(inputs, weights, biases)
    parameters = [part for layer in zip(weights, biases, strict=True) for part in (layer[0].reshape(-1), layer[1])]
    return _mlp(inputs.contiguous(), torch.cat(parameters), widths)


def _check(inputs: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor]) -> list[int]:
    name = "mlp"
    if not weights or len(weights) != len(biases):
        raise ValueError(
            f"{name}: weights and biases must be as many and at least one, got {len(weights)} and {len(biases)}"
        )
    checks.shape(name, {"n": None, "d_in": None}, inputs=inputs)
    tensors, widths = {"inputs": inputs}, [inputs.shape[1]]
    for i, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        matrix, vector = {f"weights[{i}]": weight}, {f"biases[{i}]": bias}
        checks.shape(name, {"d_out": None, "d_in": widths[-1]}, **matrix)
        checks.shape(name, {"d_out": weight.shape[0]}, **vector)
        tensors |= matrix | vector
        widths.append(weight.shape[0])
    if min(widths) == 0:
        raise ValueError(f"{name}: all widths must be at least 1, got {widths}")
    checks.floats(name, **tensors)
    checks.one_device(name, **tensors)
    if inputs.is_cuda:
        raise ValueError(f"{name}: inputs must be on the CPU, got {inputs.device}; take the backend 'torch' or 'tcnn'")
    return widths


@torch.library.custom_op("saff_fast::mlp", mutates_args=())
def _mlp(inputs: Tensor, parameters: Tensor, widths: Ints) -> Tensor:
    outputs = inputs.new_empty(inputs.shape[0], widths[-1])
    sizes = inputs.shape[0], len(widths) - 1, torch.tensor(widths)
    kernels.call("mlp", *sizes, parameters, inputs, outputs, like=inputs)
    return outputs


@torch.library.custom_op("saff_fast::mlp_backward", mutates_args=())
def _mlp_backward(
    grad_outputs: Tensor, inputs: Tensor, parameters: Tensor, widths: Ints, needs_inputs: bool
) -> tuple[Tensor, Tensor]:
    # An empty tensor stands for a gradient that nobody asked for.
    grad_inputs = torch.empty_like(inputs) if needs_inputs else inputs.new_empty(0)
    grad_parameters = torch.empty_like(parameters)
    sizes = inputs.shape[0], len(widths) - 1, torch.tensor(widths)
    tensors = parameters, inputs, grad_outputs.contiguous(), grad_inputs if needs_inputs else None, grad_parameters
    kernels.call("mlp_backward", *sizes, *tensors, like=inputs)
    return grad_inputs, grad_parameters


@_mlp.register_fake
def _(inputs, parameters, widths):
    return inputs.new_empty(inputs.shape[0], widths[-1])


@_mlp_backward.register_fake
def _(grad_outputs, inputs, parameters, widths, needs_inputs):
    return torch.empty_like(inputs) if needs_inputs else inputs.new_empty(0), torch.empty_like(parameters)


def _setup_context(ctx, inputs, output):
    inputs, parameters, ctx.widths = inputs
    ctx.save_for_backward(inputs, parameters)


def _backward(ctx, grad_outputs):
    needs_inputs = ctx.needs_input_grad[0]
    grad_inputs, grad_parameters = _mlp_backward(grad_outputs, *ctx.saved_tensors, ctx.widths, needs_inputs)
    return grad_inputs if needs_inputs else None, grad_parameters, None


_mlp.register_autograd(_backward, setup_context=_setup_context)
