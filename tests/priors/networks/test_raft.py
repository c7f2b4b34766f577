"""RAFT with weights drawn at random and saved as torchvision and the authors save theirs."""

import re

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from saff_fast.errors import UserError
from saff_fast.priors.flow import FrameFlows, consistent
from saff_fast.priors.networks.raft import Raft
from saff_fast.priors.torchvision_shim import make_torchvision_importable

pytest.importorskip("torchvision" if make_torchvision_importable() is None else "")


@pytest.fixture(scope="module")
def model():
    from torchvision.models.optical_flow import raft_large

    torch.manual_seed(0)
    model = raft_large().eval()
    for name, value in model.state_dict().items():
        if "running_var" in name:
            value.uniform_(0.5, 2)
        elif "running_mean" in name:
            value.normal_(0, 0.1)
    return model


@pytest.fixture(scope="module")
def weights(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "raft_large_C_T_SKHT_V2-ff5fadd5.pth"
    torch.save(model.state_dict(), path)
    return path


@pytest.fixture(scope="module")
def images():
    return [np.random.default_rng(k).integers(0, 256, (130, 149, 3), np.uint8) for k in (0, 1)]


def test_flow_is_that_of_the_padded_pictures(model, weights, images):
    flow = Raft(weights)(*images)
    assert flow.shape == (130, 149, 2)
    assert flow.dtype == np.float32
    x = [torch.from_numpy(image / 255 * 2 - 1).float().permute(2, 0, 1)[None] for image in images]
    x = [F.pad(image, (1, 2, 3, 3), mode="replicate") for image in x]  # to 136 x 152
    with torch.inference_mode():
        expected = model(*x, num_flow_updates=20)[-1][0, :, 3:133, 1:150].permute(1, 2, 0)
    np.testing.assert_allclose(flow, expected, atol=1e-3)
    assert np.abs(flow).max() > 0.1


def test_pictures_smaller_than_its_correlations_are_padded(weights):
    flow = Raft(weights)(*np.random.default_rng(0).integers(0, 256, (2, 36, 64, 3), np.uint8))
    assert flow.shape == (36, 64, 2)
    assert np.isfinite(flow).all()


def test_large_pictures_are_shrunk_and_their_flow_is_in_their_own_pixels(weights, images, monkeypatch):
    whole = Raft(weights)(*images)
    large = [np.repeat(np.repeat(image, 2, axis=0), 3, axis=1) for image in images]
    monkeypatch.setattr("saff_fast.priors.networks.raft._LONG_SIDE", 149)
    network, seen = Raft(weights), []
    network._model.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].shape))
    flow = network(*large)
    assert flow.shape == (260, 447, 2)
    assert flow.dtype == np.float32
    assert seen == [(1, 3, 128, 152)]  # 87 x 149
    shrunk = [cv2.resize(image, (149, 87), interpolation=cv2.INTER_AREA) for image in large]
    expected = cv2.resize(network(*shrunk), (447, 260), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_allclose(flow, expected * np.float32([3, 260 / 87]), rtol=1e-5)
    np.testing.assert_array_equal(network(*images), whole)


def test_the_published_consistency_test_applies(weights, images):
    flows = FrameFlows(images, Raft(weights))
    flow, valid = flows.between(0, 1)
    np.testing.assert_array_equal(valid, consistent(flow, flows.between(1, 0)[0]))


AUTHORS_NAMES = {
    "feature_encoder.convnormrelu.0.weight": "fnet.conv1.weight",
    "context_encoder.convnormrelu.1.running_var": "cnet.norm1.running_var",
    "context_encoder.layer2.0.convnormrelu1.0.bias": "cnet.layer2.0.conv1.bias",
    "context_encoder.layer3.1.convnormrelu2.1.weight": "cnet.layer3.1.norm2.weight",
    "feature_encoder.layer2.0.downsample.0.weight": "fnet.layer2.0.downsample.0.weight",
    "context_encoder.layer3.0.downsample.1.weight": "cnet.layer3.0.downsample.1.weight",
    "feature_encoder.conv.bias": "fnet.conv2.bias",
    "update_block.motion_encoder.convcorr2.0.weight": "update_block.encoder.convc2.weight",
    "update_block.motion_encoder.convflow1.0.bias": "update_block.encoder.convf1.bias",
    "update_block.motion_encoder.conv.0.weight": "update_block.encoder.conv.weight",
    "update_block.recurrent_block.convgru2.convq.weight": "update_block.gru.convq2.weight",
    "update_block.flow_head.conv1.weight": "update_block.flow_head.conv1.weight",
    "mask_predictor.convrelu.0.weight": "update_block.mask.0.weight",
    "mask_predictor.conv.bias": "update_block.mask.2.bias",
}


def authors_name(name):
    name = re.sub("^feature_encoder", "fnet", name)
    name = re.sub("^context_encoder", "cnet", name)
    name = re.sub(r"^(.net)\.convnormrelu\.0", r"\1.conv1", name)
    name = re.sub(r"^(.net)\.convnormrelu\.1", r"\1.norm1", name)
    name = re.sub(r"^(.net)\.conv\.", r"\1.conv2.", name)
    name = re.sub(r"convnormrelu(\d)\.0", r"conv\1", name)
    name = re.sub(r"convnormrelu(\d)\.1", r"norm\1", name)
    name = name.replace("motion_encoder.conv.0", "encoder.conv").replace("motion_encoder", "encoder")
    name = re.sub(r"convcorr(\d)\.0", r"convc\1", name)
    name = re.sub(r"convflow(\d)\.0", r"convf\1", name)
    name = re.sub(r"recurrent_block\.convgru(\d)\.conv(.)", r"gru.conv\2\1", name)
    name = name.replace("mask_predictor.convrelu.0", "update_block.mask.0")
    return name.replace("mask_predictor.conv", "update_block.mask.2")


def test_the_authors_file_is_the_same_network(model, weights, images, tmp_path):
    """`raft-things.pth` is of `nn.DataParallel` and holds the normalisation of shortcuts twice."""
    state = {authors_name(name): value for name, value in model.state_dict().items()}
    assert {name: authors_name(name) for name in AUTHORS_NAMES} == AUTHORS_NAMES
    twice = {name.replace("downsample.1", "norm3"): value for name, value in state.items() if "downsample.1" in name}
    torch.save({f"module.{name}": value for name, value in (state | twice).items()}, tmp_path / "raft-things.pth")
    np.testing.assert_array_equal(Raft(tmp_path / "raft-things.pth")(*images), Raft(weights)(*images))


def test_other_weights_are_refused(model, tmp_path):
    from torchvision.models.optical_flow import raft_small

    torch.save(raft_small().state_dict(), tmp_path / "raft_small.pth")
    with pytest.raises(UserError, match=r"raft_small\.pth must hold the weights of RAFT, but .* are missing \(context"):
        Raft(tmp_path / "raft_small.pth")
