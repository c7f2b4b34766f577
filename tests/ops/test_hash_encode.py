"""hash_encode against its definition, on every device.

On the CPU, double precision runs the device's functors and single precision the host's own loops.
"""

import ctypes
import dataclasses
import itertools
import math
import sys

import numpy as np
import pytest
import torch

from saff_fast.ops import HashGridLayout, hash_encode, reference

LAYOUTS = {  # a dense and a hashed level each; F from 1 to 8
    "2d": HashGridLayout.build(2, 3, 1, 6, 4, 16),
    "3d": HashGridLayout.build(3, 3, 2, 9, 5, 23),
    "4d": HashGridLayout.build(4, 3, 4, 10, 4, 9),
    "own_time": HashGridLayout.build(4, 4, 2, 10, 3, 20, time=(2, 6)),
    "own_depth": HashGridLayout.build(3, 4, 2, 9, 5, 23, finest_depth=7),
    "own_depth_and_time": HashGridLayout.build(4, 4, 2, 10, 3, 20, time=(2, 6), finest_depth=5),
    "one_level": HashGridLayout.build(3, 1, 8, 12, 4, 4),
    "constant_time": HashGridLayout.build(4, 2, 8, 9, 2, 8, time=(1, 1)),
}
PRECISIONS = {torch.float64: {}, torch.float32: {"rtol": 1e-4, "atol": 2e-5}}  # float32: sums of 16 rounded products
SHAPES = list(itertools.product((2, 3, 4), (1, 2, 4, 8)))
all_layouts = pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
both_precisions = pytest.mark.parametrize("dtype", PRECISIONS, ids=["float64", "float32"])


def make_grid(layout, device, dtype=torch.float64, n_samples=50):
    """Points inside, outside and on the border of the cube, and a random table."""
    positions = torch.rand(n_samples, layout.n_dims, dtype=dtype) * 1.2 - 0.1
    positions[:2] = torch.tensor([[0.0], [1.0]], dtype=dtype)
    table = torch.randn(layout.n_entries, layout.n_features, dtype=dtype)
    return positions.to(device), table.to(device)


@both_precisions
@all_layouts
def test_matches_reference(layout, dtype, device):
    positions, table = (tensor.requires_grad_() for tensor in make_grid(layout, device, dtype))
    actual, expected = (f(positions, table, layout) for f in (hash_encode, reference.hash_encode))
    torch.testing.assert_close(actual, expected, **PRECISIONS[dtype])

    g = torch.randn_like(actual)
    grads_actual, grads_expected = (torch.autograd.grad(out, (positions, table), g) for out in (actual, expected))
    scale = max(layout.scales[-1])  # the slope of the finest level multiplies the rounding
    torch.testing.assert_close(grads_actual[0] / scale, grads_expected[0] / scale, **PRECISIONS[dtype])
    torch.testing.assert_close(grads_actual[1], grads_expected[1], **PRECISIONS[dtype])


@all_layouts
def test_gradcheck(layout, device):
    positions, table = make_grid(layout, device, n_samples=4)
    positions = positions.clamp(0.01, 0.99)
    assert torch.autograd.gradcheck(
        lambda p, t: hash_encode(p, t, layout), (positions.requires_grad_(), table.requires_grad_()), fast_mode=True
    )


@pytest.mark.parametrize("n_samples", [0, 1, 7, 8, 9, 300, 40000])
def test_every_sample_of_a_block_is_encoded(n_samples, device):
    """The float32 host loops go by eight samples and by blocks: sizes around both."""
    layout = LAYOUTS["own_time"]
    positions, table = make_grid(layout, device, torch.float32, max(n_samples, 2))
    positions, table = positions[:n_samples].requires_grad_(), table.requires_grad_()
    encodings = hash_encode(positions, table, layout)
    assert encodings.shape == (n_samples, layout.n_outputs)
    exact_positions, exact_table = positions.detach().double(), table.detach().double().requires_grad_()
    expected = hash_encode(exact_positions, exact_table, layout)
    torch.testing.assert_close(encodings.double(), expected, rtol=1e-4, atol=2e-5)
    g = torch.randn_like(encodings)
    g[torch.rand(n_samples) < 0.4] = 0  # skipped samples
    (grad,) = torch.autograd.grad(encodings, table, g)
    (expected_grad,) = torch.autograd.grad(expected, exact_table, g.double())
    torch.testing.assert_close(grad.double(), expected_grad, rtol=1e-4, atol=1e-3)


