"""Pictures as networks trained on ImageNet want them."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def imagenet_normalised(image: Float[np.ndarray, "height width 3"]) -> Float[Tensor, "1 3 height width"]:
    """A batch of one picture, RGB in [0, 1], with ImageNet's mean taken off and divided by its standard deviation."""
    normalised = (image - np.float32(IMAGENET_MEAN)) / np.float32(IMAGENET_STD)
    return torch.from_numpy(normalised).permute(2, 0, 1)[None].contiguous()
