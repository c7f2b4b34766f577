"""Keys and attention of vision transformers, with weights drawn at random and saved as the real ones are."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

from saff_fast.errors import UserError
from saff_fast.priors.networks.vit import DINO, SHORT_NAMES, ViTBackbone, vit_source
from saff_fast.priors.torchvision_shim import make_torchvision_importable

pytest.importorskip("timm" if make_torchvision_importable() is None else "")

BOX = (0, 0, 64, 96)
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).random((64, 96, 3), dtype=np.float32)


def random_weights(name, path):
    """Weights larger than those a network starts from, so that attention is far from uniform."""
    import timm

    generator = torch.Generator().manual_seed(0)
    state = timm.create_model(name, pretrained=False, num_classes=0).state_dict()
    for value in state.values():
        value.add_(0.05 * torch.randn(value.shape, generator=generator))
    save_file({key: value.contiguous() for key, value in state.items()}, path)
    return path


@pytest.fixture(scope="module")
def dino(tmp_path_factory):
    return random_weights(DINO, tmp_path_factory.mktemp("weights") / "model.safetensors")


def plain_dino(state, image):
    """Keys (dimension-major, head-minor) and attention of heads 0, 2, 4, 5 by the formulas, in double."""
    p = {name: value.double() for name, value in state.items()}
    x = torch.from_numpy(image).double().permute(2, 0, 1)[None]
    rows, columns = 1 + (x.shape[2] - 8) // 4, 1 + (x.shape[3] - 8) // 4
    patches = F.unfold(x, 8, stride=4)[0].T @ p["patch_embed.proj.weight"].reshape(384, -1).T
    tokens = torch.cat([p["cls_token"][0], patches + p["patch_embed.proj.bias"]])
    grid = p["pos_embed"][0, 1:].reshape(28, 28, 384).permute(2, 0, 1)[None]
    scale = ((rows + 0.1) / 28, (columns + 0.1) / 28)
    grid = F.interpolate(grid, scale_factor=scale, mode="bicubic", align_corners=False)
    tokens = tokens + torch.cat([p["pos_embed"][0, :1], grid[0].flatten(1).T])

    def normalised(x, name):
        x = x - x.mean(-1, keepdim=True)
        return x / (x.var(-1, unbiased=False, keepdim=True) + 1e-6).sqrt() * p[f"{name}.weight"] + p[f"{name}.bias"]

    def linear(x, name):
        return x @ p[f"{name}.weight"].T + p[f"{name}.bias"]

    for layer in range(12):
        block = f"blocks.{layer}"
        weight, bias = p[f"{block}.attn.qkv.weight"], p[f"{block}.attn.qkv.bias"]
        y = normalised(tokens, f"{block}.norm1")
        queries, keys, values = (
            (y @ weight[start : start + 384].T + bias[start : start + 384]).reshape(-1, 6, 64)
            for start in (0, 384, 768)
        )
        attention = torch.stack([(queries[:, h] @ keys[:, h].T / 8).softmax(-1) for h in range(6)])
        mixed = torch.stack([attention[h] @ values[:, h] for h in range(6)], dim=1).reshape(-1, 384)
        tokens = tokens + linear(mixed, f"{block}.attn.proj")
        hidden = F.gelu(linear(normalised(tokens, f"{block}.norm2"), f"{block}.mlp.fc1"))
        tokens = tokens + linear(hidden, f"{block}.mlp.fc2")
    salient = attention[[0, 2, 4, 5], 0, 1:].mean(0).reshape(rows, columns)
    features = torch.stack([keys[1:, h, d] for d in range(64) for h in range(6)], dim=-1)
    return features.reshape(rows, columns, 384), (salient - salient.min()) / (salient.max() - salient.min())


@pytest.mark.parametrize("normalise", [False, True], ids=["published", "normalised"])
def test_dino_against_the_formulas(image, dino, normalise):
    features, saliency = ViTBackbone(DINO, dino, normalise)(0, image, BOX)
    seen = (image - np.float32(MEAN)) / np.float32(DEVIATION) if normalise else image
    expected, attention = plain_dino(load_file(dino), seen)
    assert features.shape == (15, 23, 384)
    assert features.std() > 0.5
    np.testing.assert_allclose(features, expected, atol=1e-4)
    np.testing.assert_allclose(saliency, attention, atol=1e-4)
    assert (saliency.min(), saliency.max()) == (0, 1)


def test_positions_are_the_stored_ones_at_the_stored_size(dino):
    """At 116 x 116 the grid is the 28 x 28 of training, and nothing is resampled."""
    backbone, seen = ViTBackbone(DINO, dino), []
    model = backbone._model
    model.blocks[0].register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    torch.nn.init.zeros_(model.patch_embed.proj.weight)
    backbone(0, np.zeros((116, 116, 3), np.float32), BOX)
    expected = model.pos_embed[0, 1:] + model.patch_embed.proj.bias
    torch.testing.assert_close(seen[0][0, 1:], expected)


@pytest.mark.parametrize(
    ("name", "size", "shape", "n_others"),
    [
        ("dino_vits16", (64, 96), (13, 21, 384), 1),
        ("dinov2_vits14", (70, 98), (9, 13, 384), 1),
        ("dinov2_vits14_reg", (70, 98), (9, 13, 384), 5),
        ("dinov3_vits16", (64, 96), (13, 21, 384), 5),
    ],
)
def test_other_networks_give_the_keys_that_timm_computes(tmp_path, name, size, shape, n_others):
    """Register tokens, layer scale, rotary embeddings; positions do not vary, since timm resamples them otherwise."""
    import timm

    full = SHORT_NAMES[name]
    model = timm.create_model(full, pretrained=False, num_classes=0, dynamic_img_size=True).eval()
    state = load_file(random_weights(full, tmp_path / "model.safetensors"))
    if "pos_embed" in state:
        state["pos_embed"][:] = state["pos_embed"][:, :1]
    save_file(state, tmp_path / "model.safetensors")
    model.load_state_dict(state)
    backbone = ViTBackbone(full, tmp_path / "model.safetensors")
    model.patch_embed.proj.stride = backbone._model.patch_embed.proj.stride

    seen = {}
    model.blocks[-1].attn.register_forward_pre_hook(lambda module, inputs: seen.update(x=inputs[0]))
    picture = np.random.default_rng(1).random((*size, 3), dtype=np.float32)
    features, saliency = backbone(0, picture, BOX)
    x = torch.from_numpy((picture - np.float32(MEAN)) / np.float32(DEVIATION)).permute(2, 0, 1)[None]
    with torch.inference_mode():
        model.forward_features(x)
        qkv = model.blocks[-1].attn.qkv
        keys = seen["x"] @ qkv.weight[384:768].T + (0 if qkv.bias is None else qkv.bias[384:768])
    expected = keys[0, n_others:].unflatten(-1, (6, 64)).transpose(1, 2).reshape(shape)
    np.testing.assert_allclose(features, expected, atol=1e-4)
    assert saliency is None


def test_the_authors_file_of_dinov2_is_converted(tmp_path, image):
    import timm

    name = SHORT_NAMES["dinov2_vits14"]
    state = timm.create_model(name, pretrained=False, num_classes=0).state_dict()
    torch.save(state | {"mask_token": torch.zeros(1, 384)}, tmp_path / "dinov2_vits14_pretrain.pth")
    assert ViTBackbone(name, tmp_path / "dinov2_vits14_pretrain.pth")(0, image, BOX)[0].shape == (8, 12, 384)


def test_weights_of_another_network_are_refused(tmp_path):
    larger = random_weights("vit_base_patch8_224.dino", tmp_path / "b.safetensors")
    with pytest.raises(UserError, match=r"b\.safetensors must hold .* DINO ViT-S/8, but .* of another shape"):
        ViTBackbone(DINO, larger)


@pytest.mark.parametrize(
    "name", ["resnet18", "swin_tiny_patch4_window7_224", "beit_base_patch16_224", "vit_srelpos_small_patch16_224"]
)
def test_other_kinds_of_networks_are_refused(tmp_path, name):
    with pytest.raises(UserError, match=f"--features must name a plain vision transformer of timm, but {name} is"):
        ViTBackbone(name, tmp_path / "none.pth")


def test_unknown_names_are_refused():
    with pytest.raises(UserError, match="--features must name a vision transformer of timm, like dinov2_vits14, "):
        vit_source("dinov2_vits")
    with pytest.raises(UserError, match=r"but is 'vit_small_patch8_224\.nobody'"):
        vit_source("vit_small_patch8_224.nobody")


@pytest.mark.parametrize("name", SHORT_NAMES)
def test_short_names_stand_for_networks_of_timm(name):
    source = vit_source(SHORT_NAMES[name])
    assert source.repository == f"timm/{SHORT_NAMES[name]}"
    assert source.option == "--weights"
