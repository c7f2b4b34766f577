"""Joint compositing against a straight computation of the published formulas."""

import dataclasses

import pytest
import torch
from torch import nn

from saff_fast.ops import accumulate
from saff_fast.render.compositing import composite_dynamic, composite_joint, sample_lengths, static_alone
from saff_fast.types import DynamicOutputs, PackedSamples, StaticOutputs

COUNTS = [4, 0, 7, 1]
HIDDEN, SEMANTIC = 5, 8


def packed(counts):
    counts = torch.tensor(counts)
    return torch.stack([counts.cumsum(0) - counts, counts], dim=1)


@pytest.fixture
def samples():
    n = sum(COUNTS)
    rows = torch.arange(len(COUNTS)).repeat_interleave(torch.tensor(COUNTS))
    where = torch.tensor([i for i in range(n) if i % 3 != 1])
    dynamic_counts = [int((rows[where] == k).sum()) for k in range(len(COUNTS))]
    starts = torch.rand(n, dtype=torch.float64).sort().values
    return PackedSamples(packed(COUNTS), rows, starts, starts + 0.1, packed(dynamic_counts), where)


def random_outputs(cls, n):
    def positive(*shape):
        return torch.rand(*shape, dtype=torch.float64)

    shapes = {"rgbs": (n, 3), "hiddens": (n, HIDDEN), "flows_fw": (n, 3), "flows_bw": (n, 3)}
    return cls(
        **{name: positive(*shapes.get(name, (n,))) * (5 if name == "sigmas" else 1) for name in cls.__annotations__}
    )


@pytest.fixture
def fields(samples):
    n, m = len(samples.t_starts), len(samples.dynamic_indices)
    layers = nn.Linear(HIDDEN, SEMANTIC).double(), nn.Linear(HIDDEN, SEMANTIC).double()
    return random_outputs(StaticOutputs, n), random_outputs(DynamicOutputs, m), layers


def test_joint_matches_the_formulas_per_sample(samples, fields):
    static, dynamic, layers = fields
    lengths = sample_lengths(samples, torch.ones(len(COUNTS), 3, dtype=torch.float64))
    outputs, _, weights = composite_joint(static, dynamic, samples, lengths, layers)
    place = {int(i): k for k, i in enumerate(samples.dynamic_indices)}
    for ray, (first, count) in enumerate(samples.packed_info.tolist()):
        trans, rgb, semantic, blend, depth = 1.0, torch.zeros(3), torch.zeros(SEMANTIC), 0.0, 0.0
        for i in range(first, first + count):
            delta, centre = lengths[0][i], lengths[1][i]
            v = static.blends[i] if i in place else 0.0
            alpha_s = (1 - v) * (1 - torch.exp(-static.sigmas[i] * delta))
            rgb, semantic = (
                rgb + trans * alpha_s * static.rgbs[i],
                semantic + trans * alpha_s * layers[0](static.hiddens[i]),
            )
            alpha_d = torch.tensor(0.0, dtype=torch.float64)
            if i in place:
                k = place[i]
                alpha_d = v * (1 - torch.exp(-dynamic.sigmas[k] * delta))
                rgb = rgb + trans * alpha_d * dynamic.rgbs[k]
                semantic = semantic + trans * alpha_d * layers[1](dynamic.hiddens[k])
                torch.testing.assert_close(weights[k], trans * alpha_d)
            blend, depth = blend + trans * alpha_d, depth + trans * (alpha_s + alpha_d) * centre
            trans = trans * (1 - alpha_s) * (1 - alpha_d)
        for actual, expected in (
            (outputs.rgb, rgb),
            (outputs.semantic, semantic),
            (outputs.blend, blend),
            (outputs.depth, depth),
        ):
            torch.testing.assert_close(actual[ray], torch.as_tensor(expected, dtype=torch.float64))


def test_opacity_is_at_most_one_where_blend_is_decided(samples, fields):
    # With an undecided blend the published transmittance keeps v (1 - v) of two opaque fields, so weights can pass 1.
    static, dynamic, layers = fields
    static = StaticOutputs(**{**static.__dict__, "blends": static.blends.round()})
    lengths = sample_lengths(samples, torch.full((len(COUNTS), 3), 100.0, dtype=torch.float64))
    outputs, _, _ = composite_joint(static, dynamic, samples, lengths, layers)
    assert (outputs.opacity <= 1 + 1e-9).all()
    assert outputs.opacity[1] == 0  # a ray without samples


