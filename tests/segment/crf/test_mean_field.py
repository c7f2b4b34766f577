import builtins

import numpy as np
import pytest
import torch

from saff_fast.errors import UserError
from saff_fast.segment.crf import mean_field, permutohedral
from saff_fast.segment.crf.energy import CrfConfig, PairwiseTerm, pairwise_terms, unary_energy

CONFIG = CrfConfig()


UNDECIDED = CrfConfig(smooth_weight=1.0, depth_weight=1.5, colour_weight=1.0)
"""Weights so small that marginals stay away from 0 and 1, where any two programs agree."""


def case(size, seed=0, config=CONFIG):
    """Two discs on a ground, in noisy labels two pixels aside, with noisy colour and depth."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] / size
    true = np.zeros((size, size), int)
    true[(x - 0.3) ** 2 + (y - 0.45) ** 2 < 0.04] = 1
    true[(x - 0.65) ** 2 + (y - 0.55) ** 2 < 0.03] = 2
    colours = np.array([[60, 90, 70], [180, 120, 80], [90, 60, 170]])[true] + generator.normal(0, 6, (size, size, 3))
    depth = np.array([200, 120, 90])[true] + generator.normal(0, 2, (size, size))
    noisy = np.roll(true, 2, axis=1)
    wrong = generator.random((size, size)) < 0.03
    noisy[wrong] = generator.integers(0, 3, wrong.sum())
    rgb, depth = (torch.from_numpy(values.round().clip(0, 255)).float() for values in (colours, depth))
    return true, noisy, unary_energy(torch.from_numpy(noisy.ravel()), 3, 0.7), pairwise_terms(rgb, depth, config, 1.0)


def dense(unary, terms, n_iterations):
    """Mean field with whole kernel matrices, pixel by pixel differences, in double precision."""
    unary = unary.double()
    kernels = []
    for term in terms:
        f = term.features.double()
        kernel = torch.stack([torch.exp(-0.5 * (f - row).square().sum(dim=1)) for row in f])
        norm = kernel.sum(dim=1).rsqrt()
        kernels.append(term.weight * norm[:, None] * kernel * norm)
    q = torch.softmax(-unary, dim=1)
    for _ in range(n_iterations):
        q = torch.softmax(-unary + sum(kernel @ q for kernel in kernels), dim=1)
    return q


def test_equals_the_dense_mean_field_in_float64_and_float32(monkeypatch):
    _, _, unary, terms = case(24, config=UNDECIDED)
    expected = dense(unary, terms, 5)
    assert expected.min(dim=1).values.max() > 0.05
    monkeypatch.setattr(mean_field, "_TILE_ENTRIES", 100 * 24 * 24)  # several tiles, the last one smaller
    assert (mean_field.mean_field(unary.double(), terms, 5) - expected).abs().max() < 1e-9
    assert (mean_field.mean_field(unary, terms, 5) - expected).abs().max() < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("config", [CONFIG, UNDECIDED])
def test_64x64_against_dense_and_against_pydensecrf(config):
    pytest.importorskip("pydensecrf", reason="pydensecrf is not installed")
    true, noisy, unary, terms = case(64, config=config)
    exact = mean_field.mean_field(unary, terms, 5)
    assert (exact - dense(unary, terms, 5)).abs().max() < 1e-4
    approximate = permutohedral.mean_field(unary, terms, 5)
    assert (exact - approximate).abs().mean() <= 0.005
    assert (exact.argmax(dim=1) == approximate.argmax(dim=1)).float().mean() >= 0.995
    right = (exact.argmax(dim=1).numpy() == true.ravel()).mean()
    assert right > (noisy == true).mean() + 0.03


def test_pydensecrf_normalises_on_both_sides():
    pytest.importorskip("pydensecrf", reason="pydensecrf is not installed")
    size = 32
    _, _, unary, _ = case(size)
    y, x = torch.meshgrid(*(2 * [torch.arange(size) / size]), indexing="ij")
    # Pixels crowd on one side, so that the sums of the kernel's rows differ a lot.
    terms = [PairwiseTerm(torch.stack([3.2 * x**3, 3.2 * y], dim=-1).reshape(-1, 2), 1.5)]
    difference = mean_field.mean_field(unary, terms, 5) - permutohedral.mean_field(unary, terms, 5)
    assert difference.abs().mean() <= 0.004  # 0.008 and 0.011 on one side only


def test_unary_is_the_given_confidence():
    energy = unary_energy(torch.tensor([2, 0]), 4, 0.7)
    torch.testing.assert_close(torch.exp(-energy), torch.tensor([[0.1, 0.1, 0.7, 0.1], [0.7, 0.1, 0.1, 0.1]]))


def test_terms_have_the_published_widths():
    rgb = torch.tensor([[[0.0, 0, 0], [26, 0, 0]]])
    depth = torch.tensor([[0.0, 13.0]])
    smooth, by_depth, by_colour = pairwise_terms(rgb, depth, CONFIG, 0.5)
    assert [term.weight for term in (smooth, by_depth, by_colour)] == [15, 20, 10]
    torch.testing.assert_close(smooth.features[1] - smooth.features[0], torch.tensor([1 / 1.5, 0]))
    torch.testing.assert_close(by_depth.features[1] - by_depth.features[0], torch.tensor([1 / 20, 0, 1, 1, 1]))
    torch.testing.assert_close(by_colour.features[1] - by_colour.features[0], torch.tensor([1 / 20, 0, 2, 0, 0]))


def test_without_terms_the_unary_decides():
    _, _, unary, _ = case(8)
    torch.testing.assert_close(mean_field.mean_field(unary, [], 3), torch.softmax(-unary, dim=1))
    lonely = [PairwiseTerm(torch.arange(64.0)[:, None] * 100, 1.0)]
    # A pixel that is near nobody hears only itself.
    q = torch.softmax(-unary, dim=1)
    torch.testing.assert_close(mean_field.mean_field(unary, lonely, 1), torch.softmax(q - unary, dim=1))


def test_without_pydensecrf_it_says_what_to_install(monkeypatch):
    imported = builtins.__import__

    def without(name, *rest, **options):
        if name.startswith("pydensecrf"):
            raise ImportError(name)
        return imported(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UserError, match=r"pip install 'saff-fast\[crf\]'` or set backend=torch"):
        permutohedral.mean_field(torch.zeros(4, 2), [], 1)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("confidence", 1.0, r"confidence must be in \(0, 1\), got 1.0"),
        ("n_iterations", 0, "n_iterations must be at least 1, got 0"),
        ("contrast", 0.0, "contrast must be positive, got 0.0"),
        ("depth_weight", -1.0, "depth_weight must not be negative, got -1.0"),
    ],
)
def test_config_checks_its_ranges(name, value, message):
    with pytest.raises(ValueError, match=message):
        CrfConfig(**{name: value})
