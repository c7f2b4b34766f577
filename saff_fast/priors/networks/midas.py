"""MiDaS v2 and v2.1 (Ranftl et al., TPAMI 2022), the published depth: inverse depth up to scale and shift."""

import cv2
import numpy as np
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from saff_fast.priors.networks.fusion import Decoder
from saff_fast.priors.networks.normalise import imagenet_normalised
from saff_fast.priors.networks.weights import WeightsSource
from saff_fast.priors.torchvision_shim import make_torchvision_importable

MIDAS_WEIGHTS = WeightsSource(
    "MiDaS v2.1", "--depth-weights", ("midas_v21_384.pt", "midas_v21-f6b98070.pt", "model-f6b98070.pt")
)

_LONG_SIDE = 640
"""Of what the network sees, in pixels, as published; the short side is then about the 384 it was trained at."""
_MULTIPLE = 32


class Midas(nn.Module):
    """ResNeXt101-32x8d and a decoder of 256 channels; parts are named as in the published weights."""

    name = MIDAS_WEIGHTS.network

    def __init__(self) -> None:
        super().__init__()
        make_torchvision_importable()
        from torchvision.models import resnext101_32x8d

        encoder = resnext101_32x8d(weights=None)
        self.pretrained = nn.Module()
        self.pretrained.layer1 = nn.Sequential(
            encoder.conv1, encoder.bn1, encoder.relu, encoder.maxpool, encoder.layer1
        )
        self.pretrained.layer2, self.pretrained.layer3 = encoder.layer2, encoder.layer3
        self.pretrained.layer4 = encoder.layer4
        self.scratch = Decoder((256, 512, 1024, 2048), 256, projected=False)
        self.scratch.output_conv = nn.Sequential(
            nn.Conv2d(256, 128, 3, padding=1),
            nn.Upsample(scale_factor=2, mode="bilinear"),
            nn.Conv2d(128, 32, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 1, 1),
        )

    @staticmethod
    def prepare(image: UInt8[np.ndarray, "height width 3"]) -> Float[Tensor, "1 3 rows columns"]:
        """A picture as the network wants it: long side at most 640, both multiples of 32, normalised."""
        height, width = image.shape[:2]
        scale = _LONG_SIDE / max(height, width)
        rows, columns = (
            max(min(round(side * scale / _MULTIPLE), _LONG_SIDE // _MULTIPLE), 1) * _MULTIPLE
            for side in (height, width)
        )
        resized = cv2.resize(image.astype(np.float32) / 255, (columns, rows), interpolation=cv2.INTER_AREA)
        return imagenet_normalised(resized)

    def forward(self, x: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n h w"]:
        """Inverse depth, not negative, up to one scale and shift a picture; height and width multiples of 32."""
        features = []
        for scale in range(1, 5):
            x = getattr(self.pretrained, f"layer{scale}")(x)
            features.append(x)
        return F.relu(self.scratch.output_conv(self.scratch.fuse(features)))[:, 0]
