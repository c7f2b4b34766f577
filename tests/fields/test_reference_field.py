"""The published networks: sizes, positional encoding and heads."""

import math

import pytest
import torch
from torch.nn.functional import linear

from saff_fast.fields.reference_field import (
    ReferenceDynamicField,
    ReferenceField,
    ReferenceFieldConfig,
    ReferenceStaticField,
    positional_encoding,
)

TINY = ReferenceFieldConfig(depth=8, width=12, n_bands=3, n_bands_views=2)


def points(n=5):
    positions = torch.rand(n, 3, dtype=torch.float64)
    viewdirs = torch.nn.functional.normalize(torch.randn(n, 3, dtype=torch.float64), dim=1)
    return positions, viewdirs, torch.tensor([0.0, 3, 7, 10, 23], dtype=torch.float64)[:n]


def test_published_sizes():
    field = ReferenceField(ReferenceFieldConfig(), 24, 64)
    count = [sum(p.numel() for p in part.parameters()) for part in (field.static, field.dynamic)]
    assert count == [612_806, 625_357]
    trunk = [tuple(layer.weight.shape) for layer in field.dynamic.pts_linears]
    assert trunk == [(256, 84), *[(256, 256)] * 4, (256, 340), *[(256, 256)] * 2]


def test_published_names():
    shared = {f"pts_linears.{i}" for i in range(8)} | {"views_linears.0", "dino_linears.0"}
    shared |= {f"{name}_linear" for name in ("feature", "alpha", "rgb", "sal")}
    field = ReferenceField(TINY, 24, 8)
    for part, own in ((field.static, {"w_linear"}), (field.dynamic, {"sf_linear", "prob_linear"})):
        assert {name.rsplit(".", 1)[0] for name in part.state_dict()} == shared | own


def test_positional_encoding_band_by_band():
    x = [0.3, -0.7]
    expected = list(x)
    for band in range(4):
        expected += [math.sin(2**band * v) for v in x] + [math.cos(2**band * v) for v in x]
    actual = positional_encoding(torch.tensor([x], dtype=torch.float64), 4)
    torch.testing.assert_close(actual[0], torch.tensor(expected, dtype=torch.float64))


def straight_line(field, inputs, viewdirs):
    """Trunk and common heads, one published layer after the other."""
    p = field.state_dict()

    def layer(name, x):
        return linear(x, p[f"{name}.weight"], p[f"{name}.bias"])

    gamma = positional_encoding(inputs, 3)
    h = gamma
    for i in range(5):
        h = torch.relu(layer(f"pts_linears.{i}", h))
    h = torch.relu(layer("pts_linears.5", torch.cat([gamma, h], 1)))
    h = torch.relu(layer("pts_linears.7", torch.relu(layer("pts_linears.6", h))))
    view = torch.cat([layer("feature_linear", h), positional_encoding(viewdirs, 2)], 1)
    heads = {
        "sigmas": 2 * layer("alpha_linear", h)[:, 0],  # per cube length, which is 2 of the networks'
        "rgbs": torch.sigmoid(layer("rgb_linear", torch.relu(layer("views_linears.0", view)))),
        "hiddens": torch.tanh(layer("dino_linears.0", h)),
        "saliencies": torch.sigmoid(layer("sal_linear", h))[:, 0],
    }
    return layer, h, heads


def assert_outputs(outputs, expected):
    assert expected.keys() == outputs.__dataclass_fields__.keys()
    for name, value in expected.items():
        torch.testing.assert_close(getattr(outputs, name), value, msg=lambda text, name=name: f"{name}: {text}")


def test_static_heads():
    field = ReferenceStaticField(TINY, 6).double()
    positions, viewdirs, _ = points()
    layer, h, heads = straight_line(field, 2 * positions - 1, viewdirs)
    assert_outputs(field(positions, viewdirs), heads | {"blends": torch.sigmoid(layer("w_linear", h))[:, 0]})


def dynamic_expected(field, positions, viewdirs, frames):
    times = 2 * frames / 24 - 1
    layer, h, heads = straight_line(field, torch.cat([2 * positions - 1, times[:, None]], 1), viewdirs)
    flows, occlusions = torch.tanh(layer("sf_linear", h)) / 2, torch.sigmoid(layer("prob_linear", h))
    return heads | {
        "flows_bw": flows[:, :3],
        "flows_fw": flows[:, 3:],
        "occlusions_bw": occlusions[:, 0],
        "occlusions_fw": occlusions[:, 1],
    }


def test_dynamic_heads():
    field = ReferenceDynamicField(TINY, 24, 6).double()
    positions, viewdirs, frames = points()
    assert_outputs(field(positions, viewdirs, frames), dynamic_expected(field, positions, viewdirs, frames))


def test_displaced_is_the_field_where_flow_leads():
    field = ReferenceDynamicField(TINY, 24, 6).double()
    positions, viewdirs, frames = points()
    flows = torch.zeros(5, 3, dtype=torch.float64)
    flows[:, 1] = torch.tensor([0.0, 0.1, 2.0, -2.0, 0.0])
    back = -flows / 2
    outputs, there = field.displaced(positions, torch.stack([flows, back]), viewdirs, torch.stack([frames, frames]))
    for part, moved in zip(outputs, (flows, back), strict=True):
        assert_outputs(part, dynamic_expected(field, positions + moved, viewdirs, frames))
    torch.testing.assert_close(there.inside[0, 2:], torch.tensor([0.0, 0, 1], dtype=torch.float64))


def test_semantic_layers_change_nothing():
    field = ReferenceField(TINY, 24, 6)
    channels = torch.randn(4, 6)
    for layer in (field.static_semantics, field.dynamic_semantics):
        assert torch.equal(layer(channels), channels)
        assert not any(p.requires_grad for p in layer.parameters())


@pytest.mark.parametrize(("option", "message"), [({"depth": 5}, "at least 6, got 5"), ({"width": 1}, "2, got 1")])
def test_bad_sizes(option, message):
    with pytest.raises(ValueError, match=message):
        ReferenceFieldConfig(**option)
