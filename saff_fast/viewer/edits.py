"""Changes of objects by hand: what a person sees as one, as two, or as nothing."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from saff_fast.playback.objects import MOST_OBJECTS, ObjectModel
from saff_fast.segment.kmeans import KMeansConfig, kmeans

LONGEST_NAME = 60
_MOST_CLUSTERS = 256


def merged(objects: ObjectModel, label: int, into: int) -> ObjectModel:
    """All clusters of `label` belong to `into`; 0 is the background.

    Raises:
        ValueError: if one of them is not there, or both are the same.
    """
    _check(objects, label)
    if into:
        _check(objects, into)
    if label == into:
        raise ValueError(f"object {label} is itself already; choose another to merge it with")
    object_of = torch.where(objects.object_of == label, into, objects.object_of)
    names = {other: name for other, name in objects.names.items() if other != label}
    colours = {other: colour for other, colour in objects.colours.items() if other != label}
    return objects.edited(object_of, names, colours)


def split(objects: ObjectModel, cluster: int, features: Float[Tensor, "n d"]) -> tuple[ObjectModel, int]:
    """A cluster as an object of its own; one that is all of its object already is cut in two.

    Args:
        objects: The objects.
        cluster: Which cluster.
        features: Semantics of some pixels of all of the scene; those of the cluster tell where it is cut.

    Returns:
        The objects, and the label of the one that came.

    Raises:
        ValueError: if there is no such cluster, or it cannot be cut.
    """
    if not 0 <= cluster < len(objects.object_of):
        raise ValueError(f"there is no cluster {cluster}; click on the picture first")
    label = _next_label(objects)
    object_of = objects.object_of.clone()
    if int((object_of == object_of[cluster]).sum()) > 1:
        object_of[cluster] = label
        return objects.edited(object_of), label
    if len(object_of) >= _MOST_CLUSTERS:
        raise ValueError(f"there are {len(object_of)} clusters already; merge some first")
    members = features[objects.clusters_of(features) == cluster]
    members = F.normalize(members, dim=1) if objects.unit else members
    if len(members) < 2 or len(members.unique(dim=0)) < 2:
        raise ValueError("the cluster is too small to be cut; choose another")
    halves = kmeans(members, 2, KMeansConfig(n_init=3)).centroids.to(objects.prototypes)
    prototypes = torch.cat([objects.prototypes, halves[1:]])
    prototypes[cluster] = halves[0]
    object_of = torch.cat([object_of, object_of.new_tensor([label])])
    return ObjectModel(prototypes, objects.unit, object_of, objects.names, objects.colours), label


def named(objects: ObjectModel, label: int, name: str) -> ObjectModel:
    """An object by another name; no name at all takes it away."""
    _check(objects, label)
    name = " ".join("".join(c if c.isprintable() else " " for c in name).split())[:LONGEST_NAME]
    names = {other: known for other, known in objects.names.items() if other != label}
    return objects.edited(names=names | ({label: name} if name else {}))


def recoloured(objects: ObjectModel, label: int, colour: tuple[int, int, int]) -> ObjectModel:
    """An object in another colour (RGB)."""
    _check(objects, label)
    red, green, blue = (min(max(int(value), 0), 255) for value in colour)
    return objects.edited(colours={**objects.colours, label: (red, green, blue)})


def title(objects: ObjectModel, label: int) -> str:
    """What an object is called in menus: its number, and its name if it has one."""
    return f"{label}: {objects.names.get(label, 'object')}"


def _check(objects: ObjectModel, label: int) -> None:
    if label not in objects.ids:
        raise ValueError(f"there is no object {label}; click on one first")


def _next_label(objects: ObjectModel) -> int:
    free = set(range(1, MOST_OBJECTS + 1)) - set(objects.ids)
    return min(free)
