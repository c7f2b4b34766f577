"""The maps of a view as files, under the published names where there are any (method/03, section 1.3)."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Shaped
from numpy import ndarray
from torch import Tensor

from saff_fast.files import atomic_path, save_npy, save_npz, write_image
from saff_fast.playback.modalities import Modality
from saff_fast.playback.renderer import Maps, ShotRenderer
from saff_fast.playback.shot import Shot


def _bytes(values: Tensor) -> ndarray:
    return (values.clamp(0, 1) * 255).round().byte().cpu().numpy()


def _floats(values: Tensor) -> ndarray:
    return values.cpu().numpy()


def _labels(values: Tensor) -> ndarray:
    return values.to(torch.int32).cpu().numpy().astype(np.uint16)


def _save_tensor(path: Path, values: ndarray) -> None:
    with atomic_path(path) as partial:
        torch.save(torch.from_numpy(values), partial)


def _save_flow(path: Path, values: ndarray) -> None:
    save_npz(path, fwd=np.ascontiguousarray(values[..., :2]), bwd=np.ascontiguousarray(values[..., 2:]))


@dataclass(frozen=True)
class MapFile:
    """One file of a view."""

    suffix: str
    """What follows the view's number in the name."""
    maps: tuple[Modality, ...]
    """Which maps are in it."""
    encode: Callable[..., Shaped[ndarray, "rows w ..."]]
    """Some rows of these maps as they are stored."""
    bytes_per_pixel: int
    """0 where it depends on the number of semantic channels, two bytes each."""
    save: Callable[[Path, ndarray], None] = write_image


FILES = (
    MapFile("rgb.png", ("rgb",), _bytes, 3),
    MapFile("depth.png", ("parameter",), _bytes, 1),
    MapFile("depth.npy", ("depth",), _floats, 4, save_npy),
    MapFile("blend.png", ("blend",), _bytes, 1),
    MapFile("sal.png", ("saliency",), _bytes, 1),
    MapFile("opacity.png", ("opacity",), _bytes, 1),
    MapFile("static.png", ("static",), _bytes, 3),
    MapFile("dynamic.png", ("dynamic",), _bytes, 3),
    MapFile("labels.png", ("labels",), _labels, 2),
    MapFile("sceneflow.npy", ("scene_flow",), _floats, 12, save_npy),
    MapFile("dino.pt", ("semantic",), lambda values: values.half().cpu().numpy(), 0, _save_tensor),
    MapFile("flow.npz", ("flow", "flow_bw"), lambda fw, bw: _floats(torch.cat([fw, bw], dim=-1)), 16, _save_flow),
)


def files_of(modalities: Collection[Modality]) -> tuple[MapFile, ...]:
    """The files that hold these maps; flow to both neighbours is one file."""
    return tuple(file for file in FILES if any(name in modalities for name in file.maps))


def write_view(renderer: ShotRenderer, shot: Shot, files: Collection[MapFile], stem: Path) -> None:
    """Render a shot into files `<stem>_<suffix>`, with no more memory than they take."""
    if not files:
        return
    needed = {name for file in files for name in file.maps}
    stored: dict[str, ndarray] = {}
    top = 0
    for band in renderer.bands(shot, needed):
        top += _store(files, band, stored, (top, shot.height))
    for file in files:
        file.save(stem.with_name(f"{stem.name}_{file.suffix}"), stored.pop(file.suffix))


def _store(files: Collection[MapFile], band: Maps, stored: dict[str, ndarray], place: tuple[int, int]) -> int:
    """Put the rows of a band where they belong; says how many there were."""
    top, height = place
    for file in files:
        rows = file.encode(*(band[name] for name in file.maps))
        if file.suffix not in stored:
            stored[file.suffix] = np.empty((height, *rows.shape[1:]), rows.dtype)
        stored[file.suffix][top : top + len(rows)] = rows
    return len(next(iter(band.values())))
