"""Every backend of the fields against the native one: with equal parameters, equal outputs and gradients."""

import dataclasses
import sys
from itertools import pairwise

import pytest
import torch

from saff_fast.backends import BackendConfig
from saff_fast.config import load_config, preset_names
from saff_fast.fields import in_torch
from saff_fast.fields.dynamic_field import DynamicField, DynamicFieldConfig
from saff_fast.fields.hash_grid import HashGrid
from saff_fast.fields.in_tcnn import TcnnEncoding, TcnnMlp, grid_config
from saff_fast.fields.mlp import Mlp
from saff_fast.fields.scene_field import FieldConfig, SceneField
from saff_fast.fields.static_field import StaticFieldConfig
from saff_fast.ops import HashGridLayout, hash_encode, mlp
from saff_fast.train.config import ExperimentConfig
from tests.fields import tinycudann_in_torch

LAYOUTS = {  # dense levels and hashed ones, of each number of dimensions
    "2d": HashGridLayout.build(2, 4, 2, 8, 4, 64),
    "3d": HashGridLayout.build(3, 5, 2, 10, 4, 40),
    "4d": HashGridLayout.build(4, 4, 2, 12, 3, 24, (2, 12)),
    "4d_shared": HashGridLayout.build(4, 4, 4, 12, 3, 24),
    "own_depth": HashGridLayout.build(4, 4, 2, 10, 3, 20, (2, 6), finest_depth=7),
}
HOSTILE = [[-1.0, 0.5], [0.0, 1.0], [2.0, torch.inf], [-torch.inf, 1e30], [torch.nan, 0.3], [1.0, 1.0]]
_NO_CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


@pytest.fixture
def tcnn_in_torch(monkeypatch):
    """Puts the stand-in where the backend looks for tiny-cuda-nn."""
    monkeypatch.setitem(sys.modules, "tinycudann", tinycudann_in_torch)


def points(layout, n, dtype=torch.float64, device="cpu"):
    return torch.rand(n, layout.n_dims, dtype=dtype).to(device)


def table(layout, dtype=torch.float64, device="cpu"):
    return torch.randn(layout.n_entries, layout.n_features, dtype=dtype).to(device)


def value_and_grads(function, *inputs):
    leaves = [tensor.detach().clone().requires_grad_() for tensor in inputs]
    outputs = function(*leaves)
    weights = torch.linspace(-1, 1, outputs.numel(), dtype=outputs.dtype, device=outputs.device).reshape(outputs.shape)
    return outputs.detach(), *torch.autograd.grad(outputs, leaves, weights)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
@pytest.mark.parametrize("n", [0, 1, 700])
def test_torch_encoding_is_the_native_one(layout, n, device):
    inputs = points(layout, n, device=device), table(layout, device=device)
    native, torch_ = (
        value_and_grads(lambda x, t, encode=encode: encode(x, t, layout), *inputs)
        for encode in (hash_encode, in_torch.hash_encode)
    )
    torch.testing.assert_close(torch_, native)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_torch_encoding_in_float32(layout, device):
    inputs = points(layout, 500, torch.float32, device), table(layout, torch.float32, device)
    torch.testing.assert_close(in_torch.hash_encode(*inputs, layout), hash_encode(*inputs, layout), rtol=0, atol=1e-4)


def test_torch_encoding_of_hostile_positions(device):
    layout = LAYOUTS["2d"]
    inputs = torch.tensor(HOSTILE, dtype=torch.float64, device=device), table(layout, device=device)
    native, torch_ = (encode(*inputs, layout) for encode in (hash_encode, in_torch.hash_encode))
    torch.testing.assert_close(torch_, native)
    assert torch.isfinite(torch_).all()


@pytest.mark.parametrize("name", ["4d", "4d_shared"])
def test_displaced(name, device):
    """Some points leave the cube on the way."""
    layout = LAYOUTS[name]
    native, other = (HashGrid(layout, backend).double().to(device) for backend in ("native", "torch"))
    other.load_state_dict(native.state_dict())
    positions, times = torch.rand(200, 3).double().to(device), torch.rand(2, 200).double().to(device)
    flows = 0.3 * torch.randn(2, 200, 3).double().to(device)
    results = [vars(grid.displaced(positions, flows, times)) for grid in (native, other)]
    assert 0 < results[0]["inside"].mean() < 1
    torch.testing.assert_close(results[1], results[0])
    grads = [
        value_and_grads(lambda f, g=grid: g.displaced(positions, f, times).encodings, flows) for grid in (native, other)
    ]
    torch.testing.assert_close(grads[1], grads[0])


