"""The decoder that MiDaS and DPT share: features of four scales, fused from the coarsest to the finest (RefineNet)."""

from collections.abc import Sequence

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class ResidualUnit(nn.Module):
    """Two convolutions and a shortcut.

    Args:
        channels: In and out.
        rectified_shortcut: Whether the shortcut is what the first rectifier gives, as in MiDaS v2, whose rectifiers
            work in place.
    """

    def __init__(self, channels: int, rectified_shortcut: bool):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self._rectified_shortcut = rectified_shortcut

    def forward(self, x: Float[Tensor, "n channels h w"]) -> Float[Tensor, "n channels h w"]:
        """`x` and what is added to it."""
        rectified = F.relu(x)
        change = self.conv2(F.relu(self.conv1(rectified)))
        return change + (rectified if self._rectified_shortcut else x)


class Fusion(nn.Module):
    """Adds the features of one scale to what comes from the coarser ones, and enlarges the sum bilinearly.

    Args:
        channels: In and out.
        projected: Whether a 1 x 1 convolution follows, as in DPT; without it, shortcuts are rectified, as in MiDaS v2.
    """

    def __init__(self, channels: int, projected: bool):
        super().__init__()
        self.resConfUnit1 = ResidualUnit(channels, rectified_shortcut=not projected)
        self.resConfUnit2 = ResidualUnit(channels, rectified_shortcut=not projected)
        self.out_conv = nn.Conv2d(channels, channels, 1) if projected else nn.Identity()

    def forward(
        self, coarser: Float[Tensor, "n channels h w"] | None, own: Float[Tensor, "n channels h w"], size: Sequence[int]
    ) -> Float[Tensor, "n channels rows columns"]:
        """Fused features at `size`; the coarsest scale has nothing before it, and then uses its second unit alone."""
        x = own if coarser is None else coarser + self.resConfUnit1(own)
        x = F.interpolate(self.resConfUnit2(x), size=tuple(size), mode="bilinear", align_corners=True)
        return self.out_conv(x)


class Decoder(nn.Module):
    """Features of four scales, finest first, to one map of twice the finest resolution.

    The names of parts are those in published weights: `layer1_rn` and `refinenet1` belong to the finest scale.

    Args:
        in_channels: Of each scale.
        channels: Of the result.
        projected: See `Fusion`.
    """

    def __init__(self, in_channels: Sequence[int], channels: int, projected: bool):
        super().__init__()
        for scale, n_in in enumerate(in_channels, start=1):
            setattr(self, f"layer{scale}_rn", nn.Conv2d(n_in, channels, 3, padding=1, bias=False))
            setattr(self, f"refinenet{scale}", Fusion(channels, projected))

    def fuse(self, features: Sequence[Float[Tensor, "n _ _ _"]]) -> Float[Tensor, "n channels rows columns"]:
        """Fuse from the coarsest to the finest."""
        own = [getattr(self, f"layer{scale}_rn")(x) for scale, x in enumerate(features, start=1)]
        fused = None
        for scale in range(len(own), 0, -1):
            finer = own[scale - 2].shape[-2:] if scale > 1 else [2 * side for side in own[0].shape[-2:]]
            fused = getattr(self, f"refinenet{scale}")(fused, own[scale - 1], finer)
        assert fused is not None
        return fused
