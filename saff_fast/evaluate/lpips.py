"""LPIPS (Zhang et al. 2018), version 0.1 on AlexNet, where its weights are on this machine."""

import importlib.util
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from numpy import ndarray
from torch import Tensor, nn

from saff_fast.errors import UserError
from saff_fast.evaluate.truth import resize_nearest
from saff_fast.priors.networks.weights import State, WeightsSource, load_weights, read_state

BACKBONE = WeightsSource("AlexNet", "", files=("alexnet-owt-7be5be79.pth",))
"""torchvision's."""
LINEAR = WeightsSource("the linear layers of LPIPS 0.1", "", files=("lpips_alex_v0.1.pth",))
"""`alex.pth` of the authors, who also ship it in the package `lpips`."""
_PACKAGED = Path("weights", "v0.1", "alex.pth")
_TAPS = (1, 4, 7, 9, 11)
"""Places of the five rectified layers in AlexNet's `features`."""
_WIDTHS = (64, 192, 384, 256, 256)
_SHIFT, _SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
_SMALLEST_NORM = 1e-10

Image = UInt8[ndarray, "height width 3"]


class Lpips(nn.Module):
    """Distance of two pictures as AlexNet sees them; 0 for equal ones.

    Args:
        backbone: Parameters of torchvision's AlexNet; the classifier's are not needed.
        linear: Weights of the five layers' channels, `lin0.model.1.weight` to `lin4.model.1.weight`.
    """

    def __init__(self, backbone: State, linear: State) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *(nn.Conv2d(3, 64, 11, stride=4, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)),
            *(nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)),
            *(nn.Conv2d(192, 384, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(384, 256, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(256, 256, 3, padding=1), nn.ReLU()),
        )
        kept = {name: value for name, value in backbone.items() if name.startswith("features.")}
        load_weights(self, kept, Path(BACKBONE.files[0]), BACKBONE.network)
        self._weights = [_linear_weight(linear, k, width) for k, width in enumerate(_WIDTHS)]

    @torch.no_grad()
    def forward(
        self, image: Image, truth: Image, mask: Bool[ndarray, "height width"] | None = None, *, published: bool = False
    ) -> float:
        """The distance, as a mean over pixels of each layer, summed over layers.

        Args:
            image: A picture.
            truth: What it should be.
            mask: Pixels that count, resized to each layer (nearest); all if None. A layer that has none of them adds
                nothing, as in NSFF's script; NaN for an empty mask.
            published: Colours stay in [0, 1], as SAFF's script left them, in place of [-1, 1].
        """
        if mask is not None and not mask.any():
            return float("nan")
        total = 0.0
        pairs = zip(self._layers(image, published), self._layers(truth, published), self._weights, strict=True)
        for here, there, weight in pairs:
            distance = ((here - there).square() * weight[:, None, None]).sum(dim=0)
            if mask is not None:
                inside = torch.from_numpy(resize_nearest(mask, *distance.shape))
                distance = distance[inside]
            total += float(distance.mean()) if distance.numel() else 0.0
        return total

    def _layers(self, image: Image, published: bool) -> list[Float[Tensor, "n_channels h w"]]:
        """The five layers, each pixel's channels of unit length."""
        x = torch.from_numpy(image.astype(np.float32) / 255).permute(2, 0, 1)
        x = x if published else 2 * x - 1
        x = (x - x.new_tensor(_SHIFT)[:, None, None]) / x.new_tensor(_SCALE)[:, None, None]
        found = []
        for place, layer in enumerate(self.features):
            x = layer(x)
            if place in _TAPS:
                found.append(x / (x.norm(dim=0, keepdim=True) + _SMALLEST_NORM))
        return found


def _linear_weight(state: State, k: int, width: int) -> Float[Tensor, " n_channels"]:
    name = f"lin{k}.model.1.weight"
    if name not in state or state[name].numel() != width:
        raise UserError(f"the linear layers of LPIPS must hold {name} with {width} weights, but do not.")
    return state[name].reshape(width).float()


def find_lpips() -> tuple[Lpips | None, str]:
    """LPIPS, or why it cannot be had: both files must be on this machine; nothing is downloaded.

    Looked for are torch.hub's checkpoints and, for the linear layers, the package `lpips` if it is installed.
    """
    backbone, linear = BACKBONE.find(), LINEAR.find() or _packaged()
    lacking = [s.files[0] for s, path in ((BACKBONE, backbone), (LINEAR, linear)) if path is None]
    if backbone is None or linear is None:
        return None, f"no weights: put {' and '.join(lacking)} in ~/.cache/torch/hub/checkpoints"
    return Lpips(read_state(backbone), read_state(linear)), ""


def _packaged() -> Path | None:
    spec = importlib.util.find_spec("lpips")
    path = Path(spec.origin).parent / _PACKAGED if spec is not None and spec.origin else None
    return path if path is not None and path.is_file() else None
