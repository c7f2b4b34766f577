"""Vision transformers of timm as describers of crops: keys and attention of the last layer."""

import sys
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from saff_fast.errors import UserError
from saff_fast.priors.networks.weights import State, WeightsSource, load_weights, read_state
from saff_fast.priors.pyramid import Box
from saff_fast.priors.torchvision_shim import make_torchvision_importable

DINO = "vit_small_patch8_224.dino"
"""The published network."""
DINO_WEIGHTS = WeightsSource("DINO ViT-S/8", "--weights", ("dino_deitsmall8_pretrain.pth",), f"timm/{DINO}")
SHORT_NAMES = {
    "dino_vits8": DINO,
    "dino_vits16": "vit_small_patch16_224.dino",
    "dino_vitb8": "vit_base_patch8_224.dino",
    "dino_vitb16": "vit_base_patch16_224.dino",
    "dinov2_vits14": "vit_small_patch14_dinov2.lvd142m",
    "dinov2_vitb14": "vit_base_patch14_dinov2.lvd142m",
    "dinov2_vits14_reg": "vit_small_patch14_reg4_dinov2.lvd142m",
    "dinov2_vitb14_reg": "vit_base_patch14_reg4_dinov2.lvd142m",
    "dinov3_vits16": "vit_small_patch16_dinov3.lvd1689m",
    "dinov3_vitb16": "vit_base_patch16_dinov3.lvd1689m",
}
"""Names that the authors of networks use, and timm's."""

_STRIDE = 4
"""Pixels between tokens where the patch size allows it (Amir et al. 2021)."""
_SALIENT_HEADS = {DINO: (0, 2, 4, 5)}
"""Heads whose attention is known to mark what stands out (Amir et al. 2021)."""
_BLOCKS = ("Block", "EvaBlock")
"""timm's layers that normalise before they attend, so that the input of the attention is known."""


def vit_source(name: str) -> WeightsSource:
    """Where the weights of a vision transformer come from.

    Raises:
        UserError: timm has no network of that name.
    """
    if name == DINO:
        return DINO_WEIGHTS
    make_torchvision_importable()
    import timm

    try:
        config = timm.get_pretrained_cfg(name)
    except RuntimeError:  # a network of timm, but no weights of that name
        config = None
    if config is None:
        known = [*SHORT_NAMES, *timm.list_models(pretrained=True)]
        close = get_close_matches(name, known, n=3) or list(SHORT_NAMES)
        raise UserError(f"--features must name a vision transformer of timm, like {', '.join(close)}, but is {name!r}.")
    files = (Path(config.url).name,) if config.url else ()
    return WeightsSource(name, "--weights", files, config.hf_hub_id)


class ViTBackbone:
    """Keys of a vision transformer's last layer, and what its class token attends to (Caron et al. 2021).

    Patches overlap: tokens lie 4 pixels apart where the patch size is a multiple of that, else half a patch (Amir et
    al. 2021). Features are the keys of all heads before any rotary embedding, the head being the faster index. Saliency
    is the mean attention of the heads known to mark what stands out, spread over [0, 1] within the crop; it is given by
    DINO ViT-S/8 alone, because nobody has chosen the heads of other networks.

    Args:
        name: timm's name of the network.
        weights: timm's file, or the original one where timm can convert it.
        normalise: Whether pictures are normalised as in training; the published code leaves them as they are.

    Raises:
        UserError: The file holds other weights, or the network is not of a kind whose keys can be had.
    """

    def __init__(self, name: str, weights: Path, normalise: bool = True):
        self.name = DINO_WEIGHTS.network if name == DINO else name
        self._model = build_vit(name)
        load_weights(self._model, _converted(read_state(weights), self._model), weights, self.name)
        convolution = self._model.patch_embed.proj
        convolution.stride = tuple(_stride(side) for side in convolution.kernel_size)
        self._heads = _SALIENT_HEADS.get(name)
        statistics = self._model.pretrained_cfg
        self._mean = torch.tensor(statistics["mean"] if normalise else (0.0,)).view(1, -1, 1, 1)
        self._deviation = torch.tensor(statistics["std"] if normalise else (1.0,)).view(1, -1, 1, 1)

    @torch.inference_mode()
    def __call__(
        self, frame: int, image: Float[np.ndarray, "height width 3"], box: Box
    ) -> tuple[Float[np.ndarray, "rows columns channels"], Float[np.ndarray, "rows columns"] | None]:
        """See `Backbone`."""
        model = self._model
        x = (torch.from_numpy(image).permute(2, 0, 1)[None] - self._mean) / self._deviation
        patches = model.patch_embed.norm(model.patch_embed.proj(x).permute(0, 2, 3, 1))
        rows, columns = patches.shape[1:3]
        tokens, rotary = embed(model, patches)
        for block in model.blocks[:-1]:
            tokens = block(tokens) if rotary is None else block(tokens, rope=rotary)
        last = model.blocks[-1]
        seen, attention = last.norm1(tokens), last.attn
        n_others = seen.shape[1] - rows * columns
        keys = _keys(attention, seen)[0].unflatten(-1, (attention.num_heads, -1))
        features = keys[n_others:].transpose(1, 2).reshape(rows, columns, -1).numpy()
        if self._heads is None:
            return features, None
        query = attention.qkv(seen[0, 0]).unflatten(-1, (3, attention.num_heads, -1))[0]
        weights = (torch.einsum("hd,thd->ht", query, keys) * attention.scale).softmax(dim=-1)
        salient = weights[list(self._heads), n_others:].mean(0).reshape(rows, columns)
        spread = (salient - salient.min()) / (salient.max() - salient.min()).clamp_min(1e-12)
        return features, spread.numpy()


