import tempfile

import numpy as np
import pytest

from saff_fast.priors.pyramid import Pyramid, network_size
from saff_fast.priors.semantics import compute_semantics, fit_pca

HEIGHT, WIDTH = 72, 108


class PositionBackbone:
    """Tokens that say where in the frame they are, and which frame it is."""

    def __init__(self, n_channels=6, saliency=True):
        self.n_channels, self.saliency = n_channels, saliency

    def __call__(self, frame, image, box):
        top, left, height, width = box
        rows, columns = image.shape[0] // 4, image.shape[1] // 4
        y = (top + (np.arange(rows) + 0.5) / rows * height) / HEIGHT
        x = (left + (np.arange(columns) + 0.5) / columns * width) / WIDTH
        features = np.ones((rows, columns, self.n_channels), np.float32)
        features[..., 0], features[..., 1], features[..., 2] = y[:, None], x, frame
        return features, features[..., 1] if self.saliency else None


@pytest.fixture(scope="module")
def images():
    return [np.zeros((HEIGHT, WIDTH, 3), np.uint8)] * 3


def test_features_lie_where_the_tokens_were(images):
    with compute_semantics(images, PositionBackbone(), (36, 54), n_components=6) as semantics:
        assert len(semantics) == 3
        for frame in range(3):
            found = semantics[frame]
            assert found.features.shape == (36, 54, 6)
            assert found.features.dtype == np.float16
            vectors = found.features @ semantics.pca.components + semantics.pca.mean
            np.testing.assert_allclose(np.linalg.norm(vectors, axis=-1), 1, atol=5e-3)
            raw = vectors / vectors[..., 3:4]
            y, x = (np.arange(36) + 0.5) / 36, (np.arange(54) + 0.5) / 54
            np.testing.assert_allclose(raw[..., 0], np.broadcast_to(y[:, None], (36, 54)), atol=0.03)
            np.testing.assert_allclose(raw[..., 1], np.broadcast_to(x, (36, 54)), atol=0.03)
            np.testing.assert_allclose(raw[..., 2], frame, atol=0.03)
            np.testing.assert_allclose(found.saliency, np.broadcast_to(x, (36, 54)), atol=0.03)


def test_crops_count_alike(images):
    class ByLevel:
        def __call__(self, frame, image, box):
            value = 1.0 if box == (0, 0, HEIGHT, WIDTH) else 0.0
            return np.ones((8, 12, 2), np.float32), np.full((8, 12), value, np.float32)

    semantics = compute_semantics(images, ByLevel(), (HEIGHT, WIDTH))
    counts = np.zeros((HEIGHT, WIDTH))
    for top, left, height, width in Pyramid().boxes(HEIGHT, WIDTH):
        counts[top : top + height, left : left + width] += 1
    np.testing.assert_allclose(semantics[0].saliency, 1 / counts, rtol=1e-5)
    semantics.close()


def test_a_backbone_may_have_no_saliency(images):
    with compute_semantics(images, PositionBackbone(saliency=False), (36, 54)) as semantics:
        assert semantics[0].saliency is None
        assert semantics[1].saliency is None


def test_the_network_sees_each_crop_at_its_own_size():
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    image[..., 0], image[..., 1] = 3 * np.arange(HEIGHT)[:, None], 2 * np.arange(WIDTH)
    seen = {}

    def backbone(frame, crop, box):
        seen[box] = crop
        return np.ones((8, 12, 2), np.float32), None

    compute_semantics([image], backbone, (HEIGHT, WIDTH)).close()
    assert list(seen) == Pyramid().boxes(HEIGHT, WIDTH)
    for (top, left, height, width), crop in seen.items():
        assert crop.shape == (*network_size(HEIGHT, WIDTH), 3)
        cut = image[top : top + height, left : left + width] / 255
        np.testing.assert_allclose(crop.mean((0, 1)), cut.mean((0, 1)), atol=0.02)


def test_tokens_are_gone_after_the_block(images, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with compute_semantics(images, PositionBackbone(), (18, 27)) as semantics:
        assert list(tmp_path.iterdir())
    assert not list(tmp_path.iterdir())
    assert len(semantics) == 3  # alive: it was the block's end that removed them


def test_the_seed_chooses_the_sample(images):
    """At this size the PCA sees a share of the pixels."""
    means = []
    for seed in (3, 3, 4):
        with compute_semantics(images, PositionBackbone(), (72, 108), seed=seed) as semantics:
            means.append(semantics.pca.mean)
    np.testing.assert_array_equal(means[0], means[1])
    assert not np.array_equal(means[0], means[2])


def test_pca_matches_scikit_learn():
    decomposition = pytest.importorskip("sklearn.decomposition")
    random = np.random.default_rng(0)
    samples = (random.normal(size=(400, 12)) * np.linspace(3, 0.1, 12) + 5).astype(np.float32)
    pca = fit_pca(samples, 4)
    expected = decomposition.PCA(4, svd_solver="full").fit(samples)
    np.testing.assert_allclose(pca.mean, expected.mean_, rtol=1e-5)
    np.testing.assert_allclose(pca.explained, expected.explained_variance_ratio_, rtol=1e-4)
    np.testing.assert_allclose(np.abs(pca.components @ expected.components_.T), np.eye(4), atol=1e-4)
    largest = pca.components[np.arange(4), np.abs(pca.components).argmax(1)]
    assert (largest > 0).all()