def parameters(widths, dtype=torch.float64):
    weights = [torch.randn(b, a, dtype=dtype) * (2 / a) ** 0.5 for a, b in pairwise(widths)]
    return weights, [torch.randn(len(weight), dtype=dtype) * 0.3 for weight in weights]


@pytest.mark.parametrize("widths", [(24, 64, 39), (5, 3), (7, 16, 16, 2)])
def test_torch_mlp_is_the_native_one(widths):
    weights, biases = parameters(widths)
    inputs = torch.randn(50, widths[0], dtype=torch.float64)
    n = len(weights)
    native, torch_ = (
        value_and_grads(lambda x, *p, run=run: run(x, list(p[:n]), list(p[n:])), inputs, *weights, *biases)
        for run in (mlp, in_torch.mlp)
    )
    torch.testing.assert_close(torch_, native)


@pytest.mark.parametrize("scale", [1.0, 1e-8])  # of the gradients: those of a mean over a batch are tiny
def test_half_precision_keeps_two_digits(scale):
    weights, biases = parameters((32, 64, 16), torch.float32)
    inputs = torch.randn(200, 32)
    full, half = (
        value_and_grads(lambda x, *p, run=run: run(x, list(p[:2]), list(p[2:])) * scale, inputs, *weights, *biases)
        for run in (mlp, in_torch.half_mlp)
    )
    for actual, expected in zip(half, full, strict=True):
        assert actual.dtype == torch.float32
        assert (actual - expected).norm() < 3e-2 * expected.norm()  # rounding turns a few of the ReLUs


@pytest.mark.usefixtures("tcnn_in_torch")
@pytest.mark.parametrize("name", ["2d", "3d", "4d_shared"])
def test_tcnn_gets_the_grid_in_its_own_layout(name):
    layout = LAYOUTS[name]
    assert tinycudann_in_torch.grid_layout(layout.n_dims, **grid_config(layout)).offsets == layout.offsets
    inputs = points(layout, 300), table(layout)
    tcnn, native = value_and_grads(TcnnEncoding(layout), *inputs), hash_encode(*inputs, layout)
    torch.testing.assert_close(tcnn[0], native, rtol=2e-3, atol=2e-3)  # float16
    expected = value_and_grads(lambda x, t: hash_encode(x, t, layout), *inputs)
    for actual, wanted in zip(tcnn[1:], expected[1:], strict=True):
        assert (actual - wanted).norm() < 3e-3 * wanted.norm()


@pytest.mark.usefixtures("tcnn_in_torch")
@pytest.mark.parametrize("widths", [(24, 64, 39), (32, 48, 16), (16, 128, 5)])
def test_tcnn_gets_the_network_in_its_own_layout(widths):
    weights, biases = parameters(widths, torch.float32)
    inputs = torch.randn(100, widths[0])
    tcnn, native = (
        value_and_grads(lambda x, *p, run=run: run(x, list(p[:2]), list(p[2:])), inputs, *weights, *biases)
        for run in (TcnnMlp(widths), mlp)
    )
    for actual, wanted in zip(tcnn, native, strict=True):
        assert (actual - wanted).norm() < 2e-3 * wanted.norm()  # float16 outputs


@pytest.mark.usefixtures("tcnn_in_torch")
@pytest.mark.parametrize("preset", preset_names())
def test_presets_fit_tcnn_with_axes_that_grow_alike(preset):
    config = load_config(ExperimentConfig, preset).field
    static, dynamic = (
        dataclasses.replace(grid, finest_depth=grid.finest_resolution) for grid in (config.static, config.dynamic)
    )
    shared = dataclasses.replace(config, static=static, dynamic=dataclasses.replace(dynamic, time_axis="shared"))
    field = SceneField(shared, 24, 8, BackendConfig(encoding="tcnn", mlp="tcnn"))
    for grid in (field.static.grid, field.dynamic.grid):
        assert tinycudann_in_torch.grid_layout(grid.layout.n_dims, **grid_config(grid.layout)).offsets == (
            grid.layout.offsets
        )


