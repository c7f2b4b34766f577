"""mlp against the definition in plain torch; tests/fields checks the backends that run it on CUDA."""

import pytest
import torch

from saff_fast.ops import mlp, reference

WIDTHS = {  # multiples of a vector and not, more and fewer than one tile
    "one_layer": [32, 16],
    "one_hidden": [32, 64, 48],
    "two_hidden": [16, 64, 64, 16],
    "odd": [19, 37, 65, 5],
    "narrow": [1, 1, 1],
}
N_SAMPLES = {"none": 0, "one": 1, "block": 192, "more": 200, "chunks": 3500}


@pytest.fixture
def device():
    return torch.device("cpu")


def make_args(widths, n_samples, device, dtype=torch.float64):
    inputs = torch.randn(n_samples, widths[0], dtype=dtype)
    shapes = list(zip(widths[1:], widths[:-1], strict=True))
    weights = [torch.randn(*shape, dtype=dtype) * (2 / shape[1]) ** 0.5 for shape in shapes]
    biases = [torch.randn(n_out, dtype=dtype) * 0.3 for n_out, _ in shapes]
    return inputs.to(device), [w.to(device) for w in weights], [b.to(device) for b in biases]


def value_and_grad(function, inputs, weights, biases, grad):
    leaves = [tensor.detach().clone().requires_grad_() for tensor in (inputs, *weights, *biases)]
    outputs = function(leaves[0], leaves[1 : 1 + len(weights)], leaves[1 + len(weights) :])
    return outputs, torch.autograd.grad(outputs, leaves, grad)


@pytest.mark.parametrize("widths", WIDTHS.values(), ids=WIDTHS.keys())
@pytest.mark.parametrize("n_samples", N_SAMPLES.values(), ids=N_SAMPLES.keys())
def test_matches_reference(widths, n_samples, device):
    args = make_args(widths, n_samples, device)
    grad = torch.randn(n_samples, widths[-1], dtype=torch.float64, device=device)
    torch.testing.assert_close(*(value_and_grad(f, *args, grad) for f in (mlp, reference.mlp)))


@pytest.mark.parametrize("widths", WIDTHS.values(), ids=WIDTHS.keys())
def test_float32_matches_double(widths, device):
    args = make_args(widths, 500, device)
    grad = torch.randn(500, widths[-1], dtype=torch.float64, device=device)
    outputs, gradients = value_and_grad(reference.mlp, *args, grad)
    single = [args[0].float(), *([t.float() for t in tensors] for tensors in args[1:])]
    actual_outputs, actual_gradients = value_and_grad(mlp, *single, grad.float())
    torch.testing.assert_close(actual_outputs.double(), outputs, rtol=1e-5, atol=1e-5)
    for actual, expected in zip(actual_gradients[1:], gradients[1:], strict=True):
        torch.testing.assert_close(actual.double(), expected, rtol=1e-3, atol=1e-3)  # sums of 500 terms of order one


def test_gradcheck(device):
    inputs, weights, biases = make_args([3, 5, 2], 7, device)
    leaves = [tensor.requires_grad_() for tensor in (inputs, *weights, *biases)]
    assert torch.autograd.gradcheck(lambda x, v, w, a, b: mlp(x, [v, w], [a, b]), leaves)


def test_without_gradient_of_the_inputs(device):
    inputs, weights, biases = make_args([19, 37, 5], 10, device)
    weights[0].requires_grad_()
    grads = [torch.autograd.grad(f(inputs, weights, biases).sum(), weights[0])[0] for f in (mlp, reference.mlp)]
    torch.testing.assert_close(*grads)


def test_rows_are_independent(device):
    """A sample's value does not depend, bit for bit, on the samples beside it."""
    inputs, weights, biases = make_args([32, 64, 16], 400, device, torch.float32)
    together = mlp(inputs, weights, biases)
    assert torch.equal(mlp(inputs[197:301], weights, biases), together[197:301])


