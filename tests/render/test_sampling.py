"""The published sampling of rays."""

import pytest
import torch
from torch import nn

from saff_fast.render.compositing import sample_lengths
from saff_fast.render.renderer import Renderer
from saff_fast.render.sampling import UniformSampler
from saff_fast.types import DynamicOutputs, Rays, StaticOutputs
from tests.render.in_rounds import render_in_rounds

S = 7


def make_rays(n):
    origins, ends = torch.rand(n, 3) * 2 - 0.5, torch.rand(n, 3)
    origins[:, 2], ends[:, 2] = 0, 1
    return Rays(origins, ends - origins, torch.zeros(n, 3), torch.zeros(n))


def test_samples_lie_from_near_to_far_and_reach_to_the_next():
    rays = make_rays(3)
    samples = UniformSampler(S).march(rays, None)
    lengths, places = sample_lengths(samples, rays.directions)
    torch.testing.assert_close(places.view(3, S), torch.linspace(0, 1, S).expand(3, S))
    expected = torch.tensor([1 / 6] * 6 + [1e10]) * rays.directions.norm(dim=1, keepdim=True)
    torch.testing.assert_close(lengths.view(3, S), expected)
    assert samples.packed_info.tolist() == [[0, S], [S, S], [2 * S, S]]
    assert samples.ray_indices.tolist() == [0] * S + [1] * S + [2] * S
    assert torch.equal(samples.dynamic_packed_info, samples.packed_info)
    assert torch.equal(samples.dynamic_indices, torch.arange(3 * S))


@pytest.mark.parametrize(("jitter", "expected"), [(0.0, [0, 0.5, 1.5, 2.5]), (1.0, [0.5, 1.5, 2.5, 3])])
def test_jitter_stays_between_the_middles(jitter, expected):
    rays = make_rays(2)
    samples = UniformSampler(4).march(rays, torch.full((2, 4), jitter))
    _, places = sample_lengths(samples, rays.directions)
    torch.testing.assert_close(places.view(2, 4) * 3, torch.tensor(expected, dtype=torch.float).expand(2, 4))
    ends = torch.cat([samples.t_starts.view(2, 4)[:, 1:], samples.t_starts.view(2, 4)[:, -1:] + 1e10], 1)
    torch.testing.assert_close(samples.t_ends.view(2, 4), ends)


def test_every_sample_is_moved_on_its_own():
    sampler = UniformSampler(S)
    jitter = torch.rand(5, *sampler.jitter_shape)
    moved = jitter.clone()
    moved[2, 3] = 1 - moved[2, 3]
    first, second = (sampler.march(make_rays(5), j).t_starts.view(5, S) for j in (jitter, moved))
    assert (first != second).nonzero().tolist() == [[2, 3]]


def test_rays_beside_the_cube_are_sampled_too():
    rays = make_rays(4)
    rays.origins[:, 0] += 9
    assert len(UniformSampler(S).march(rays, None).t_starts) == 4 * S


@pytest.mark.parametrize("round_samples", [1, 3, S, 100])
def test_rounds_are_the_whole_render(round_samples):
    def static(positions, viewdirs, with_hiddens):
        x, y, z = positions.unbind(1)
        return StaticOutputs(2 * z, positions, (3 * x).sin() ** 2, y, positions)

    def dynamic(positions, viewdirs, frames, with_hiddens):
        x, y, _ = positions.unbind(1)
        return DynamicOutputs(y.relu(), 1 - positions, x, positions, positions, positions, x, y)

    renderer = Renderer(static, dynamic, (nn.Linear(3, 2), nn.Linear(3, 2)), UniformSampler(S))
    rays = make_rays(50)
    with torch.no_grad():
        expected = renderer(rays).outputs
    actual = render_in_rounds(renderer, rays, 0.0, round_samples)
    for name, value in vars(expected).items():
        torch.testing.assert_close(getattr(actual, name), value, rtol=1e-4, atol=1e-5, msg=name)


@pytest.mark.parametrize("n_steps", [2, 128, 4096, 1 << 20])
def test_what_is_rendered_at_once_is_bounded(n_steps):
    assert 1 <= UniformSampler(n_steps).rays_at_once <= max(1, (1 << 18) // n_steps)
