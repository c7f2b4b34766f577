"""Whatever truth a scene folder or a folder of masks has."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int, Shaped, UInt8
from numpy import ndarray

from saff_fast.errors import UserError
from saff_fast.evaluate.rig import mask_file_names, rig_camera
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
        path = self._of_view("mv_images", view, "jpg")
        if path is None:
            return None
        image = read_image(path)
        if image.shape[:2] == (self.height, self.width):
            return image
        return cv2.resize(image, (self.width, self.height), interpolation=cv2.INTER_AREA)

    def moving(self, view: View) -> Bool[ndarray, "height width"] | None:
        """Pixels of truly moving things: `truth/motion`, or else the rig's dynamic masks."""
        path = self.scene / "truth" / "motion" / f"{view.id:05d}.png"
        return self._resized(read_labels(path)) > 0 if path.is_file() else self.rig_moving(view)

    def rig_moving(self, view: View) -> Bool[ndarray, "height width"] | None:
        """The rig's dynamic mask of the camera at the view's pose at its time."""
        path = self._of_view("mv_masks", view, "png")
        return None if path is None else self._resized(read_labels(path)) > 0

    def labels(self, view: View) -> Int[ndarray, "truth_height truth_width"] | None:
        """Object masks at their own size, 0 = background."""
        for name in mask_file_names(view):
            path = self.scene / "gt_masks" / name
            if path.is_file():
                return read_true_labels(path)
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

    def _of_view(self, folder: str, view: View, suffix: str) -> Path | None:
        return None if view.time != int(view.time) else self.rig_file(folder, view.pose, int(view.time), suffix)

    def rig_file(self, folder: str, pose: int, time: int, suffix: str) -> Path | None:
        """File of the rig camera at `pose` at a time, if there is one."""
        path = self.scene / folder / f"{time:05d}" / f"cam{rig_camera(pose):02d}.{suffix}"
        return path if path.is_file() else None


@dataclass(frozen=True)
class ViewMask:
    """One true label map."""

    view: View
    labels: Int[ndarray, "truth_height truth_width"]
    """Objects, 0 = background."""
    scored: Bool[ndarray, "truth_height truth_width"]


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
    """Integer label maps of input frames, as `read_view_masks` reads them."""
    views = {f"{name}.png": View(k, "input", k, k) for k, name in enumerate(names)}
    masks = read_view_masks(folder, views, foreground_labels)
    return [TruthMask(mask.view.pose, mask.labels, mask.scored) for mask in masks]


def mask_names(views: tuple[View, ...], names: tuple[str, ...]) -> dict[str, View]:
    """File names that true label maps may have; those of the frames are the strongest claim.

    Args:
        views: All views.
        names: Stems of the scene's frames.
    """
    known = {name: view for view in views for name in mask_file_names(view)}
    frames = {view.pose: view for view in views if view.split == "input"}
    return known | {f"{name}.png": frames[k] for k, name in enumerate(names) if k in frames}


def read_view_masks(
    folder: Path,
    views: dict[str, View],
    foreground_labels: tuple[int, ...] | None = None,
    relabel: Mapping[int, int] = MappingProxyType({}),
) -> list[ViewMask]:
    """Integer label maps; pixels that are 255 in `ignore/` are not scored.

    Args:
        folder: Label maps, of any of the views.
        views: Views by the name of their file.
        foreground_labels: Labels that count as objects; others become background. None: all above 0.
        relabel: Labels that count as another one, such as a part as its whole; 0 is background.

    Raises:
        UserError: if there is no such folder, no map in it, a map of no view, colours in place of labels, or an
            `ignore` map of another size.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} must be a folder of label maps, but there is no such folder.")
    masks = []
    for path in list_files(folder, ".png"):
        if path.name not in views:
            stems = [Path(name).stem for name, view in views.items() if view.split == "input"]
            raise UserError(f"{path} must be named as a frame of the scene ({stems[0]} to {stems[-1]}); rename it.")
        true = labels = read_true_labels(path)
        for old, new in relabel.items():
            labels = np.where(true == old, new, labels)
        if foreground_labels is not None:
            labels = np.where(np.isin(labels, foreground_labels), labels, 0)
        ignore_path = folder / "ignore" / path.name
        ignored = read_labels(ignore_path) == 255 if ignore_path.is_file() else np.zeros(labels.shape, bool)
        if ignored.shape != labels.shape:
            raise UserError(f"{ignore_path} must have the size of {path}, {labels.shape}, got {ignored.shape}.")
        masks.append(ViewMask(views[path.name], labels, ~ignored))
    if not masks:
        raise UserError(f"{folder} must hold label maps (PNG), but it has none.")
    return masks


def read_true_labels(path: Path) -> Int[ndarray, "height width"]:
    """One channel of integers; a colour picture, whose grey levels would pass for labels, is refused."""
    picture = read_image(path, oriented=False)
    if not (picture == picture[..., :1]).all():
        raise UserError(
            f"{path} must be one channel of integer labels, 0 = background, but is a colour picture; convert its "
            "colours to numbers."
        )
    return read_labels(path).astype(np.int64)