def test_strided_inputs_and_gradients(device):
    inputs, weights, biases = make_args([16, 8, 4], 30, device)
    wide = torch.cat([inputs, inputs], 1)[:, 16:]
    torch.testing.assert_close(mlp(wide, weights, biases), reference.mlp(inputs, weights, biases))
    weights[1].requires_grad_()
    grads = [torch.autograd.grad(f(inputs, weights, biases).sum(), weights[1])[0] for f in (mlp, reference.mlp)]
    torch.testing.assert_close(*grads)


def test_unaligned_memory(device):
    inputs, weights, biases = make_args([32, 64, 16], 30, device, torch.float32)
    shifted = torch.cat([inputs.new_zeros(1), inputs.flatten()])[1:].view_as(inputs)
    weights[0].requires_grad_()
    results = [mlp(x, weights, biases) for x in (shifted, inputs)]
    torch.testing.assert_close(*results, rtol=0, atol=0)
    grads = [torch.autograd.grad(result, weights[0], torch.ones_like(result)) for result in results]
    torch.testing.assert_close(*grads, rtol=0, atol=0)


def test_nan_is_not_hidden(device):
    inputs, weights, biases = make_args([4, 8, 2], 3, device, torch.float32)
    inputs[1, 2] = float("nan")
    outputs = mlp(inputs, weights, biases)
    assert torch.isnan(outputs[1]).all()
    assert torch.isfinite(outputs[[0, 2]]).all()


def test_results_do_not_depend_on_threads(by_threads):
    args = make_args([32, 64, 16], 5000, "cpu", torch.float32)
    grad = torch.randn(5000, 16)
    results = by_threads(lambda: value_and_grad(mlp, *args, grad))
    for one, three in zip(results[0][1], results[1][1], strict=True):
        assert torch.equal(one, three)
    assert torch.equal(results[0][0], results[1][0])


def test_registration():
    inputs, weights, biases = make_args([6, 9, 3], 11, "cpu")
    parameters = torch.cat([part for w, b in zip(weights, biases, strict=True) for part in (w.flatten(), b)])
    args = inputs.requires_grad_(), parameters.requires_grad_(), [6, 9, 3]
    torch.library.opcheck(torch.ops.saff_fast.mlp.default, args)


@pytest.mark.parametrize(
    ("index", "replacement", "message"),
    [
        (0, torch.ones(11), r"inputs must have shape \(n, d_in\), got \[11\]"),
        (1, [torch.ones(9, 6)], "weights and biases must be as many and at least one, got 1 and 2"),
        (1, [torch.ones(9, 5), torch.ones(3, 9)], r"weights\[0\] must have shape \(d_out, d_in = 6\), got \[9, 5\]"),
        (1, [torch.ones(9, 6), torch.ones(3, 8)], r"weights\[1\] must have shape \(d_out, d_in = 9\), got \[3, 8\]"),
        (2, [torch.ones(9), torch.ones(4)], r"biases\[1\] must have shape \(d_out = 3\), got \[4\]"),
        (2, [torch.ones(9), torch.ones(3).double()], "must be all float32 or all float64, got torch.float32, torch.fl"),
        (1, [torch.ones(0, 6), torch.ones(3, 0)], r"biases\[0\] must have shape \(d_out = 0\), got \[9\]"),
        (2, [torch.ones(9, device="meta"), torch.ones(3)], "must be on one device, got cpu, cpu, meta, cpu, cpu"),
    ],
)
def test_rejects(index, replacement, message):
    args = list(make_args([6, 9, 3], 11, "cpu", torch.float32))
    args[index] = replacement
    with pytest.raises(ValueError, match=f"^mlp: .*{message}"):
        mlp(*args)


def test_rejects_empty_layers():
    with pytest.raises(ValueError, match=r"^mlp: all widths must be at least 1, got \[2, 0\]"):
        mlp(torch.ones(3, 2), [torch.ones(0, 2)], [torch.ones(0)])
