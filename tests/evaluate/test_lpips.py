import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from saff_fast.errors import UserError
from saff_fast.evaluate import lpips
from saff_fast.evaluate.lpips import Lpips, find_lpips

WIDTHS = (64, 192, 384, 256, 256)


CONVOLUTIONS = {
    0: (64, 3, 11, 4, 2),
    3: (192, 64, 5, 1, 2),
    6: (384, 192, 3, 1, 1),
    8: (256, 384, 3, 1, 1),
    10: (256, 256, 3, 1, 1),
}
"""Place in torchvision's `features`, channels out and in, side, stride, padding (Krizhevsky 2014)."""


@pytest.fixture(scope="module")
def alexnet():
    """Parameters as torchvision names them, drawn at random, and one of the classifier's."""
    generator = torch.Generator().manual_seed(0)
    state = {"classifier.6.bias": torch.zeros(1000)}
    for place, (n_out, n_in, side, _, _) in CONVOLUTIONS.items():
        weight = torch.randn(n_out, n_in, side, side, generator=generator)
        state[f"features.{place}.weight"] = weight / (n_in * side**2 / 2) ** 0.5
        state[f"features.{place}.bias"] = 0.1 * torch.randn(n_out, generator=generator)
    return state


@pytest.fixture(scope="module")
def linear():
    generator = torch.Generator().manual_seed(1)
    return {f"lin{k}.model.1.weight": torch.rand(1, n, 1, 1, generator=generator) for k, n in enumerate(WIDTHS)}


@pytest.fixture
def pictures():
    generator = np.random.default_rng(0)
    first = generator.integers(0, 256, (70, 90, 3), dtype=np.uint8)
    second = first.copy()
    second[:, 45:] = generator.integers(0, 256, (70, 45, 3), dtype=np.uint8)
    return first, second


def layers(alexnet, picture, low):
    """The five rectified layers."""
    mean, std = torch.tensor([-0.030, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.450])
    x = torch.from_numpy(picture / 255).float().permute(2, 0, 1)[None] * (1 - low) + low
    x = (x - mean.view(1, 3, 1, 1)) / std.view(1, 3, 1, 1)
    for place, (*_, stride, padding) in CONVOLUTIONS.items():
        x = F.max_pool2d(x, 3, 2) if place in (3, 6) else x
        x = F.conv2d(x, alexnet[f"features.{place}.weight"], alexnet[f"features.{place}.bias"], stride, padding).relu()
        yield F.normalize(x, dim=1, eps=1e-10)


def by_definition(alexnet, linear, first, second, low=-1.0):
    """Section 3 of the paper."""
    pairs = zip(layers(alexnet, first, low), layers(alexnet, second, low), linear.values(), strict=True)
    return sum(F.conv2d((a - b) ** 2, weight).mean().item() for a, b, weight in pairs)


def test_equals_the_definition(alexnet, linear, pictures):
    model = Lpips(alexnet, linear)
    assert model(pictures[0], pictures[0]) == 0
    assert model(*pictures) == pytest.approx(by_definition(alexnet, linear, *pictures), rel=1e-4)
    published = by_definition(alexnet, linear, *pictures, low=0.0)
    assert model(*pictures, published=True) == pytest.approx(published, rel=1e-4)
    assert published != pytest.approx(model(*pictures), rel=1e-2)


def test_a_mask_chooses_pixels_of_every_layer(alexnet, linear, pictures):
    model = Lpips(alexnet, linear)
    left = np.zeros((70, 90), bool)
    left[:, :25] = True
    assert model(*pictures, left) < 0.7 * model(*pictures, ~left)
    assert model(*pictures, np.ones_like(left)) == pytest.approx(model(*pictures))
    assert math.isnan(model(*pictures, np.zeros_like(left)))
    speck = np.zeros_like(left)
    speck[3, 50] = True
    assert model(*pictures, speck) == 0, "too small to be a pixel of any layer"


def test_weights_are_found_or_it_says_which_are_missing(alexnet, linear, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(lpips, "_packaged", lambda: None)
    model, reason = find_lpips()
    assert model is None
    assert "put alexnet-owt-7be5be79.pth and lpips_alex_v0.1.pth in" in reason
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    torch.save(alexnet, folder / "alexnet-owt-7be5be79.pth")
    assert find_lpips()[1].startswith("no weights: put lpips_alex_v0.1.pth in")
    torch.save(linear, folder / "lpips_alex_v0.1.pth")
    assert isinstance(find_lpips()[0], Lpips)


def test_other_weights_are_refused(alexnet, linear):
    with pytest.raises(UserError, match=r"must hold lin4\.model\.1\.weight with 256 weights"):
        Lpips(alexnet, {**linear, "lin4.model.1.weight": torch.zeros(1, 8, 1, 1)})
    with pytest.raises(UserError, match="must hold the weights of AlexNet"):
        Lpips({}, linear)
