"""Depth networks with weights drawn at random and saved as the published ones are."""

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from saff_fast.errors import UserError
from saff_fast.priors.networks.depth import DepthNetwork
from saff_fast.priors.networks.depth_anything import DepthAnything
from saff_fast.priors.networks.fusion import ResidualUnit
from saff_fast.priors.networks.midas import Midas
from saff_fast.priors.torchvision_shim import make_torchvision_importable

pytest.importorskip("torchvision" if make_torchvision_importable() is None else "")
pytest.importorskip("timm")


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).integers(0, 256, (96, 128, 3), np.uint8)


def positive(state, bias):
    """Random weights whose outputs are not all cut off at zero."""
    state[bias] += 1
    return state


@pytest.fixture(scope="module")
def midas(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "model.pt"
    torch.save({"model": positive(Midas().state_dict(), "scratch.output_conv.4.bias"), "optimizer": {}}, path)
    return path


@pytest.fixture(scope="module")
def depth_anything(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "depth_anything_v2_vits.pth"
    state = positive(DepthAnything().state_dict(), "depth_head.scratch.output_conv2.2.bias")
    torch.save(state | {"pretrained.mask_token": torch.zeros(1, 384)}, path)
    return path


def test_midas_has_the_published_parameters(midas):
    """Names and shapes from the published code; 105.4 million parameters in all."""
    state = torch.load(midas, weights_only=True)["model"]
    for name, shape in {
        "pretrained.layer1.0.weight": (64, 3, 7, 7),
        "pretrained.layer1.4.0.downsample.1.running_mean": (256,),
        "pretrained.layer3.22.conv2.weight": (1024, 32, 3, 3),
        "pretrained.layer4.2.bn3.bias": (2048,),
        "scratch.layer4_rn.weight": (256, 2048, 3, 3),
        "scratch.refinenet4.resConfUnit1.conv1.bias": (256,),
        "scratch.refinenet1.resConfUnit2.conv2.weight": (256, 256, 3, 3),
        "scratch.output_conv.0.weight": (128, 256, 3, 3),
        "scratch.output_conv.2.weight": (32, 128, 3, 3),
        "scratch.output_conv.4.weight": (1, 32, 1, 1),
    }.items():
        assert state[name].shape == shape
    assert len(state) == 666
    assert sum(value.numel() for name, value in Midas().named_parameters()) == 105_362_945


def test_depth_anything_has_the_published_parameters(depth_anything):
    """Names and shapes from the published code; 24.8 million parameters in all."""
    state = torch.load(depth_anything, weights_only=True)
    for name, shape in {
        "pretrained.pos_embed": (1, 1370, 384),
        "pretrained.blocks.11.ls2.gamma": (384,),
        "pretrained.blocks.0.attn.qkv.weight": (1152, 384),
        "depth_head.projects.1.weight": (96, 384, 1, 1),
        "depth_head.resize_layers.0.weight": (48, 48, 4, 4),
        "depth_head.resize_layers.3.weight": (384, 384, 3, 3),
        "depth_head.scratch.layer3_rn.weight": (64, 192, 3, 3),
        "depth_head.scratch.refinenet4.out_conv.bias": (64,),
        "depth_head.scratch.refinenet2.resConfUnit1.conv2.weight": (64, 64, 3, 3),
        "depth_head.scratch.output_conv1.weight": (32, 64, 3, 3),
        "depth_head.scratch.output_conv2.0.weight": (32, 32, 3, 3),
        "depth_head.scratch.output_conv2.2.weight": (1, 32, 1, 1),
    }.items():
        assert state[name].shape == shape
    assert sum(value.numel() for value in DepthAnything().parameters()) == 24_784_705


def test_midas_sees_what_the_published_preparation_shows_it(midas, image, monkeypatch):
    monkeypatch.setattr("saff_fast.priors.networks.midas._LONG_SIDE", 96)
    network, seen = DepthNetwork(midas), []
    assert network.name == "MiDaS v2.1"
    network._model.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    inverse = network(image)
    assert inverse.shape == (64, 96)
    assert inverse.std() > 0
    assert inverse.min() >= 0
    resized = cv2.resize(image / np.float32(255), (96, 64), interpolation=cv2.INTER_AREA)
    expected = (resized - np.float32([0.485, 0.456, 0.406])) / np.float32([0.229, 0.224, 0.225])
    np.testing.assert_allclose(seen[0][0].permute(1, 2, 0), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("size", "shown"), [((405, 720), (352, 640)), ((720, 405), (640, 352)), ((10, 720), (32, 640))]
)
def test_midas_sizes_are_multiples_of_32(size, shown):
    assert Midas.prepare(np.zeros((*size, 3), np.uint8)).shape == (1, 3, *shown)


@pytest.mark.parametrize(("size", "shown"), [((288, 546), (518, 980)), ((405, 300), (700, 518))])
def test_depth_anything_sizes_are_multiples_of_14(size, shown):
    assert DepthAnything.prepare(np.zeros((*size, 3), np.uint8)).shape == (1, 3, *shown)


def test_depth_anything_gives_a_map_of_the_size_it_sees(depth_anything, image, monkeypatch):
    monkeypatch.setattr("saff_fast.priors.networks.depth_anything._SHORT_SIDE", 70)
    network = DepthNetwork(depth_anything)
    assert network.name == "Depth Anything V2 small"
    inverse = network(image)
    assert inverse.shape == (70, 98)
    assert inverse.std() > 0
    assert inverse.min() >= 0


def test_shortcuts_of_midas_are_rectified_and_those_of_dpt_are_not():
    x = torch.randn(1, 4, 5, 5)
    for rectified in (True, False):
        unit = ResidualUnit(4, rectified)
        torch.nn.init.zeros_(unit.conv2.weight)
        torch.nn.init.zeros_(unit.conv2.bias)
        torch.testing.assert_close(unit(x), F.relu(x) if rectified else x)


def test_other_weights_are_refused(depth_anything, tmp_path):
    state = torch.load(depth_anything, weights_only=True)
    del state["depth_head.scratch.layer1_rn.weight"]
    torch.save(state, tmp_path / "a.pth")
    with pytest.raises(
        UserError, match=r"a\.pth must hold the weights of Depth .* 1 parameters are missing \(depth_he"
    ):
        DepthNetwork(tmp_path / "a.pth")
    torch.save({"conv.weight": torch.zeros(1)}, tmp_path / "b.pth")
    with pytest.raises(
        UserError, match=r"b\.pth must hold the weights of MiDaS v2\.1, but .* not of this network \(conv"
    ):
        DepthNetwork(tmp_path / "b.pth")
