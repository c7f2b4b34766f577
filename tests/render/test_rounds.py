"""Rendering in rounds against the whole render."""

from dataclasses import fields, replace

import pytest
import torch
from torch import nn

from saff_fast.render.occupancy import OccupancyConfig, OccupancyGrid
from saff_fast.render.renderer import Renderer
from saff_fast.render.rounds import transmittance
from saff_fast.types import DynamicOutputs, Rays, RenderOutputs, StaticOutputs
from tests.render.in_rounds import render_in_rounds

N_FRAMES, HIDDEN, SEMANTIC = 2, 3, 4
TIME = 1.0


class Fields:
    """Smooth made-up fields with values in [0, 1], and a count of the samples they were asked for."""

    def __init__(self, density, decided):
        self.density, self.decided, self.n_samples = density, decided, 0

    def static(self, positions, viewdirs, with_hiddens):
        self.n_samples += len(positions)
        x, y, z = positions.unbind(1)
        blends = (3 * x + 5 * z).sin() ** 2
        blends = blends.round() if self.decided else blends
        hiddens = (positions * 7).cos()
        return StaticOutputs(self.density * (9 * x).sin() ** 2, positions, blends, y, hiddens)

    def dynamic(self, positions, viewdirs, frames, with_hiddens):
        x, y, _ = positions.unbind(1)
        sigmas = self.density * (7 * y + frames).cos() ** 2
        return DynamicOutputs(sigmas, 1 - positions, x, positions, positions, positions, x, y)


def make_renderer(density, decided=False):
    grid = OccupancyGrid(OccupancyConfig(resolution=8, n_steps=64), N_FRAMES)
    static, dynamic = torch.rand(8, 8, 8) < 0.6, torch.rand(N_FRAMES, 8, 8, 8) < 0.4
    grid.seed(static, dynamic, torch.ones(N_FRAMES, dtype=torch.bool))
    known, layers = Fields(density, decided), (nn.Linear(HIDDEN, SEMANTIC), nn.Linear(HIDDEN, SEMANTIC))
    return Renderer(known.static, known.dynamic, layers, grid), known


def make_rays(n_rays):
    """Rays through the cube from z = 0 to z = 1, some beside it."""
    origins, ends = torch.rand(n_rays, 3) * 1.2 - 0.1, torch.rand(n_rays, 3)
    origins[:, 2], ends[:, 2] = 0, 1
    directions = ends - origins
    viewdirs = directions / directions.norm(dim=1, keepdim=True)
    return Rays(origins, directions, viewdirs, torch.full((n_rays,), TIME))


def largest_difference(actual, expected):
    return max((getattr(actual, f.name) - getattr(expected, f.name)).abs().max() for f in fields(RenderOutputs))


@pytest.mark.parametrize("round_samples", [1, 5, 16, 100])
@pytest.mark.parametrize("density", [0.5, 30.0, 1e10])
def test_rounds_that_stop_nothing_are_the_whole_render(round_samples, density):
    renderer, _ = make_renderer(density)
    rays = make_rays(200)
    with torch.no_grad():
        whole = renderer(rays).outputs
    assert largest_difference(render_in_rounds(renderer, rays, 0.0, round_samples), whole) < 1e-5


@pytest.mark.parametrize("least", [1e-3, 0.05])
@pytest.mark.parametrize("decided", [True, False])
def test_what_a_stopped_ray_lacks_is_bounded(least, decided):
    renderer, _ = make_renderer(30.0, decided)
    layers = renderer.semantics
    with torch.no_grad():
        for layer in layers:  # semantics in [-1, 1], as the other outputs
            layer.weight.fill_(1 / HIDDEN)
            layer.bias.zero_()
    rays = make_rays(500)
    with torch.no_grad():
        whole = renderer(rays).outputs
    difference = largest_difference(render_in_rounds(renderer, rays, least, 4), whole)
    assert 0 < difference <= least * (1 if decided else 4 / 3) + 1e-6


def test_hidden_samples_are_not_evaluated():
    renderer, known = make_renderer(300.0)
    rays = make_rays(500)
    with torch.no_grad():
        renderer(rays)
    n_whole, known.n_samples = known.n_samples, 0
    render_in_rounds(renderer, rays, 1e-3, 4)
    assert known.n_samples < 0.5 * n_whole


def test_transmittance_is_the_product_over_samples():
    renderer, _ = make_renderer(5.0)
    with torch.no_grad():
        batch = renderer(make_rays(50))
    deltas, where = batch.lengths[0], batch.samples.dynamic_indices
    moving = torch.zeros_like(deltas)
    moving[where] = batch.static.blends[where] * (1 - torch.exp(-batch.dynamic.sigmas * deltas[where]))
    still = 1 - torch.exp(-batch.static.sigmas * deltas)
    is_moving = torch.zeros_like(deltas)
    is_moving[where] = 1
    passing = (1 - moving) * (1 - (1 - is_moving * batch.static.blends) * still)
    expected = [passing[first : first + count].prod() for first, count in batch.samples.packed_info.tolist()]
    torch.testing.assert_close(transmittance(batch, torch.arange(50)), torch.stack(expected))
    some = torch.tensor([3, 4, 17, 49])
    torch.testing.assert_close(transmittance(batch, some), torch.stack(expected)[some])


def test_no_rays_and_rays_without_samples():
    renderer, _ = make_renderer(5.0)
    rays = make_rays(3)
    assert len(render_in_rounds(renderer, rays[:0])) == 0
    outputs = render_in_rounds(renderer, replace(rays, origins=rays.origins + 9))
    assert outputs.semantic.shape == (3, SEMANTIC)
    assert outputs.opacity.tolist() == [0, 0, 0]


def test_a_single_round_is_marched_by_the_marcher_that_was_chosen(monkeypatch):
    renderer, _ = make_renderer(5.0)
    march, marched = renderer.occupancy.march_at, []
    monkeypatch.setattr(renderer.occupancy, "march_at", lambda rays, time: marched.append(time) or march(rays, time))
    render_in_rounds(renderer, make_rays(20))
    assert marched == [TIME]
    render_in_rounds(renderer, make_rays(20), 1e-3, 4)
    assert marched == [TIME]
