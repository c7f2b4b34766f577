"""How each op is called: one entry an op, under the op's name, that draws the sizes and numbers it takes.

An entry says with `floats("n_samples", 3)` and its like what the tensors are; `cases.py` makes them, spoils some, and
compares the results with the shapes in `outputs`.
"""

import math
from collections.abc import Callable

from hypothesis import strategies as st
from torch import Tensor

from saff_fast import ops
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
def flow_sample(draw: Draw) -> Call:
    layout = draw(layouts(n_dims=4))
    return Call(
        ops.flow_sample,
        {
            "positions": floats("n_samples", 3),
            "flows": floats("n_samples", 3),
            "times": floats("n_samples"),
            "table": floats(layout.n_entries, layout.n_features),
            "layout": layout,
        },
        outputs=[("n_samples", 3), ("n_samples", layout.n_outputs), ("n_samples",)],
        differentiable=("positions", "flows", "table"),
        constant=("times",),
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
def joint_weights(draw: Draw) -> Call:
    samples = ("sigmas_static", "sigmas_dynamic", "blends", "deltas")
    return Call(
        ops.joint_weights,
        {**{name: floats("n_samples") for name in samples}, "packed_info": packed_info()},
        outputs=[("n_samples",), ("n_samples",)],
        differentiable=samples[:3],
        constant=("deltas",),
    )


@entry
def march(draw: Draw) -> Call:
    resolution = draw(st.tuples(*[st.sampled_from((1, 2, 7, 8, 33))] * 3))
    n_steps = draw(st.sampled_from((1, 63, 64, 65, 200, 100_000, 0, -1)))
    capacity = draw(st.sampled_from((None, 0, 1, 100, 2**62, -1)))
    n_bytes = -(-math.prod(resolution) // 8)
    samples = [("n_rays", 2), ("n_kept",), ("n_kept",), ("n_kept",), ("n_rays", 2), ("n_dynamic",)]
    return Call(
        ops.march,
        {
            "origins": floats("n_rays", 3),
            "directions": floats("n_rays", 3),
            "frames": indices("n_rays"),
            "static_bits": bits(n_bytes),
            "dynamic_bits": bits("n_frames", n_bytes),
            "resolution": resolution,
            "n_steps": n_steps,
            "jitter": draw(st.sampled_from((None, floats("n_rays")))),
            "capacity": capacity,
        },
        outputs=samples,
        sizes={"n_frames": draw(st.sampled_from((1, 2, 24)))} | ({"n_rays": 2} if n_steps > 200 else {}),
        acceptable=n_steps >= 1 and capacity != -1,
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
def render_weights(draw: Draw) -> Call:
    return Call(
        ops.render_weights,
        {"sigmas": floats("n_samples"), "deltas": floats("n_samples"), "packed_info": packed_info()},
        outputs=[("n_samples",)],
        differentiable=("sigmas",),
        constant=("deltas",),
    )


@st.composite
def layouts(draw: Draw, n_dims: int | None = None) -> ops.HashGridLayout:
    """Layouts at and between the limits of `build`, with tables of at most 2^19 numbers, but for a few of 2^24."""
    n_dims = n_dims or draw(st.integers(2, 4))
    if draw(st.integers(0, 100)) == 100:
        return ops.HashGridLayout.build(n_dims, 1, 1, 24, 2**24, 2**24)
    base, finest = sorted(draw(st.tuples(*[st.sampled_from((2, 3, 8, 65, 2**24))] * 2)))
    time = sorted(draw(st.tuples(*[st.sampled_from((1, 2, 24, 2**24))] * 2)))
    return ops.HashGridLayout.build(
        n_dims,
        draw(st.sampled_from((1, 2, 3, 16, 32))),
        draw(st.sampled_from((1, 2, 4, 8))),
        draw(st.sampled_from((3, 4, 8, 11))),
        base,
        finest,
        *(time if n_dims == 4 and draw(st.booleans()) else ()),
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
