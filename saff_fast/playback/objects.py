"""The objects that segmentation found, to be recognised in anything that is rendered."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, UInt8
from numpy import ndarray
from torch import Tensor

from saff_fast.errors import UserError
from saff_fast.files import read_npz
from saff_fast.segment.kmeans import assign
from saff_fast.segment.labels import palette


@dataclass(frozen=True)
class ObjectModel:
    """From semantic features to objects."""

    prototypes: Float[Tensor, "k d"]
    """What features are compared with, one a cluster."""
    unit: bool
    """Whether features are normalised before the comparison."""
    object_of: Int[Tensor, " k"]
    """Object of each cluster; 0 is background."""
    names: Mapping[int, str] = field(default_factory=dict)
    """What people call the objects."""
    colours: Mapping[int, tuple[int, int, int]] = field(default_factory=dict)
    """RGB of the objects that do not have their colour of `segment.labels.palette`."""

    @staticmethod
    def load(run: Path) -> "ObjectModel":
        """What `segment` left in the run.

        Raises:
            UserError: if the run is not segmented, or the file is damaged.
        """
        path = run / "segment" / "model.npz"
        if not path.is_file():
            raise UserError(f"{run} must be segmented, but {path} is missing; run `saff-fast segment {run}` first.")
        stored = read_npz(path, "centroids", "prototypes", "ids", "n_objects")
        centroids, prototypes, ids = stored["centroids"], stored["prototypes"], stored["ids"]
        if prototypes.ndim != 2 or ids.shape != prototypes.shape[:1]:
            raise UserError(f"{path} must hold one id a cluster, but it does not; run `saff-fast segment` again.")
        # Without refits the prototypes are the centroids, which are means of unit vectors.
        unit = np.array_equal(centroids, prototypes)
        object_of = np.where(ids <= stored["n_objects"], ids, 0)
        return ObjectModel(torch.from_numpy(prototypes).float(), unit, torch.from_numpy(object_of).long())

    def edited(
        self,
        object_of: Int[Tensor, " k"] | None = None,
        names: Mapping[int, str] | None = None,
        colours: Mapping[int, tuple[int, int, int]] | None = None,
    ) -> Self:
        """The same clusters with other objects, names or colours; None leaves as it is.

        Raises:
            ValueError: if there is not one object a cluster, or one is negative.
        """
        mapping = self.object_of if object_of is None else object_of
        if mapping.shape != self.object_of.shape or bool((mapping < 0).any()):
            raise ValueError(f"edited: object_of must be {len(self.object_of)} ids from 0 on, got {mapping.tolist()}")
        names, colours = (self.names if names is None else names), (self.colours if colours is None else colours)
        return replace(self, object_of=mapping, names=names, colours=colours)

    def to(self, device: torch.device | str) -> Self:
        """The same model on `device`."""
        return replace(self, prototypes=self.prototypes.to(device), object_of=self.object_of.to(device))

    @property
    def ids(self) -> tuple[int, ...]:
        """The objects that have a cluster, ascending, without the background."""
        return tuple(i for i in self.object_of.unique().tolist() if i)

    @property
    def palette(self) -> UInt8[ndarray, "n_labels 3"]:
        """RGB of the labels from 0 on."""
        table = palette(max([int(self.object_of.max()), *self.colours], default=0) + 1)
        for label, colour in self.colours.items():
            table[label] = colour
        return table

    def clusters_of(self, features: Float[Tensor, "n d"]) -> Int[Tensor, " n"]:
        """Nearest cluster of each feature."""
        return assign(F.normalize(features, dim=1) if self.unit else features, self.prototypes)[0]

    def labels_of(self, features: Float[Tensor, "n d"]) -> Int[Tensor, " n"]:
        """Object of each feature, 0 for the background."""
        return self.object_of[self.clusters_of(features)]
