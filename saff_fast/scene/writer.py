"""Writes the parts of a scene folder, each file under a temporary name first; `reader` is the inverse."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8
from numpy import ndarray

from saff_fast import files
from saff_fast.scene import layout
from saff_fast.scene.llff import to_llff


def write_images(folder: Path, names: Sequence[str], images: Iterable[UInt8[ndarray, "height width 3"]]) -> None:
    """Write RGB frames at their original size."""
    for name, image in zip(names, images, strict=True):
        files.write_image(folder / layout.IMAGES / f"{name}.png", image)


def write_training_images(
    folder: Path, names: Sequence[str], images: Iterable[UInt8[ndarray, "height width 3"]], height: int
) -> None:
    """Write RGB frames resized (by area) to the training height."""
    for name, image in zip(names, images, strict=True):
        width = layout.resized_width(image.shape[0], image.shape[1], height)
        resized = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        files.write_image(folder / layout.training_images(height, width) / f"{name}.png", resized)


def write_cameras(
    folder: Path,
    names: Sequence[str],
    c2w: Float[ndarray, "n_frames 3 4"],
    intrinsics: Float[ndarray, " 4"],
    size: tuple[int, int],
    bounds: Float[ndarray, "n_frames 2"],
) -> None:
    """Write `poses_bounds.npy` and `cameras.json`.

    Args:
        folder: The scene folder.
        names: File stem of each frame.
        c2w: Camera to world, OpenCV axes, any world.
        intrinsics: fx, fy, cx, cy in pixels of `images/`, pixel centres at +0.5.
        size: Height and width of `images/`.
        bounds: Near and far depth of each frame, units of `c2w`.
    """
    height, width = size
    files.save_npy(folder / layout.POSES, to_llff(c2w, (height, width, float(intrinsics[0])), bounds))
    camera = {"names": list(names), "intrinsics": [float(v) for v in intrinsics], "width": width, "height": height}
    files.save_json(folder / layout.CAMERAS, camera)


def write_disparity(
    folder: Path, name: str, disparity: Float[ndarray, "height width"], part: str = layout.DISPARITY
) -> None:
    """Write inverse depth at training size."""
    files.save_npy(folder / part / f"{name}.npy", disparity.astype(np.float32))


def write_confidence(folder: Path, name: str, confidence: Float[ndarray, "height width"]) -> None:
    """Write the trust in a frame's disparity, 0 to 1."""
    files.save_npy(folder / layout.CONFIDENCE / f"{name}.npy", confidence.astype(np.float32))


def write_flow(
    folder: Path,
    name: str,
    direction: str,
    flow: Float[ndarray, "height width 2"],
    mask: Bool[ndarray, "height width"],
    interval: int = 1,
) -> None:
    """Write flow (pixels at training size) to a later ("fwd") or earlier ("bwd") frame, and where it holds."""
    path = layout.flow_file(folder, name, direction, interval)
    files.save_npz(path, flow=flow.astype(np.float32), mask=mask.astype(bool))


def write_motion_mask(
    folder: Path, name: str, mask: Float[ndarray, "height width"], part: str = layout.MOTION_MASKS
) -> None:
    """Write evidence of motion, 0 to 1, as 0 to 255; `part` may be that of a first look."""
    files.write_image(folder / part / f"{name}.png", np.rint(mask * 255).astype(np.uint8))


def write_semantics(
    folder: Path,
    name: str,
    feature: Float[ndarray, "feature_height feature_width n_semantic"],
    saliency: Float[ndarray, "feature_height feature_width"] | None = None,
) -> None:
    """Write a frame's PCA features, and the saliency that the network gave with them, if any, as float16."""
    arrays = {"feature": feature} if saliency is None else {"feature": feature, "saliency": saliency}
    path = folder / layout.SEMANTICS / f"{name}.npz"
    files.save_npz(path, **{key: array.astype(np.float16) for key, array in arrays.items()})


def write_saliency(folder: Path, name: str, saliency: Float[ndarray, "feature_height feature_width"]) -> None:
    """Write a frame's saliency, 0 to 1, that is not from the network of its features, as float16."""
    files.save_npy(folder / layout.SALIENCY / f"{name}.npy", saliency.astype(np.float16))


def write_pca(
    folder: Path,
    mean: Float[ndarray, " n_descriptor"],
    components: Float[ndarray, "n_semantic n_descriptor"],
    explained: Float[ndarray, " n_semantic"],
) -> None:
    """Write the projection that made the features: `feature = (descriptor - mean) @ components.T`."""
    files.save_npz(folder / layout.PCA, mean=mean, components=components, explained=explained)
