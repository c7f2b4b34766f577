"""What is in a scene folder, part by part, from the files' headers alone."""

import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from saff_fast import files
from saff_fast.errors import UserError
from saff_fast.scene import layout
from saff_fast.scene.reader import read_frames

SAME_PROPORTIONS = 0.02
"""Share by which the proportions of a prior may differ from those of the pictures."""


@dataclass(frozen=True)
class Part:
    """One line about a scene folder."""

    name: str
    state: str
    """`present`, `missing`, or what is wrong: `incomplete`, `damaged`, `mismatch`."""
    detail: str


def inspect_scene(folder: Path) -> list[Part]:
    """Cameras, pictures and priors of a scene folder, prepared here or published; nothing is raised for what is wrong.

    Sizes are read from the files' headers, so that a damaged body goes unnoticed here.
    """
    try:
        frames = read_frames(folder)
    except UserError as error:
        return [Part("frames", "damaged", str(error))]
    root, names = frames.folder, frames.names
    height, width = frames.size
    near, far = frames.rows[:, 15].min(), frames.rows[:, 16].max()
    camera = "fx, fy, cx, cy from cameras.json" if frames.intrinsics is not None else "one focal length, centred"
    parts = [
        Part("frames", "present", f"{len(names)}, {names[0]} to {names[-1]}"),
        Part("poses", "present", f"{len(frames.rows)} rows, {camera}, depths {near:.3g} to {far:.3g}"),
        _part(layout.IMAGES, frames.images, _picture_size, (height, width)),
    ]
    resized = sorted(path for path in root.glob("images_*x*") if path.is_dir())
    for pictures in resized:
        found = {path.stem: path for path in files.list_files(pictures, *files.IMAGE_SUFFIXES)}
        paths = [found.get(name, pictures / f"{name}.png") for name in names]
        parts.append(_part(pictures.name, paths, _picture_size, (height, width)))
    directions = (("fwd", range(len(names) - 1)), ("bwd", range(1, len(names))))
    flows = [layout.find_flow(root, names[i], i, direction) for direction, indices in directions for i in indices]
    sources: dict[str, tuple[Iterable[Path], Callable[[Path], tuple[int, ...]]]] = {
        layout.FLOW: (flows, lambda path: _npz_shape(path, "flow")[:2]),
        layout.MOTION_MASKS: ((root / layout.MOTION_MASKS / f"{name}.png" for name in names), _picture_size),
        layout.DISPARITY: ((root / layout.DISPARITY / f"{name}.npy" for name in names), _npy_shape),
        layout.CONFIDENCE: ((root / layout.CONFIDENCE / f"{name}.npy" for name in names), _npy_shape),
        layout.SEMANTICS: (
            (root / layout.SEMANTICS / f"{name}.npz" for name in names),
            lambda path: _npz_shape(path, "feature"),
        ),
        layout.SALIENCY: ((root / layout.SALIENCY / f"{name}.npy" for name in names), _npy_shape),
    }
    return parts + [_part(name, list(paths), shape, (height, width)) for name, (paths, shape) in sources.items()]


def _part(name: str, paths: Iterable[Path], shape: Callable[[Path], tuple[int, ...]], size: tuple[int, int]) -> Part:
    """One file a frame, or two, all of one shape and of the proportions of the pictures."""
    paths = list(paths)
    absent = [path for path in paths if not path.is_file()]
    if len(absent) == len(paths):
        return Part(name, "missing", "")
    if absent:
        return Part(name, "incomplete", f"{len(paths) - len(absent)} of {len(paths)}, without {absent[0].name}")
    shapes = {}
    for path in paths:
        try:
            shapes.setdefault(shape(path), path)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return Part(name, "damaged", f"{path.name} does not read")
    (first, path), *others = shapes.items()
    if others:
        return Part(name, "mismatch", f"{path.name} is {_by(first)}, {others[0][1].name} is {_by(others[0][0])}")
    # Features are coarse, so a row may be due to rounding.
    if abs(first[1] * size[0] / size[1] - first[0]) > max(1, SAME_PROPORTIONS * first[0]):
        return Part(name, "mismatch", f"{len(paths)} of {_by(first)}, the pictures are {_by(size)}")
    return Part(name, "present", f"{len(paths)} of {_by(first)}")


def _by(shape: tuple[int, ...]) -> str:
    """Width first, as people say it."""
    return " x ".join(str(n) for n in (shape[1], shape[0], *shape[2:]))


def _picture_size(path: Path) -> tuple[int, ...]:
    with Image.open(path) as image:
        return image.size[::-1]


def _npy_shape(path: Path) -> tuple[int, ...]:
    return np.load(path, mmap_mode="r", allow_pickle=False).shape


def _npz_shape(path: Path, key: str) -> tuple[int, ...]:
    with zipfile.ZipFile(path) as archive, archive.open(f"{key}.npy") as file:
        np.lib.format.read_magic(file)
        return np.lib.format.read_array_header_1_0(file)[0]
