import math

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio

from saff_fast.evaluate.image_metrics import PSNR_LIMIT, psnr, ssim


@pytest.fixture
def images():
    generator = np.random.default_rng(0)
    image = generator.integers(0, 256, (20, 24, 3), dtype=np.uint8)
    return image, np.clip(image.astype(int) + generator.integers(-20, 21, image.shape), 0, 255).astype(np.uint8)


def test_psnr_equals_scikit_image_and_takes_bytes_or_floats(images):
    image, truth = images
    expected = peak_signal_noise_ratio(truth / 255, image / 255, data_range=1)
    assert psnr(image, truth) == pytest.approx(expected)
    assert psnr(image / 255, truth) == pytest.approx(expected)


def test_masked_psnr_is_the_formula_over_the_mask(images):
    image, truth = images
    mask = np.zeros(image.shape[:2], bool)
    mask[3:9, 5:20] = True
    difference = (image[3:9, 5:20].astype(float) - truth[3:9, 5:20]) / 255
    assert psnr(image, truth, mask) == pytest.approx(10 * np.log10(1 / np.mean(difference**2)))
    outside = image.copy()
    outside[~mask] = 0
    assert psnr(outside, truth, mask) == psnr(image, truth, mask)


def test_ssim_follows_the_uniform_window_definition(images):
    image, truth = (i[:7, :7] / 255 for i in images)
    # A 7x7 image has one window inside the border: the formula by hand (Wang et al. 2004, sample variances).
    values = []
    for channel in range(3):
        a, b = image[..., channel].ravel(), truth[..., channel].ravel()
        covariance = np.cov(a, b)
        c1, c2 = 0.01**2, 0.03**2
        numerator = (2 * a.mean() * b.mean() + c1) * (2 * covariance[0, 1] + c2)
        values.append(numerator / ((a.mean() ** 2 + b.mean() ** 2 + c1) * (covariance[0, 0] + covariance[1, 1] + c2)))
    assert ssim(image, truth) == pytest.approx(np.mean(values))


def test_masked_ssim_averages_the_map(images):
    image, truth = images
    everywhere = np.ones(image.shape[:2], bool)
    left = everywhere.copy()
    left[:, 12:] = False
    halves = [ssim(image, truth, left), ssim(image, truth, ~left)]
    assert np.mean(halves) == pytest.approx(ssim(image, truth, everywhere))
    assert halves[0] != pytest.approx(halves[1], rel=1e-6)


def test_identical_and_empty(images):
    image, _ = images
    assert psnr(image, image) == PSNR_LIMIT
    assert ssim(image, image) == pytest.approx(1)
    nothing = np.zeros(image.shape[:2], bool)
    assert math.isnan(psnr(image, image, nothing))
    assert math.isnan(ssim(image, image, nothing))
