"""Depth networks by their weights: one interface, whichever of the networks a file belongs to."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8

from saff_fast.priors.networks.depth_anything import DEPTH_ANYTHING_WEIGHTS, DepthAnything
from saff_fast.priors.networks.midas import MIDAS_WEIGHTS, Midas
from saff_fast.priors.networks.weights import load_weights, read_state

DEPTH_WEIGHTS = (DEPTH_ANYTHING_WEIGHTS, MIDAS_WEIGHTS)
"""What is looked for, the better network first."""

_UNUSED = ("pretrained.mask_token",)
"""Parameters of the training of DINOv2."""


class DepthNetwork:
    """Inverse depth of a picture, up to one scale and shift that the network does not know.

    Args:
        weights: A file of Depth Anything V2 small, or of MiDaS v2 or v2.1.

    Raises:
        UserError: The file holds other weights.
    """

    def __init__(self, weights: Path):
        state = {key: value for key, value in read_state(weights).items() if key not in _UNUSED}
        is_dpt = any(key.startswith("depth_head.") for key in state)
        self._model = DepthAnything() if is_dpt else Midas()
        self.name = self._model.name
        load_weights(self._model, state, weights, self.name)

    @torch.inference_mode()
    def __call__(self, image: UInt8[np.ndarray, "height width 3"]) -> Float[np.ndarray, "rows columns"]:
        """Relative inverse depth at the network's own resolution; larger is nearer."""
        return self._model(self._model.prepare(image))[0].numpy()
