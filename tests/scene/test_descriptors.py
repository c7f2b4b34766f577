import numpy as np
import pytest

from saff_fast.scene.synthetic import SyntheticBackbone, degraded_disparity
from saff_fast.scene.synthetic.descriptors import NOISE_DB

WHOLE = (0, 0, 45, 80)
IMAGE = np.zeros((64, 112, 3), np.float32)


@pytest.fixture(scope="module")
def backbone(scene):
    return SyntheticBackbone(scene)


def test_shapes_and_ranges(backbone):
    features, saliency = backbone(1, IMAGE, WHOLE)
    assert features.shape == (1 + (64 - 8) // 4, 1 + (112 - 8) // 4, 384)
    assert saliency.shape == features.shape[:2]
    assert features.dtype == saliency.dtype == np.float32
    assert saliency.min() == 0
    assert saliency.max() == 1


def test_the_same_call_gives_the_same_values_and_other_crops_other_noise(backbone, scene):
    first, again = backbone(1, IMAGE, WHOLE), SyntheticBackbone(scene)(1, IMAGE, WHOLE)
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    # Both corners show the wall alone, so the noise is all that can differ.
    assert np.abs(first[0][0, 0] - backbone(1, IMAGE, (0, 0, 45, 79))[0][0, 0]).mean() > 0.02
    assert not np.allclose(first[0], SyntheticBackbone(scene, seed=1)(1, IMAGE, WHOLE)[0], atol=1e-3)


def test_embeddings_are_unit_vectors_and_one_pair_is_alike(backbone):
    np.testing.assert_allclose(np.linalg.norm(backbone.embeddings, axis=-1), 1)
    cosine = backbone.embeddings @ backbone.embeddings.T - np.eye(len(backbone.kinds))
    assert cosine.max() > 0.4
    alike = {backbone.kinds[i] for i in np.unravel_index(cosine.argmax(), cosine.shape)}
    assert alike == {"body", "limb"}
    assert np.sort(cosine.ravel())[-3] < 0.3


def test_noise_is_at_three_decibels_or_worse(backbone):
    """In patches of one kind, whose signal is the embedding itself."""
    features, _ = backbone(2, np.zeros((180, 320, 3), np.float32), WHOLE)
    scores = features @ backbone.embeddings.T
    wall = backbone.kinds.index("wall")
    pure = features[:8, :8].reshape(-1, 384)  # the corner above shows the wall only
    assert (scores[:8, :8].argmax(-1) == wall).all()
    noise = ((pure - backbone.embeddings[wall]) ** 2).sum(-1).mean()
    assert 10 * np.log10(1 / noise) <= 3
    assert 10 * np.log10(1 / noise) == pytest.approx(NOISE_DB, abs=0.1)


def test_patches_average_the_parts_they_cover(backbone, scene):
    parts = scene.render(3, 3).parts
    kinds = np.array([backbone.kinds.index(part.kind) for part in scene.parts])[parts]
    features, _ = backbone(3, np.zeros((45, 80, 3), np.float32), WHOLE)
    errors = []
    for i in range(features.shape[0]):
        for j in range(features.shape[1]):
            patch = kinds[4 * i : 4 * i + 8, 4 * j : 4 * j + 8].ravel()
            errors.append(features[i, j] - backbone.embeddings[patch].mean(0))
    noise = (np.array(errors) ** 2).sum(-1).mean()
    assert noise == pytest.approx(10 ** (-NOISE_DB / 10), rel=0.03)


def test_a_crop_shows_its_part_of_the_frame(backbone, scene):
    view = scene.render(3, 3)
    rows, columns = np.nonzero(view.instances == 1)
    top, left = rows.min() - 2, columns.min() - 2
    height, width = rows.max() + 3 - top, columns.max() + 3 - left
    features, saliency = backbone(3, IMAGE, (int(top), int(left), int(height), int(width)))
    centre = features[6:9, 12:15].mean((0, 1))
    assert backbone.kinds[(backbone.embeddings @ centre).argmax()] == "crate"
    assert saliency[6:9, 12:15].mean() > saliency[0].mean() + 0.2


def test_the_statue_is_as_salient_as_the_movers(backbone, scene):
    view = scene.render(1, 1)
    kinds = np.array([part.kind for part in scene.parts])[view.parts]
    _, saliency = backbone(1, np.zeros((45 * 4, 80 * 4, 3), np.float32), WHOLE)
    # Patches of 8 at stride 4 of a picture four times as large: patch i covers pixels i and i + 1.
    total = np.pad(saliency, ((0, 1), (0, 1)), mode="edge")
    statue, movers, wall = total[kinds == "statue"].mean(), total[view.motion].mean(), total[kinds == "wall"].mean()
    assert abs(statue - movers) < 0.1
    assert wall < 0.6 * statue


def test_disparity_is_affine_up_to_smooth_noise(scene):
    factors = []
    for frame in range(3):
        view = scene.render(frame, frame)
        disparity = degraded_disparity(view, frame)
        np.testing.assert_array_equal(disparity, degraded_disparity(view, frame))
        inverse = 1 / view.depth
        scale, shift = np.polyfit(inverse.ravel(), disparity.ravel(), 1)
        factors.append(scale)
        error = (disparity - shift) / (scale * inverse) - 1
        assert 0.02 < error.std() < 0.08
        same_part = view.parts[:, 1:] == view.parts[:, :-1]
        assert np.abs(np.diff(error, axis=1))[same_part].mean() < 0.2 * error.std()
        assert (disparity > 0).all()
    assert np.ptp(factors) > 0.2
