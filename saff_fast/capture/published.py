"""Scene folders in the published layout: pictures and cameras are taken over, and so is each prior that is complete."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from saff_fast.capture import colmap
from saff_fast.capture.cameras import KnownCameras
from saff_fast.capture.lens import Lens
from saff_fast.capture.listing import Listing
from saff_fast.files import atomic_path, read_json, save_json, save_npy
from saff_fast.priors.known_poses import SparsePoints, sparse_points
from saff_fast.scene import layout
from saff_fast.scene.llff import opencv_poses
from saff_fast.scene.reader import SceneFrames, read_frames

SUFFIXES = {
    layout.MOTION_MASKS: ".png",
    layout.DISPARITY: ".npy",
    layout.CONFIDENCE: ".npy",
    layout.SEMANTICS: ".npz",
    layout.SALIENCY: ".npy",
}
"""Parts with one file a frame; optical flow has two."""

PARTS = (*SUFFIXES, layout.FLOW)


def list_scene(source: Path) -> Listing:
    """The frames of a scene folder, with the points of the COLMAP model in it if there is one.

    Without a `cameras.json` the published camera is taken: one focal length, the centre in the middle.
    """
    scene = read_frames(source)
    height, width = scene.size
    if scene.intrinsics is None:
        focal = float(scene.rows[0, 14]) * height / float(scene.rows[0, 4])
        lens = Lens(focal, focal, width / 2, height / 2)
    else:
        lens = Lens(*(float(value) for value in scene.intrinsics))
    lenses = (lens,) * len(scene.names)
    cameras = KnownCameras(opencv_poses(scene.rows), lenses, width, height, _points(scene))
    cameras_files = (scene.folder / name for name in (layout.POSES, layout.CAMERAS))
    others = tuple(path for path in cameras_files if path.is_file())
    return Listing(source, list(scene.images), cameras, others, scene)


def _points(scene: SceneFrames) -> SparsePoints | None:
    model = colmap.find_model(scene.folder)
    if model is None or find_spec("pycolmap") is None:
        return None
    found, names = colmap.read_model(model), [path.name for path in scene.images]
    known = {image.name for image in found.images.values()}
    return sparse_points(found, names) if known.issuperset(names) else None


@dataclass(frozen=True)
class GivenPriors:
    """The priors of a scene folder, for the frames chosen of it."""

    scene: SceneFrames
    chosen: tuple[int, ...]
    """Indices of the chosen frames in the scene."""

    def copy_cameras(self, folder: Path) -> None:
        """Write the chosen rows of `poses_bounds.npy`, and `cameras.json` if there is one, frames numbered anew."""
        save_npy(folder / layout.POSES, self.scene.rows[list(self.chosen)])
        path = self.scene.folder / layout.CAMERAS
        if path.exists():
            names = [f"{frame:05d}" for frame in range(len(self.chosen))]
            save_json(folder / layout.CAMERAS, read_json(path) | {"names": names})

    def files(self, part: str) -> list[Path]:
        """Files of a part (one of `PARTS`) that are there."""
        return [source for source, _ in self._pairs(part) if source.is_file()]

    def copy(self, part: str, folder: Path) -> bool:
        """Copy a part (one of `PARTS`) to the scene folder `folder`, its frames numbered anew.

        Returns:
            Whether the part is there now: nothing is copied when it lacks a file, or when it is optical flow and the
            chosen frames are no longer neighbours.
        """
        pairs = self._pairs(part)
        if not pairs or not all(source.is_file() for source, _ in pairs):
            return False
        for source, target in pairs:
            with atomic_path(folder / target) as temporary:
                shutil.copyfile(source, temporary)
        return True

    def _pairs(self, part: str) -> list[tuple[Path, Path]]:
        return list(self._flows() if part == layout.FLOW else self._files(part))

    def _files(self, part: str) -> Iterator[tuple[Path, Path]]:
        """Each file of a part, and its place in another scene folder."""
        for frame, index in enumerate(self.chosen):
            name = f"{self.scene.names[index]}{SUFFIXES[part]}"
            yield self.scene.folder / part / name, Path(part) / f"{frame:05d}{SUFFIXES[part]}"
        if part == layout.SEMANTICS:
            yield self.scene.folder / layout.PCA, Path(layout.PCA)

    def _flows(self) -> Iterator[tuple[Path, Path]]:
        last = len(self.chosen) - 1
        if (np.diff(self.chosen) != 1).any():
            return
        for frame, index in enumerate(self.chosen):
            for direction, is_end in (("fwd", frame == last), ("bwd", frame == 0)):
                if not is_end:
                    found = layout.find_flow(self.scene.folder, self.scene.names[index], index, direction)
                    yield found, layout.flow_file(Path(), f"{frame:05d}", direction)
