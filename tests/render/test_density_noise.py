"""Noise of densities: its distribution, and what it depends on."""

import torch

from saff_fast.render.density_noise import DensityNoise
from saff_fast.types import PackedSamples

COUNTS = [4, 0, 7, 1]


def packed(counts):
    counts = torch.tensor(counts)
    info = torch.stack([counts.cumsum(0) - counts, counts], dim=1)
    rows = torch.arange(len(counts)).repeat_interleave(counts)
    t = torch.zeros(len(rows))
    return PackedSamples(info, rows, t, t, info, torch.arange(len(rows)))


def test_it_is_normal():
    noise = DensityNoise.of(torch.rand(300), 7, packed([400] * 300), 1.0)
    x = noise.draw(0)
    assert abs(x.mean()) < 0.01
    assert abs(x.std() - 1) < 0.01
    assert abs(x.pow(3).mean()) < 0.04
    assert abs(x.pow(4).mean() - 3) < 0.1
    assert (x.sort().values[:-1] != x.sort().values[1:]).float().mean() > 0.99


def test_draws_samples_rays_and_steps_are_independent():
    jitter, samples = torch.rand(300), packed([400] * 300)
    noise = DensityNoise.of(jitter, 7, samples, 1.0)
    x = noise.draw(0).view(300, 400)
    others = [noise.draw(1), noise.draw(4), DensityNoise.of(jitter, 8, samples, 1.0).draw(0)]
    others += [x.roll(1, 0).flatten(), x.roll(1, 1).flatten()]
    for other in others:
        assert abs((x.flatten() * other).mean()) < 0.01


def test_a_ray_keeps_its_noise_in_another_batch():
    jitter = torch.rand(4)
    whole = DensityNoise.of(jitter, 3, packed(COUNTS), 0.5).draw(2)
    part = DensityNoise.of(jitter[2:], 3, packed(COUNTS[2:]), 0.5).draw(2)
    assert torch.equal(whole[4:], part)


def test_chosen_samples_keep_theirs():
    noise, where = DensityNoise.of(torch.rand(4), 3, packed(COUNTS), 0.5), torch.tensor([1, 5, 11])
    assert torch.equal(noise.at(where).draw(1), noise.draw(1)[where])


def test_none_without_deviation():
    assert DensityNoise.of(torch.rand(4), 3, packed(COUNTS), 0.0).draw(1) is None
