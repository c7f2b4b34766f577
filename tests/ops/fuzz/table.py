"""How each op is called: one entry an op, under the op's name, that draws the sizes and numbers it takes.

An entry says with `floats("n_samples", 3)` and its like what the tensors are; `cases.py` makes them, spoils some, and
compares the results with the shapes in `outputs`.
"""

import dataclasses
import math
from collections.abc import Callable

import torch
from hypothesis import strategies as st
from torch import Tensor

from saff_fast import ops
from saff_fast.types import PackedSamples
from tests.ops.fuzz.cases import Call, Case, Draw
from tests.ops.fuzz.hostile import bits, booleans, floats, indices, packed_info

ENTRIES: dict[str, Callable[[Draw], Call]] = {}


def entry(function: Callable[[Draw], Call]) -> Callable[[Draw], Call]:
    """Adds the entry to the table."""
    ENTRIES[function.__name__] = function
    return function


@st.composite
def cases(draw: Draw, name: str) -> Case:
    """Calls of the op `name`."""
    return Case(name, ENTRIES[name](draw), draw)


@entry
def accumulate(draw: Draw) -> Call:
    return Call(
        ops.accumulate,
        {"weights": floats("n_samples"), "values": floats("n_samples", "n_channels"), "packed_info": packed_info()},
        outputs=[("n_rays", "n_channels")],
        differentiable=("weights", "values"),
    )


@entry
def composite(draw: Draw) -> Call:
    groups = draw(_groups())

    def run(sigmas: Tensor, values: list[Tensor], **rest: object) -> ops.Composited:
        return ops.composite(ops.Emission(sigmas, values), **rest)

    lengths = {name: floats("n_samples") for name in ("sigmas", "deltas", "centres")}
    values = [floats("n_samples", channels) for channels in groups]
    with_weights = draw(st.booleans())
    return Call(
        run,
        {**lengths, "values": values, "packed_info": packed_info(), "with_weights": with_weights},
        outputs=[("n_rays", 2 + sum(groups)), ("n_samples" if with_weights else 0,)],
        differentiable=("sigmas", "values"),
        constant=("deltas", "centres"),
    )


@entry
def composite_joint(draw: Draw) -> Call:
    groups = draw(_groups()), draw(_groups())

    def run(
        sigmas: Tensor,
        values: list[Tensor],
        sigmas_dynamic: Tensor,
        values_dynamic: list[Tensor],
        packed_info: Tensor,
        dynamic_indices: Tensor,
        dynamic_packed_info: Tensor,
        **rest: object,
    ) -> tuple[Tensor, ...]:
        unused = dynamic_indices[:0]
        samples = PackedSamples(packed_info, unused, unused, unused, dynamic_packed_info, dynamic_indices)
        fields = ops.Emission(sigmas, values), ops.Emission(sigmas_dynamic, values_dynamic)
        parts = ops.composite_joint(*fields, samples=samples, **rest)
        return parts[0].sums, parts[1].sums, parts[0].weights, parts[1].weights

    lengths = {name: floats("n_samples") for name in ("sigmas", "blends", "deltas", "centres")}
    places = {"dynamic_indices": indices("n_dynamic"), "dynamic_packed_info": packed_info("n_dynamic")}
    return Call(
        run,
        {
            **lengths,
            "values": [floats("n_samples", channels) for channels in groups[0]],
            "sigmas_dynamic": floats("n_dynamic"),
            "values_dynamic": [floats("n_dynamic", channels) for channels in groups[1]],
            "packed_info": packed_info(),
            **places,
            "with_weights": True,
        },
        outputs=[*(("n_rays", 2 + sum(channels)) for channels in groups), ("n_samples",), ("n_dynamic",)],
        differentiable=("sigmas", "values", "sigmas_dynamic", "values_dynamic", "blends"),
        constant=("deltas", "centres"),
    )


@entry
def directional(draw: Draw) -> Call:
    return Call(
        ops.directional,
        {"coefficients": floats("n_samples", 12), "directions": floats("n_samples", 3)},
        outputs=[("n_samples", 3)],
        differentiable=("coefficients",),
        constant=("directions",),
    )


