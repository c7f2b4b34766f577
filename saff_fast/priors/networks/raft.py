"""RAFT (Teed and Deng, ECCV 2020), the published flow, as a flow estimator."""

import re
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from saff_fast.priors.networks.weights import State, WeightsSource, load_weights, read_state
from saff_fast.priors.torchvision_shim import make_torchvision_importable

RAFT_WEIGHTS = WeightsSource(
    "RAFT",
    "--flow-weights",
    ("raft_large_C_T_SKHT_V2-ff5fadd5.pth", "raft_large_C_T_V2-1bb1363a.pth", "raft-things.pth"),
)

_N_UPDATES = 20
_LONG_SIDE = 768
"""Larger pictures are shrunk to it, as published; memory grows with the fourth power of their size."""
_MIN_SIDE = 128
"""Shorter sides leave the coarsest level of correlations less than two values."""
_RENAMED = (
    (r"^[fc]net\.", lambda found: "feature_encoder." if found[0] == "fnet." else "context_encoder."),
    (r"^(\w+_encoder)\.conv1\.", r"\1.convnormrelu.0."),
    (r"^(\w+_encoder)\.norm1\.", r"\1.convnormrelu.1."),
    (r"^(\w+_encoder)\.conv2\.", r"\1.conv."),
    (r"(layer\d\.\d)\.conv(\d)\.", r"\1.convnormrelu\2.0."),
    (r"(layer\d\.\d)\.norm([12])\.", r"\1.convnormrelu\2.1."),
    (r"^update_block\.encoder\.conv\.", "update_block.motion_encoder.conv.0."),
    (r"^update_block\.encoder\.convc(\d)\.", r"update_block.motion_encoder.convcorr\1.0."),
    (r"^update_block\.encoder\.convf(\d)\.", r"update_block.motion_encoder.convflow\1.0."),
    (r"^update_block\.gru\.conv([zrq])(\d)\.", r"update_block.recurrent_block.convgru\2.conv\1."),
    (r"^update_block\.mask\.0\.", "mask_predictor.convrelu.0."),
    (r"^update_block\.mask\.2\.", "mask_predictor.conv."),
)
"""From the names of the authors' code to torchvision's, applied one after the other."""
_TWICE = re.compile(r"layer\d\.\d\.norm3\.")
"""The authors' code has the normalisation of a shortcut under two names."""


class Raft:
    """The large RAFT with 20 updates.

    Args:
        weights: A file of torchvision's `raft_large`, or of the authors' code (`raft-things.pth`).

    Raises:
        UserError: The file holds other weights.
    """

    name = "RAFT"

    def __init__(self, weights: Path):
        make_torchvision_importable()
        from torchvision.models.optical_flow import raft_large

        self._model = raft_large()
        load_weights(self._model, _renamed(read_state(weights)), weights, self.name)

    @torch.inference_mode()
    def __call__(
        self, source: UInt8[np.ndarray, "h w 3"], target: UInt8[np.ndarray, "h w 3"]
    ) -> Float[np.ndarray, "h w 2"]:
        """See `FlowEstimator`. Pictures are padded by their border to multiples of 8, and the flow is cut back."""
        scale = _LONG_SIDE / max(source.shape)
        if scale < 1:
            size = source.shape[1::-1]
            smaller = tuple(round(side * scale) for side in size)
            flow = self(*(cv2.resize(image, smaller, interpolation=cv2.INTER_AREA) for image in (source, target)))
            return cv2.resize(flow, size, interpolation=cv2.INTER_LINEAR) * np.float32(np.divide(size, smaller))
        height, width = source.shape[:2]
        top, left = ((_padded(side) - side) // 2 for side in (height, width))
        flow = self._model(_prepared(source), _prepared(target), num_flow_updates=_N_UPDATES)[-1]
        return flow[0, :, top : top + height, left : left + width].permute(1, 2, 0).contiguous().numpy()


def _prepared(image: UInt8[np.ndarray, "h w 3"]) -> Float[Tensor, "1 3 rows columns"]:
    """A picture in [-1, 1], padded on both sides."""
    pads: list[int] = []
    for side in image.shape[1::-1]:  # the last axis first
        total = _padded(side) - side
        pads += [total // 2, total - total // 2]
    x = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 127.5 - 1
    return F.pad(x, pads, mode="replicate")


def _padded(side: int) -> int:
    return max(-(-side // 8) * 8, _MIN_SIDE)


def _renamed(state: State) -> State:
    """Parameters under torchvision's names; those that have them already stay as they are."""
    renamed = {}
    for key, value in state.items():
        if _TWICE.search(key):
            continue
        for pattern, replacement in _RENAMED:
            key = re.sub(pattern, replacement, key)
        renamed[key] = value
    return renamed
