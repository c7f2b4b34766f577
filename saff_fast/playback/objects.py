"""The objects that segmentation found, to be recognised in anything that is rendered."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, UInt8
from numpy import ndarray
from torch import Tensor

from saff_fast.errors import UserError
from saff_fast.files import read_json, read_npz, save_json
from saff_fast.segment.kmeans import assign
from saff_fast.segment.labels import EDITED, palette

FORMAT = "saff-fast objects"
MOST_OBJECTS = 65535
"""Largest label: those of 16-bit masks."""


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
    def exists(run: Path) -> bool:
        """Whether the run has objects: found by `segment`, or edited by hand."""
        return _edited(run).is_file() or _found(run).is_file()

    @staticmethod
    def load(run: Path) -> "ObjectModel":
        """What was edited by hand in the run, otherwise what `segment` left there.

        Raises:
            UserError: if the run has no objects, or their file is damaged.
        """
        if _edited(run).is_file():
            return _read_edited(_edited(run))
        path = _found(run)
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

    @staticmethod
    def is_edited(run: Path) -> bool:
        """Whether `load` reads what was edited by hand."""
        return _edited(run).is_file()

    def save(self, run: Path) -> Path:
        """Write the objects as edited by hand, which `load` prefers; says where to."""
        path = _edited(run)
        clusters = [
            {"object": label, "prototype": prototype}
            for label, prototype in zip(self.object_of.tolist(), self.prototypes.tolist(), strict=True)
        ]
        names = {str(label): name for label, name in self.names.items()}
        colours = {str(label): list(colour) for label, colour in self.colours.items()}
        head = {"format": FORMAT, "version": 1, "unit": self.unit}
        save_json(path, {**head, "names": names, "colours": colours, "clusters": clusters})
        return path

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


def _found(run: Path) -> Path:
    return run / "segment" / "model.npz"


def _edited(run: Path) -> Path:
    return run / "segment" / EDITED


def _read_edited(path: Path) -> ObjectModel:
    content = read_json(path)
    try:
        return _parsed(content)
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError, RuntimeError) as error:
        raise UserError(
            f"{path} must hold objects as `saff-fast view` saves them, got {error!r}; remove it for those of `segment`"
        ) from error


def _parsed(content: Any) -> ObjectModel:
    if content["format"] != FORMAT or content["version"] != 1:
        raise ValueError(f"format {content['format']!r}, version {content['version']!r}")
    prototypes = torch.tensor([cluster["prototype"] for cluster in content["clusters"]], dtype=torch.float32)
    object_of = torch.tensor([cluster["object"] for cluster in content["clusters"]])
    if prototypes.ndim != 2 or not bool(prototypes.isfinite().all()):
        raise ValueError(f"prototypes that are not finite vectors of one length but {tuple(prototypes.shape)}")
    if object_of.dtype != torch.int64 or bool(((object_of < 0) | (object_of > MOST_OBJECTS)).any()):
        raise ValueError(f"objects that are not all whole numbers in [0, {MOST_OBJECTS}]")
    names = {_label(label): str(name) for label, name in content["names"].items()}
    colours = {_label(label): _colour(colour) for label, colour in content["colours"].items()}
    return ObjectModel(prototypes, bool(content["unit"]), object_of, names, colours)


def _label(text: str) -> int:
    if not 0 <= int(text) <= MOST_OBJECTS:
        raise ValueError(f"the object {text}")
    return int(text)


def _colour(colour: Any) -> tuple[int, int, int]:
    red, green, blue = (int(value) for value in colour)
    if not all(0 <= value <= 255 for value in (red, green, blue)):
        raise ValueError(f"the colour {colour}")
    return red, green, blue
