"""Whatever truth a scene folder or a folder of masks has."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int, Shaped, UInt8
from numpy import ndarray

from saff_fast.errors import UserError
from saff_fast.evaluate.protocol import mask_file_names, rig_camera
from saff_fast.files import list_files, read_image, read_labels, read_npy, read_npz
from saff_fast.segment.renders import View


def resize_nearest(
    array: Shaped[ndarray, "height width *channels"], height: int, width: int
) -> Shaped[ndarray, "new_height new_width *channels"]:
    """The array at another size; each pixel takes the value at its centre."""
    rows = ((np.arange(height) + 0.5) * array.shape[0] / height).astype(np.int64)
    columns = ((np.arange(width) + 0.5) * array.shape[1] / width).astype(np.int64)
    return array[rows[:, None], columns]


@dataclass(frozen=True)
class SceneTruth:
    """Truth in a scene folder, by view; every method gives None where the folder has none.

    `mv_images`, `mv_masks` and `gt_masks` are the published folders. `truth/` holds exact depth, flow and motion where
    a scene has them.
    """

    scene: Path
    height: int
    """Size in which pictures, depth, flow and motion are given."""
    width: int

    def picture(self, view: View) -> UInt8[ndarray, "height width 3"] | None:
        """What the rig camera at the view's pose saw at its time, reduced by area averaging."""
        path = self._rig_file("mv_images", view, "jpg")
        if path is None:
            return None
        image = read_image(path)
        if image.shape[:2] == (self.height, self.width):
            return image
        return cv2.resize(image, (self.width, self.height), interpolation=cv2.INTER_AREA)

    def moving(self, view: View) -> Bool[ndarray, "height width"] | None:
        """Pixels of truly moving things: `truth/motion`, or else the rig's dynamic masks."""
        path = self.scene / "truth" / "motion" / f"{view.id:05d}.png"
        found = path if path.is_file() else self._rig_file("mv_masks", view, "png")
        return None if found is None else self._resized(read_labels(found)) > 0

    def labels(self, view: View) -> Int[ndarray, "truth_height truth_width"] | None:
        """Object masks at their own size, 0 = background."""
        for name in mask_file_names(view):
            path = self.scene / "gt_masks" / name
            if path.is_file():
                return read_labels(path).astype(np.int64)
        return None

    def depth(self, view: View) -> Float[ndarray, "height width"] | None:
        """Depth along camera z, in units of the poses file."""
        path = self.scene / "truth" / "depth" / f"{view.id:05d}.npy"
        return self._resized(read_npy(path)) if path.is_file() else None

    def flow(
        self, view: View, key: str
    ) -> tuple[Float[ndarray, "height width 2"], Bool[ndarray, "height width"]] | None:
        """Optical flow in pixels of this size and where its target is hidden; `key` is `fwd` or `bwd`."""
        path = self.scene / "truth" / "flow" / f"{view.id:05d}_{key}.npz"
        if not path.is_file():
            return None
        arrays = read_npz(path, "flow", "occlusion")
        height, width = arrays["flow"].shape[:2]
        scale = np.array([self.width / width, self.height / height])
        return self._resized(arrays["flow"]) * scale, self._resized(arrays["occlusion"]) > 0.5

    def _resized(self, array: ndarray) -> ndarray:
        return resize_nearest(array, self.height, self.width)

    def _rig_file(self, folder: str, view: View, suffix: str) -> Path | None:
        if view.time != int(view.time):
            return None
        path = self.scene / folder / f"{int(view.time):05d}" / f"cam{rig_camera(view):02d}.{suffix}"
        return path if path.is_file() else None


@dataclass(frozen=True)
class TruthMask:
    """One true label map of an input frame."""

    frame: int
    labels: Int[ndarray, "truth_height truth_width"]
    """Objects, 0 = background."""
    scored: Bool[ndarray, "truth_height truth_width"]


def read_truth_masks(
    folder: Path, names: tuple[str, ...], foreground_labels: tuple[int, ...] | None = None
) -> list[TruthMask]:
    """Integer label maps of input frames; pixels that are 255 in `ignore/` are not scored.

    Args:
        folder: Label maps named by frame stem, for any of the frames.
        names: Stems of the scene's frames.
        foreground_labels: Labels that count as objects; others become background. None: all above 0.

    Raises:
        UserError: if there is no such folder, no map in it, a map of no frame, or an `ignore` map of another size.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} must be a folder of label maps, but there is no such folder.")
    masks = []
    for path in list_files(folder, ".png"):
        if path.stem not in names:
            raise UserError(f"{path} must be named as a frame of the scene ({names[0]} to {names[-1]}); rename it.")
        labels = read_labels(path).astype(np.int64)
        if foreground_labels is not None:
            labels = np.where(np.isin(labels, foreground_labels), labels, 0)
        ignore_path = folder / "ignore" / path.name
        ignored = read_labels(ignore_path) == 255 if ignore_path.is_file() else np.zeros(labels.shape, bool)
        if ignored.shape != labels.shape:
            raise UserError(f"{ignore_path} must have the size of {path}, {labels.shape}, got {ignored.shape}.")
        masks.append(TruthMask(names.index(path.stem), labels, ~ignored))
    if not masks:
        raise UserError(f"{folder} must hold label maps (PNG), but it has none.")
    return masks
