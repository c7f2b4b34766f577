"""Depth Anything V2, small (Yang et al., NeurIPS 2024): inverse depth up to scale and shift."""

import cv2
import numpy as np
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from saff_fast.priors.networks.fusion import Decoder
from saff_fast.priors.networks.normalise import imagenet_normalised
from saff_fast.priors.networks.vit import build_vit, embed
from saff_fast.priors.networks.weights import WeightsSource

DEPTH_ANYTHING_WEIGHTS = WeightsSource(
    "Depth Anything V2 small",
    "--depth-weights",
    ("depth_anything_v2_vits.pth",),
    "depth-anything/Depth-Anything-V2-Small",
)

_PATCH = 14
_SHORT_SIDE = 518
"""Of what the network sees, in pixels."""
_LAYERS = (2, 5, 8, 11)
_CHANNELS = (48, 96, 192, 384)
_WIDTH = 384
_FUSED = 64


class DepthAnything(nn.Module):
    """DINOv2 ViT-S/14 and a DPT decoder (Ranftl et al. 2021); parts are named as in the published weights."""

    name = DEPTH_ANYTHING_WEIGHTS.network

    def __init__(self) -> None:
        super().__init__()
        self.pretrained = build_vit("vit_small_patch14_dinov2.lvd142m")
        self.depth_head = _Head()

    @staticmethod
    def prepare(image: UInt8[np.ndarray, "height width 3"]) -> Float[Tensor, "1 3 rows columns"]:
        """A picture as the network wants it: short side 518, both multiples of 14, normalised."""
        scale = _SHORT_SIDE / min(image.shape[:2])
        rows, columns = (round(side * scale / _PATCH) * _PATCH for side in image.shape[:2])
        resized = cv2.resize(image.astype(np.float32) / 255, (columns, rows), interpolation=cv2.INTER_CUBIC)
        return imagenet_normalised(resized)

    def forward(self, x: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n h w"]:
        """Inverse depth, not negative, up to one scale and shift a picture; height and width multiples of 14."""
        vit = self.pretrained
        patches = vit.patch_embed.proj(x).permute(0, 2, 3, 1)
        tokens, _ = embed(vit, patches)
        grids = []
        for index, block in enumerate(vit.blocks):
            tokens = block(tokens)
            if index in _LAYERS:
                grid = vit.norm(tokens)[:, 1:].unflatten(1, patches.shape[1:3])
                grids.append(grid.permute(0, 3, 1, 2))
        return F.relu(self.depth_head(grids, x.shape[-2:]))[:, 0]


class _Head(nn.Module):
    """From the tokens of four layers, all on one grid, to a map of the picture's size."""

    def __init__(self) -> None:
        super().__init__()
        self.projects = nn.ModuleList(nn.Conv2d(_WIDTH, channels, 1) for channels in _CHANNELS)
        self.resize_layers = nn.ModuleList(
            [
                nn.ConvTranspose2d(_CHANNELS[0], _CHANNELS[0], 4, stride=4),
                nn.ConvTranspose2d(_CHANNELS[1], _CHANNELS[1], 2, stride=2),
                nn.Identity(),
                nn.Conv2d(_CHANNELS[3], _CHANNELS[3], 3, stride=2, padding=1),
            ]
        )
        self.scratch = Decoder(_CHANNELS, _FUSED, projected=True)
        self.scratch.output_conv1 = nn.Conv2d(_FUSED, _FUSED // 2, 3, padding=1)
        self.scratch.output_conv2 = nn.Sequential(
            nn.Conv2d(_FUSED // 2, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 1, 1)
        )

    def forward(self, grids: list[Float[Tensor, "n _ _ _"]], size: tuple[int, int]) -> Float[Tensor, "n 1 h w"]:
        features = [
            resize(project(x)) for project, resize, x in zip(self.projects, self.resize_layers, grids, strict=True)
        ]
        x = self.scratch.output_conv1(self.scratch.fuse(features))
        x = F.interpolate(x, size=tuple(size), mode="bilinear", align_corners=True)
        return self.scratch.output_conv2(x)