def test_constant_table_gives_the_constant(device):
    """The weights of a cell sum to one."""
    layout = LAYOUTS["own_time"]
    positions, _ = make_grid(layout, device)
    table = torch.full((layout.n_entries, layout.n_features), 3.0, dtype=torch.float64, device=device)
    torch.testing.assert_close(
        hash_encode(positions, table, layout), torch.full_like(positions[:, :1], 3.0).expand(-1, 8)
    )


def test_dense_level_reproduces_a_linear_function(device):
    layout = HashGridLayout.build(2, 1, 1, 12, 9, 9)
    column, row = (torch.arange(layout.n_entries) % 9, torch.arange(layout.n_entries) // 9)
    table = (2.0 * column - 3.0 * row).to(torch.float64)[:, None].to(device)
    positions = torch.rand(20, 2, dtype=torch.float64, device=device) * 0.9  # the last half cell is aliased
    expected = 2 * (positions[:, :1] * 8 + 0.5) - 3 * (positions[:, 1:] * 8 + 0.5)
    torch.testing.assert_close(hash_encode(positions, table, layout), expected)


def test_only_the_needed_gradients_are_computed(device):
    layout = LAYOUTS["3d"]
    positions, table = make_grid(layout, device, torch.float32)
    (grad,) = torch.autograd.grad(hash_encode(positions, table.requires_grad_(), layout).sum(), table)
    positions.requires_grad_()
    both = torch.autograd.grad(hash_encode(positions, table, layout).sum(), (positions, table))
    (alone,) = torch.autograd.grad(hash_encode(positions, table.detach(), layout).sum(), positions)
    assert torch.equal(grad, both[1])
    assert torch.equal(alone, both[0])


def test_result_does_not_depend_on_threads(by_threads):
    layout = LAYOUTS["own_time"]
    positions, table = (t.requires_grad_() for t in make_grid(layout, "cpu", torch.float32, 6000))

    def run():
        encodings = hash_encode(positions, table, layout)
        return encodings, *torch.autograd.grad(encodings.square().sum(), (positions, table))

    results = by_threads(run, (1, 2, 5))
    assert all(torch.equal(a, b) for result in results[1:] for a, b in zip(results[0], result, strict=True))


@pytest.mark.parametrize(("n_dims", "n_features"), SHAPES)
def test_a_table_in_half_precision_is_that_of_its_float32_values(n_dims, n_features, device):
    layout = HashGridLayout.build(n_dims, 3, n_features, 9, 3, 14)
    positions, table = make_grid(layout, device, torch.float32, 300)
    inputs = positions.requires_grad_(), table.half().requires_grad_()
    half, single = hash_encode(*inputs, layout), hash_encode(inputs[0], inputs[1].float(), layout)
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, single, rtol=1e-6, atol=1e-6)
    g = torch.randn_like(half)
    g[::3] = 0
    grads, expected = (torch.autograd.grad(out, inputs, g) for out in (half, single))
    torch.testing.assert_close(grads[0], expected[0], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(grads[1], expected[1], rtol=2**-10, atol=1e-6)


@pytest.mark.parametrize("n_features", [1, 2, 4, 8])
def test_every_half_precision_number_is_read_exactly(n_features, device):
    """Subnormals, infinities and NaN too: at its vertices a level gives the entries themselves."""
    layout = HashGridLayout.build(2, 1, n_features, 17, 257, 257)  # 256 cells: vertices are met exactly
    column, row = torch.meshgrid(torch.arange(2, 257, 2), torch.arange(2, 257, 2), indexing="ij")
    positions = (torch.stack([column, row], -1).view(-1, 2) - 0.5) / 256  # every second vertex, and zeros between
    entries = (column + 257 * row).flatten()
    numbers = torch.arange(-(2**15), 2**15).to(torch.int16).view(torch.float16)
    for part in numbers.view(-1, n_features).split(len(entries)):
        table = torch.zeros(layout.n_entries, n_features, dtype=torch.float16)
        table[entries[: len(part)]] = part
        encodings = hash_encode(positions[: len(part)].to(device), table.to(device), layout)
        torch.testing.assert_close(encodings.cpu(), part.float(), rtol=0, atol=0, equal_nan=True)


def test_gradients_of_a_table_in_half_precision_are_summed_in_float32(device):
    """In half precision a sum of 1e-3 would stop growing at 2."""
    layout = HashGridLayout.build(3, 1, 2, 12, 8, 8)
    positions = torch.full((5000, 3), 3.5 / 7, device=device)  # on a vertex
    table = torch.zeros(layout.n_entries, 2, dtype=torch.float16, device=device, requires_grad=True)
    encodings = hash_encode(positions, table, layout)
    (grad,) = torch.autograd.grad(encodings, table, torch.full_like(encodings, 1e-3))
    assert grad.dtype == torch.float16
    torch.testing.assert_close(grad.float().amax(0), torch.full((2,), 5.0, device=device), rtol=2**-10, atol=0)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("table_dtype", [torch.float32, torch.float16])
@all_layouts
def test_host_and_device_agree_in_float32(layout, table_dtype):
    positions, table = make_grid(layout, "cpu", torch.float32)
    args = positions, table.to(table_dtype)
    on_gpu = hash_encode(*(a.cuda() for a in args), layout).cpu()
    torch.testing.assert_close(on_gpu, hash_encode(*args, layout), rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e30, -1e30, 1 + 1e-7])