def test_dynamic_alone_equals_joint_where_all_is_dynamic(samples, fields):
    static, dynamic, layers = fields
    n = len(samples.t_starts)
    everywhere = PackedSamples(
        samples.packed_info, samples.ray_indices, samples.t_starts, samples.t_ends, samples.packed_info, torch.arange(n)
    )
    dynamic = random_outputs(DynamicOutputs, n)
    static = StaticOutputs(**{**static.__dict__, "blends": torch.ones(n, dtype=torch.float64)})
    lengths = sample_lengths(everywhere, torch.ones(len(COUNTS), 3, dtype=torch.float64))
    joint, _, _ = composite_joint(static, dynamic, everywhere, lengths, layers)
    alone = composite_dynamic(dynamic, lengths, everywhere.packed_info, layers[1]).outputs
    for name in ("rgb", "depth", "opacity", "saliency", "semantic"):
        torch.testing.assert_close(getattr(joint, name), getattr(alone, name))


def test_static_colour_is_the_joint_one_without_a_dynamic_field(samples, fields):
    static, dynamic, layers = fields
    lengths = sample_lengths(samples, torch.ones(len(COUNTS), 3, dtype=torch.float64))
    nowhere = dataclasses.replace(
        samples,
        dynamic_indices=samples.dynamic_indices[:0],
        dynamic_packed_info=torch.zeros_like(samples.packed_info),
    )
    nothing = DynamicOutputs(*(getattr(dynamic, name)[:0] for name in DynamicOutputs.__annotations__))
    joint, *_ = composite_joint(static, nothing, nowhere, lengths, layers)
    torch.testing.assert_close(static_alone(static, samples, lengths).rgb, joint.rgb)


def test_joint_equals_static_alone_where_nothing_is_dynamic(samples, fields):
    static, dynamic, layers = fields
    static = dataclasses.replace(static, blends=torch.zeros_like(static.blends))
    lengths = sample_lengths(samples, torch.ones(len(COUNTS), 3, dtype=torch.float64))
    joint, *_ = composite_joint(static, dynamic, samples, lengths, layers)
    torch.testing.assert_close(joint.rgb, static_alone(static, samples, lengths).rgb)
    assert not joint.blend.any()


def test_static_alone_sums_what_else_it_is_given(samples, fields):
    static, dynamic, layers = fields
    static = dataclasses.replace(static, blends=torch.zeros_like(static.blends))
    lengths = sample_lengths(samples, torch.ones(len(COUNTS), 3, dtype=torch.float64))
    _, weights, _ = composite_joint(static, dynamic, samples, lengths, layers)
    alone = static_alone(static, samples, lengths, [lengths[1].unsqueeze(1) ** 2])
    powers = torch.stack([lengths[1], lengths[1] ** 2], dim=1)
    sums = accumulate(weights, powers, samples.packed_info)
    torch.testing.assert_close(torch.stack([alone.depth, alone.extras[:, 0]], dim=1), sums)


def test_densities_are_rectified_after_their_noise_which_both_fields_share(samples, fields):
    static, dynamic, layers = fields
    where = samples.dynamic_indices
    static, dynamic = (dataclasses.replace(part, sigmas=part.sigmas - 2.5) for part in (static, dynamic))
    noise = torch.randn(len(static.sigmas), dtype=torch.float64)
    lengths = sample_lengths(samples, torch.ones(len(COUNTS), 3, dtype=torch.float64))
    rectified = (
        dataclasses.replace(static, sigmas=(static.sigmas + noise).clamp_min(0)),
        dataclasses.replace(dynamic, sigmas=(dynamic.sigmas + noise[where]).clamp_min(0)),
    )
    assert (static.sigmas + noise).min() < 0 < (static.sigmas + noise).max()
    expected, *_ = composite_joint(*rectified, samples, lengths, layers)
    actual, *_ = composite_joint(static, dynamic, samples, lengths, layers, noise)
    torch.testing.assert_close(vars(actual), vars(expected))
    chosen, info = tuple(length[where] for length in lengths), samples.dynamic_packed_info
    alone = composite_dynamic(dynamic, chosen, info, layers[1], noise=noise[where])
    torch.testing.assert_close(alone.weights, composite_dynamic(rectified[1], chosen, info, layers[1]).weights)