@pytest.mark.usefixtures("tcnn_in_torch")
@pytest.mark.parametrize(
    "backend", [BackendConfig(encoding="torch", mlp="torch"), BackendConfig(encoding="tcnn", mlp="tcnn")]
)
def test_fields_of_all_backends_share_their_parameters(backend):
    grid = {"n_levels": 4, "log2_table_size": 10, "width": 16, "n_hidden": 8, "finest_resolution": 32}
    config = FieldConfig(static=StaticFieldConfig(**grid), dynamic=DynamicFieldConfig(time_axis="shared", **grid))
    native, other = (
        SceneField(config, 6, 4, BackendConfig(encoding="native", mlp="native")),
        SceneField(config, 6, 4, backend),
    )
    other.load_state_dict(native.state_dict())
    positions, viewdirs = torch.rand(50, 3), torch.nn.functional.normalize(torch.randn(50, 3), dim=1)
    frames, flows = torch.randint(6, (50,)).float(), 0.1 * torch.randn(1, 50, 3)
    pairs = [
        (
            field.static(positions, viewdirs),
            field.dynamic(positions, viewdirs, frames),
            field.dynamic.displaced(positions, flows, viewdirs, frames[None])[0][0],
        )
        for field in (native, other)
    ]
    for expected, actual in zip(*pairs, strict=True):
        values = [list(vars(x).values()) if dataclasses.is_dataclass(x) else x for x in (actual, expected)]
        torch.testing.assert_close(*values, rtol=5e-3, atol=2e-3)  # float16


def test_a_shared_time_axis_has_the_cells_that_were_asked_for():
    config = DynamicFieldConfig(time_axis="shared", time_cells_per_frame=1.0)
    field = DynamicField(config, 24, BackendConfig(encoding="torch", mlp="torch"))
    times = field.normalised_time(torch.tensor([0.0, 23.0]))
    assert times[0] == 0
    assert float(times[1]) * field.grid.layout.scales[-1][3] == pytest.approx(23)


@pytest.mark.usefixtures("tcnn_in_torch")
def test_what_tcnn_cannot_hold_is_refused():
    with pytest.raises(
        ValueError, match=r"all axes of a grid must grow alike; set field\.dynamic\.time_axis to 'shared'"
    ):
        TcnnEncoding(LAYOUTS["4d"])
    with pytest.raises(ValueError, match=r"one hidden layer and outputs, got \(8, 16, 16, 4\)"):
        Mlp((8, 16, 16, 4), "tcnn")
    other = dataclasses.replace(LAYOUTS["3d"], offsets=(0, 64, 576, 1600, 2624, 4672))
    with pytest.raises(ValueError, match=r"must have the \d+ parameters that tiny-cuda-nn's rounding"):
        TcnnEncoding(other)


@pytest.mark.gpu
@_NO_CUDA
@pytest.mark.parametrize("name", ["2d", "3d", "4d_shared"])
def test_tcnn_encoding_on_cuda(name):
    pytest.importorskip("tinycudann", exc_type=Exception)
    layout = LAYOUTS[name]
    inputs = points(layout, 1000, torch.float32, "cuda"), table(layout, torch.float32, "cuda")
    tcnn = value_and_grads(TcnnEncoding(layout), *inputs)
    native = value_and_grads(lambda x, t: hash_encode(x, t, layout), *inputs)
    for actual, expected in zip(tcnn, native, strict=True):
        assert (actual - expected).norm() < 1e-2 * expected.norm()


@pytest.mark.gpu
@_NO_CUDA
@pytest.mark.parametrize("backend", ["tcnn", "torch"])
def test_networks_on_cuda(backend):
    if backend == "tcnn":
        pytest.importorskip("tinycudann", exc_type=Exception)
    network, native = Mlp((24, 64, 39), backend).cuda(), Mlp((24, 64, 39), "native")
    native.load_state_dict(network.state_dict())
    inputs, openness = torch.randn(1000, 24), torch.linspace(0, 1, 24)
    here = value_and_grads(native, inputs, openness)
    there = value_and_grads(network, inputs.cuda(), openness.cuda())
    for actual, expected in zip(there, here, strict=True):
        assert (actual.cpu() - expected).norm() < 1e-2 * expected.norm()
    with pytest.raises(ValueError, match="mlp: inputs must be on the CPU"):
        mlp(inputs.cuda(), [w.cuda() for w in native.weights], [b.cuda() for b in native.biases])