@both_precisions
@all_layouts
def test_hostile_positions_stay_inside_the_table(layout, dtype, value, device):
    positions, table = make_grid(layout, device, dtype, 20)
    positions[3] = value
    positions[4, -1] = value
    encodings = hash_encode(positions.requires_grad_(), table.requires_grad_(), layout)
    assert torch.isfinite(encodings).all()
    torch.autograd.grad(encodings.sum(), (positions, table))


def test_registration(device):
    layout = LAYOUTS["3d"]
    for dtype in (torch.float32, torch.float16):
        positions, table = make_grid(layout, device, torch.float32)
        args = positions.requires_grad_(), table.to(dtype).requires_grad_()
        torch.library.opcheck(torch.ops.saff_fast.hash_encode.default, (*args, layout.levels))


def test_layout_is_that_of_tiny_cuda_nn():
    """Sizes worked out by hand from `grid_scale`, `grid_resolution` and the offsets of its GridEncoding."""
    layout = HashGridLayout.build(3, 4, 2, 15, 16, 128)
    assert layout.scales == tuple((scale,) * 3 for scale in (15.0, 31.0, 63.0, 127.0))
    assert layout.resolutions == tuple((n,) * 3 for n in (16, 32, 64, 128))
    assert layout.offsets == (0, 4096, 36864, 69632, 102400)
    assert (layout.n_levels, layout.n_entries, layout.n_outputs) == (4, 102400, 8)