def embed(
    model: nn.Module, patches: Float[Tensor, "1 rows columns channels"]
) -> tuple[Float[Tensor, "1 n_tokens channels"], Tensor | None]:
    """What the first layer sees: class and register tokens, then patches, with positions as the DINO code makes them.

    The second value is the rotary embedding that the layers of some networks take beside the tokens.
    """
    if hasattr(model, "rope"):
        tokens, rotary = model._pos_embed(patches)
        return model.norm_pre(tokens), rotary
    others = [token for token in (model.cls_token, model.reg_token) if token is not None]
    positions = _resampled(model, *patches.shape[1:3])
    if model.no_embed_class:
        tokens = torch.cat([*others, patches.flatten(1, 2) + positions], dim=1)
    else:
        tokens = torch.cat([*others, patches.flatten(1, 2)], dim=1) + positions
    return model.norm_pre(tokens), None


def build_vit(name: str) -> nn.Module:
    """A vision transformer of timm without weights, one whose keys can be had, for pictures of any size.

    Raises:
        UserError: It is of another kind.
    """
    make_torchvision_importable()
    import timm
    from timm.models.eva import Eva
    from timm.models.vision_transformer import VisionTransformer

    options = {"pretrained": False, "num_classes": 0}
    try:
        model = timm.create_model(name, **options, dynamic_img_size=True)
    except TypeError:  # other kinds of networks do not know the option
        model = None
    known = type(model) in (Eva, VisionTransformer) and type(model.blocks[-1]).__name__ in _BLOCKS
    if not known or getattr(model, "rope_mixed", False):
        raise UserError(f"--features must name a plain vision transformer of timm, but {name} is of another kind.")
    return model


def _converted(state: State, model: nn.Module) -> State:
    """A file's parameters under timm's names, without those of a classifier, by timm's own rules."""
    renamed = sys.modules[type(model).__module__].checkpoint_filter_fn(state, model)
    return {key: value for key, value in renamed.items() if not key.startswith(("head.", "head_dist.", "fc_norm."))}


def _stride(patch: int) -> int:
    """Pixels between patches of that size; a divisor of it."""
    if patch % _STRIDE == 0:
        return _STRIDE
    return patch // 2 if patch % 2 == 0 else patch


def _keys(attention: nn.Module, tokens: Float[Tensor, "1 n_tokens _"]) -> Float[Tensor, "1 n_tokens channels"]:
    if attention.qkv is None:
        return attention.k_proj(tokens)
    # EVA keeps the biases of queries and values apart, and has none for keys.
    bias = None if attention.qkv.bias is None else attention.qkv.bias.chunk(3)[1]
    return F.linear(tokens, attention.qkv.weight.chunk(3)[1], bias)


def _resampled(model: nn.Module, rows: int, columns: int) -> Float[Tensor, "1 n_tokens channels"]:
    """The stored embedding of positions resampled to the grid; the 0.1 is DINO's guard against rounding."""
    stored = model.pos_embed
    n_others = 0 if model.no_embed_class else model.num_prefix_tokens
    side = int((stored.shape[1] - n_others) ** 0.5)
    if rows == columns == side:
        return stored
    grid = stored[:, n_others:].unflatten(1, (side, side)).permute(0, 3, 1, 2)
    scale = ((rows + 0.1) / side, (columns + 0.1) / side)
    grid = F.interpolate(grid, scale_factor=scale, mode="bicubic", align_corners=False)
    return torch.cat([stored[:, :n_others], grid.flatten(2).transpose(1, 2)], dim=1)
