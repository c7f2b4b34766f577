"""Which networks make the priors of a scene, and with which weights."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from saff_fast.errors import UserError
from saff_fast.priors.backbones import find_features
from saff_fast.priors.networks.depth import DEPTH_WEIGHTS
from saff_fast.priors.networks.raft import RAFT_WEIGHTS


@dataclass(frozen=True)
class Networks:
    """Networks of a preparation; without the weights of one, a method that needs none takes its place."""

    features: str | None = None
    """Vision transformer that describes pictures: a short name or timm's; None for DINO ViT-S/8 if it is there."""
    weights: Path | None = None
    """Its weights."""
    parity: bool = False
    """Whether features are computed exactly as in the published code."""
    flow_weights: Path | None = None
    """RAFT's weights."""
    depth_weights: Path | None = None
    """Weights of Depth Anything V2 small or MiDaS."""

    def found(self) -> Self:
        """The same with the weights that the local caches hold where none are given, and timm's name of the network.

        Raises:
            UserError: A file that does not exist, or no weights of a network that was asked for by name.
        """
        given = {"--weights": self.weights, "--flow-weights": self.flow_weights, "--depth-weights": self.depth_weights}
        for option, path in given.items():
            if path is not None and not path.is_file():
                raise UserError(f"{option} must be a file of weights, but there is no file {path}.")
        if self.parity and self.features not in (None, "dino_vits8"):
            raise UserError(f"--parity needs the published network, dino_vits8, but --features is {self.features!r}.")
        features, weights = find_features(self.features, self.weights, self.parity)
        depth = next((path for source in DEPTH_WEIGHTS if (path := source.find())), None)
        return replace(
            self,
            features=features,
            weights=weights,
            flow_weights=self.flow_weights or RAFT_WEIGHTS.find(),
            depth_weights=self.depth_weights or depth,
        )