def tcnn_offsets(n_dims, n_levels, log2_table_size, base, finest):
    """As the constructor of tiny-cuda-nn's GridEncodingTemplated computes them, with the C library's own functions."""
    libm = ctypes.CDLL("libm.so.6")
    for function in (libm.log2f, libm.exp2f):
        function.restype, function.argtypes = ctypes.c_float, [ctypes.c_float]
    log2_scale = np.float32(libm.log2f((finest / base) ** (1 / max(n_levels - 1, 1))))  # per_level_scale is a float
    offsets = [0]
    for level in range(n_levels):
        growth = np.float32(libm.exp2f(np.float32(level) * log2_scale))
        scale = growth * np.float32(base) - np.float32(1)
        resolution = math.ceil(scale) + 1
        dense = -(-(resolution**n_dims) // 8) * 8
        offsets.append(offsets[-1] + min(dense, 2**log2_table_size))
    return tuple(offsets)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads the C library of Linux")
@pytest.mark.parametrize("n_features", [1, 2, 4, 8])
@pytest.mark.parametrize(
    "numbers",
    [
        (3, 16, 19, 16, 2048),  # Instant-NGP
        (3, 12, 15, 12, 320),
        (2, 16, 15, 16, 512),
        (4, 16, 17, 16, 512),
        (3, 1, 14, 8, 8),
        # single precision gives these levels one vertex more than exact numbers would
        (3, 2, 19, 3, 64),
        (3, 3, 19, 4, 144),
        (4, 3, 19, 4, 144),
    ],
)
def test_level_sizes_and_offsets_are_those_of_tiny_cuda_nn(numbers, n_features):
    n_dims, n_levels, log2_table_size, base, finest = numbers
    layout = HashGridLayout.build(n_dims, n_levels, n_features, log2_table_size, base, finest)
    assert layout.offsets == tcnn_offsets(*numbers)
    assert all(scales[0] + 0.5 < n for scales, (n, *_) in zip(layout.scales, layout.resolutions, strict=True))


def test_time_grows_on_its_own_and_does_not_wrap():
    layout = HashGridLayout.build(4, 5, 2, 15, 16, 256, time=(3, 24))
    assert layout.scales[0] == (15.0, 15.0, 15.0, 2.0)
    assert layout.scales[-1] == (255.0, 255.0, 255.0, 23.0)
    assert [resolution[3] for resolution in layout.resolutions] == [4, 6, 9, 15, 25]
    table = torch.zeros(layout.n_entries, 2)
    ends = torch.tensor([[0.3, 0.3, 0.3, 0.0], [0.3, 0.3, 0.3, 1.0]])
    first = torch.autograd.grad(hash_encode(ends[:1], table.requires_grad_(), layout)[:, :2].sum(), table)[0]
    last = torch.autograd.grad(hash_encode(ends[1:], table, layout)[:, :2].sum(), table)[0]
    assert not (first.bool() & last.bool()).any()


def test_depth_stops_growing_and_does_not_wrap():
    layout = HashGridLayout.build(3, 5, 2, 15, 16, 256, finest_depth=32)
    assert [scales[:2] for scales in layout.scales] == [(scale, scale) for scale in (15.0, 31.0, 63.0, 127.0, 255.0)]
    assert [scales[2] for scales in layout.scales] == [15.0, 31.0, 31.0, 31.0, 31.0]
    assert [resolution[2] for resolution in layout.resolutions] == [16, 32, 33, 33, 33]
    assert layout.offsets[:3] == HashGridLayout.build(3, 5, 2, 15, 16, 256).offsets[:3]


@pytest.mark.parametrize(("n_dims", "n_features"), SHAPES)
def test_every_shape_is_compiled(n_dims, n_features, device):
    layout = HashGridLayout.build(n_dims, 2, n_features, 8, 3, 12)
    positions, table = make_grid(layout, device, torch.float32)
    expected = reference.hash_encode(positions, table, layout)
    torch.testing.assert_close(hash_encode(positions, table, layout), expected, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_dims": 5}, "n_dims must be 2, 3 or 4 .* got 5 and 2"),
        ({"n_features": 3}, "n_features 1, 2, 4 or 8, got 3 and 3"),
        ({"n_levels": 33}, "there must be 1 to 32 levels, got 33"),
        ({"log2_table_size": 25}, r"log2_table_size must be in \[3, 24\], got 25"),
        ({"base_resolution": 1}, r"2 <= base <= finest <= 2\*\*24, got \(1, 32\)"),
        ({"finest_resolution": 8}, r"got \(16, 8\)"),
        ({"time": (2, 4)}, r"for n_dims = 4 only .* got \(2, 4\) for n_dims = 3"),
        ({"finest_depth": 1}, r"finest_depth must be in \[2, 2\*\*24\], .* got 1 for n_dims = 3"),
        ({"n_dims": 2, "finest_depth": 8}, "for n_dims of 3 or 4, got 8 for n_dims = 2"),
        ({"n_dims": 4, "time": (4, 2)}, r"1 <= coarsest <= finest .* got \(4, 2\)"),
    ],
)
def test_build_rejects(change, message):
    numbers = {"n_dims": 3, "n_levels": 2, "n_features": 2, "log2_table_size": 12} | {
        "base_resolution": 16,
        "finest_resolution": 32,
    }
    with pytest.raises(ValueError, match=message):
        HashGridLayout.build(**numbers | change)


@pytest.mark.parametrize(
    "change",
    [
        {"scales": ((15.0,) * 3, (40.0,) * 3)},  # vertices beyond the level
        {"offsets": (0, 4096, 4096 + 1000)},  # hashed, but no power of two
        {"resolutions": ((16, 16), (32, 32))},
    ],
)
def test_contradictory_layouts_are_refused(change):
    with pytest.raises(ValueError, match=r"HashGridLayout: level . must have a vertex for every cell"):
        dataclasses.replace(HashGridLayout.build(3, 2, 2, 12, 16, 32), **change)


@pytest.mark.parametrize(
    ("index", "replacement", "message"),
    [
        (0, torch.rand(5, 2), r"positions must have shape \(n_samples, n_dims = 3\), got \[5, 2\]"),
        (1, torch.rand(9, 2), r"table must have shape \(n_entries = \d+, n_features = 2\), got \[9, 2\]"),
        (
            0,
            torch.rand(5, 3).double(),
            "table must have the dtype of positions, .* got torch.float32 with torch.float64",
        ),
        (0, torch.rand(5, 3).half(), "positions must be all float32 or all float64, got torch.float16"),
        (0, torch.rand(5, 3, device="meta"), "positions, table must be on one device, got meta, cpu"),
    ],
)
def test_rejects(index, replacement, message):
    args = list(make_grid(LAYOUTS["3d"], "cpu", torch.float32))
    args[index] = replacement
    with pytest.raises(ValueError, match=f"hash_encode: {message}"):
        hash_encode(*args, LAYOUTS["3d"])