@entry
def distortion(draw: Draw) -> Call:
    samples = ("weights", "t_starts", "t_ends")
    return Call(
        ops.distortion,
        {**{name: floats("n_samples") for name in samples}, "packed_info": packed_info()},
        outputs=[("n_rays",)],
        differentiable=samples[:1],
        constant=samples[1:],
    )


@entry
def flow_sample(draw: Draw) -> Call:
    layout, resolution = draw(layouts(n_dims=4)), draw(_resolutions())

    def run(bits: Tensor | None, **rest: object) -> ops.FlowSamples:
        return ops.flow_sample(occupancy=None if bits is None else ops.OccupancySlices(bits, resolution), **rest)

    per_sample = ("n_neighbours", "n_samples")
    return Call(
        run,
        {
            "positions": floats("n_samples", 3),
            "flows": floats(*per_sample, 3),
            "times": floats(*per_sample),
            "table": floats(layout.n_entries, layout.n_features),
            "layout": layout,
            "bits": draw(st.sampled_from((None, bits("n_frames", -(-math.prod(resolution) // 8))))),
        },
        outputs=[(*per_sample, 3), (*per_sample, layout.n_outputs), *[per_sample] * 3],
        differentiable=("positions", "flows", "table"),
        constant=("times",),
        sizes={"n_frames": draw(st.sampled_from((1, 2, 24))), "n_neighbours": draw(st.sampled_from((0, 1, 2, 4)))},
    )


@entry
def HashGridLayout(draw: Draw) -> Call:
    """Layouts with one wrong number: what is not refused must be safe to encode with."""
    right = draw(layouts())
    name = draw(st.sampled_from(("n_dims", "n_features", "resolutions", "scales", "offsets")))

    def encode(positions: Tensor, **numbers: object) -> Tensor:
        layout = ops.HashGridLayout(**numbers)
        table = positions.new_ones(layout.n_entries, layout.n_features)
        return ops.hash_encode(positions[:, : layout.n_dims], table, layout)

    numbers = vars(right) | {name: draw(_one_changed(getattr(right, name)))}
    arguments = {"positions": floats("n_samples", 4), **numbers}
    return Call(encode, arguments, outputs=[("n_samples", "n_outputs")], acceptable=None)


@entry
def hash_encode(draw: Draw) -> Call:
    layout = draw(layouts())
    return Call(
        ops.hash_encode,
        {
            "positions": floats("n_samples", layout.n_dims),
            "table": floats(layout.n_entries, layout.n_features),
            "layout": layout,
        },
        outputs=[("n_samples", layout.n_outputs)],
        differentiable=("positions", "table"),
    )


@entry
def lazy_adam(draw: Draw) -> Call:
    names = ("parameter", "grad", "exp_avg", "exp_avg_sq")
    step, lr = draw(st.sampled_from((1, 2, 10**6, 0, -1))), draw(st.sampled_from((0.0, 0.01, 1e30, -1.0)))

    def run(parameter: Tensor, grad: Tensor, exp_avg: Tensor, exp_avg_sq: Tensor, **numbers: object) -> Tensor:
        changed = [tensor.clone(memory_format=torch.contiguous_format) for tensor in (parameter, exp_avg, exp_avg_sq)]
        ops.lazy_adam(changed[0], grad, *changed[1:], **numbers)
        return changed[0]

    return Call(
        run,
        {**{name: floats("n", 3) for name in names}, "step": step, "lr": lr, "betas": (0.9, 0.99), "eps": 1e-15},
        outputs=[("n", 3)],
        acceptable=step >= 1 and lr >= 0,
    )


@entry
def march(draw: Draw) -> Call:
    capacity = draw(st.sampled_from((None, (0, 0), (1, 100), (10_000, 1), (-1, 1))))
    call = _marching(draw, ops.march, {"capacity": capacity})
    outputs = call.outputs if capacity is None else [*call.outputs, ()]
    acceptable = call.acceptable and (capacity is None or min(capacity) >= 0)
    return dataclasses.replace(call, outputs=outputs, acceptable=acceptable)


@entry
def march_round(draw: Draw) -> Call:
    max_samples = draw(st.sampled_from((1, 2, 64, 2**40, 0, -1)))

    call = _marching(draw, ops.march_round, {"max_samples": max_samples, "first_steps": indices("n_rays")})
    outputs = [*call.outputs, ("n_rays",)]
    return dataclasses.replace(call, outputs=outputs, acceptable=call.acceptable and max_samples >= 1)


def _marching(draw: Draw, function: Callable[..., object], more: dict[str, object]) -> Call:
    """What march and march_round have in common."""
    resolution, n_steps = draw(_resolutions()), draw(st.sampled_from((1, 63, 64, 65, 200, 100_000, 0, -1)))
    n_bytes, n_coarse_bytes = (-(-math.prod(-(-n // side) for n in resolution) // 8) for side in (1, 4))

    def run(static_bits: Tensor, dynamic_bits: Tensor, coarse_bits: Tensor, **rest: object) -> tuple[Tensor, ...]:
        occupancy = ops.OccupancyBits(static_bits, dynamic_bits, coarse_bits, resolution)
        result = function(occupancy=occupancy, **rest)
        samples, *others = result if isinstance(result, tuple) else (result,)
        return *(tensor for tensor in vars(samples).values() if tensor is not None), *others

    return Call(
        run,
        {
            "origins": floats("n_rays", 3),
            "directions": floats("n_rays", 3),
            "frames": indices("n_rays"),
            "static_bits": bits(n_bytes),
            "dynamic_bits": bits("n_frames", n_bytes),
            "coarse_bits": bits("n_frames", n_coarse_bytes),
            "n_steps": n_steps,
            "jitter": draw(st.sampled_from((None, floats("n_rays")))),
            **more,
        },
        outputs=[("n_rays", 2), ("n_kept",), ("n_kept",), ("n_kept",), ("n_rays", 2), ("n_dynamic",)],
        sizes={"n_frames": draw(st.sampled_from((1, 2, 24)))} | ({"n_rays": 2} if n_steps > 200 else {}),
        acceptable=n_steps >= 1,
    )


@entry
def mlp(draw: Draw) -> Call:
    widths = draw(st.lists(st.sampled_from((1, 3, 8, 16, 17, 64, 65)), min_size=2, max_size=5))
    layers = list(zip(widths[1:], widths[:-1], strict=True))
    return Call(
        ops.mlp,
        {
            "inputs": floats("n", widths[0]),
            "weights": [floats(*layer) for layer in layers],
            "biases": [floats(n_out) for n_out, _ in layers],
        },
        outputs=[("n", widths[-1])],
        differentiable=("inputs", "weights", "biases"),
        sizes={"n": draw(st.sampled_from((0, 1, 2, 11, 12, 13, 191, 192, 193, 1537)))},
    )


@entry
def pack_bits(draw: Draw) -> Call:
    sizes = {axis: draw(st.sampled_from((0, 1, 2, 7, 8, 33))) for axis in ("rx", "ry", "rz")}
    outputs = [("n_frames", -(-math.prod(sizes.values()) // 8))]
    sizes["n_frames"] = draw(st.sampled_from((0, 1, 2, 24)))
    return Call(ops.pack_bits, {"cells": booleans("n_frames", "rx", "ry", "rz")}, outputs, sizes=sizes)


@entry
def pack_occupancy(draw: Draw) -> Call:
    sizes = dict(zip(("rx", "ry", "rz"), draw(_resolutions()), strict=True))
    n_bytes, n_coarse_bytes = (-(-math.prod(-(-n // side) for n in sizes.values()) // 8) for side in (1, 4))

    def run(**cells: Tensor) -> tuple[Tensor, ...]:
        return tuple(vars(ops.pack_occupancy(**cells)).values())[:3]

    return Call(
        run,
        {"static": booleans("rx", "ry", "rz"), "dynamic": booleans("n_frames", "rx", "ry", "rz")},
        outputs=[(n_bytes,), ("n_frames", n_bytes), ("n_frames", n_coarse_bytes)],
        sizes=sizes | {"n_frames": draw(st.sampled_from((1, 2, 24)))},
    )


@entry
def project_flow(draw: Draw) -> Call:
    ndc = (*draw(st.tuples(*[st.sampled_from((1.0, 1e-3, 50.0))] * 3)), 0.9999)
    places = {
        "c2w": floats("n_cameras", 3, 4),
        "intrinsics": floats("n_cameras", 4),
        "low": floats(3),
        "high": floats(3),
    }
    return Call(
        ops.project_flow,
        {"points": floats("n_rays", 3), "poses": indices("n_rays"), **places, "ndc": ndc, "limit": 512.0},
        outputs=[("n_rays", 2)],
        differentiable=("points",),
        constant=tuple(places),
        sizes={"n_cameras": draw(st.sampled_from((1, 2, 24)))},
    )


@entry
def splat(draw: Draw) -> Call:
    sizes = {axis: draw(st.sampled_from((0, 1, 2, 7, 64))) for axis in ("height", "width", "n_channels")}
    shape = ("height", "width")
    return Call(
        ops.splat,
        {"values": floats(*shape, "n_channels"), "weights": floats(*shape), "flow": floats(*shape, 2)},
        outputs=[(*shape, "n_channels"), shape],
        constant=("values", "weights", "flow"),
        sizes=sizes,
    )


@entry
def unpack_bits(draw: Draw) -> Call:
    resolution = draw(_resolutions())
    n_bytes = -(-math.prod(resolution) // 8)
    arguments = {"bits": bits("n_frames", n_bytes), "resolution": resolution}
    return Call(ops.unpack_bits, arguments, outputs=[("n_frames", *resolution)])


@st.composite
def _groups(draw: Draw) -> list[int]:
    return draw(st.lists(st.sampled_from((0, 1, 3, 8, 24, 65)), max_size=8))


@st.composite
def _resolutions(draw: Draw) -> tuple[int, int, int]:
    return draw(st.tuples(*[st.sampled_from((1, 2, 7, 8, 33))] * 3))


@st.composite
def layouts(draw: Draw, n_dims: int | None = None) -> ops.HashGridLayout:
    """Layouts at and between the limits of `build`, with tables of at most 2^19 numbers, but for a few of 2^24."""
    n_dims = n_dims or draw(st.integers(2, 4))
    if draw(st.integers(0, 100)) == 100:
        return ops.HashGridLayout.build(n_dims, 1, 1, 24, 2**24, 2**24)
    base, finest = sorted(draw(st.tuples(*[st.sampled_from((2, 3, 8, 65, 2**24))] * 2)))
    time = tuple(sorted(draw(st.tuples(*[st.sampled_from((1, 2, 24, 2**24))] * 2))))
    depth = draw(st.sampled_from((None, 2, 7, 2**24))) if n_dims > 2 else None
    return ops.HashGridLayout.build(
        n_dims,
        draw(st.sampled_from((1, 2, 3, 16, 32))),
        draw(st.sampled_from((1, 2, 4, 8))),
        draw(st.sampled_from((3, 4, 8, 11))),
        base,
        finest,
        time if n_dims == 4 and draw(st.booleans()) else None,
        depth,
    )


@st.composite
def _one_changed(draw: Draw, value: object) -> object:
    """The number, or the nested tuples of numbers, with one number changed."""
    if isinstance(value, tuple):
        i = draw(st.integers(0, len(value) - 1))
        return (*value[:i], draw(_one_changed(value[i])), *value[i + 1 :])
    nearby = value + 1, value - 1, value + 8, value - 8
    far = (math.nan, math.inf, 0.5, 2.0**31) if isinstance(value, float) else (2**24, 2**31, 2**33, 2**70)
    return draw(st.sampled_from((0, -1, *nearby, *far)))
