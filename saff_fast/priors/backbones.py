"""Which network describes the frames: the one asked for, DINO where its weights are at hand, or EfficientNet-Lite0."""

from pathlib import Path

from saff_fast.errors import UserError
from saff_fast.priors.networks.efficientnet import EfficientNetBackbone
from saff_fast.priors.networks.vit import DINO, SHORT_NAMES, ViTBackbone, vit_source
from saff_fast.priors.semantics import Backbone


def find_features(name: str | None, weights: Path | None, parity: bool) -> tuple[str | None, Path | None]:
    """timm's name of the network of `--features`, and its weights: those given or found in the local caches.

    Args:
        name: A short name, timm's, or None for DINO ViT-S/8 if its weights are there.
        weights: The file given, if any.
        parity: Whether nothing but the published network will do.

    Returns:
        Nothing twice where EfficientNet-Lite0 is to take the place of DINO.

    Raises:
        UserError: A name that timm does not know, or no weights of a network that was asked for.
    """
    if parity and name is None:
        name = DINO
    full = DINO if name is None else SHORT_NAMES.get(name, name)
    source = vit_source(full)
    found = weights or source.find()
    if found is not None:
        return full, found
    if name is None:
        return None, None
    wanted = "--parity" if parity else f"--features {name}"
    raise UserError(f"{wanted} needs the weights of {source.network}, but none were found; {source.how_to_get()}.")


def choose_backbone(name: str | None, weights: Path | None, parity: bool = False) -> Backbone:
    """The network that `find_features` found.

    Args:
        name: timm's name, or None for EfficientNet-Lite0, whose weights are a package.
        weights: Its file of weights.
        parity: Whether pictures go in as published, without normalisation.

    Raises:
        UserError: The file does not hold the network's weights, or no network can be had.
    """
    if name is None or weights is None:
        return EfficientNetBackbone()
    return ViTBackbone(name, weights, normalise=not parity)
