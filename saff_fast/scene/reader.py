"""Reads a scene folder in the published layout; what is wrong with it is said in one sentence that names the file."""

from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from numpy import ndarray
from torch import Tensor

from saff_fast import files
from saff_fast.errors import UserError
from saff_fast.geometry.cameras import Cameras
from saff_fast.scene import layout
from saff_fast.scene.llff import LlffCameras, WorldTransform, from_llff
from saff_fast.scene.scene import Scene

MIN_FRAMES = 4


@dataclass(frozen=True)
class SceneFrames:
    """What a scene folder says of its frames, checked."""

    folder: Path
    """Where the files are: the folder or, as published, `dense` in it."""
    names: tuple[str, ...]
    """File stem of each frame."""
    images: tuple[Path, ...]
    """The original pictures."""
    rows: Float[ndarray, "n_frames 17"]
    """Those of `poses_bounds.npy`."""
    intrinsics: Float[ndarray, " 4"] | None
    """fx, fy, cx, cy at `size`, if the folder says."""
    size: tuple[int, int]
    """Height and width of the original pictures."""


def read_scene(folder: Path, height: int | None = None) -> Scene:
    """The scene of a folder, in the published world (see `Scene`), at one picture size.

    Args:
        folder: A scene folder.
        height: Picture height in pixels; width follows from the original pictures. By default the size of the folder's
            pictures at training size if there is one such set, else of the original ones.

    Raises:
        UserError: Naming the file that is missing, damaged or does not fit the others.
    """
    frames = read_frames(folder)
    llff = from_llff(frames.rows)
    images = _read_images(frames, height)
    size = images.shape[1:3]
    flows = {d: _read_flows(frames, d, size) for d in ("fwd", "bwd")}
    disparities = _read_maps(frames, layout.DISPARITY, size)
    confidences = _read_maps(frames, layout.CONFIDENCE, size)
    if confidences is None:
        confidences = np.full(images.shape[:3], float(disparities is not None), np.float32)
    semantics, saliencies = _read_semantics(frames, size)
    zeros = np.zeros(images.shape[:3], np.float32)
    motion_masks = _read_motion_masks(frames, size)
    return Scene(
        name=layout.scene_name(folder),
        names=frames.names,
        images=torch.from_numpy(images),
        cameras=_cameras(frames, llff, *size),
        bounds=torch.from_numpy(llff.bounds).float(),
        disparities=torch.from_numpy(zeros if disparities is None else disparities),
        depth_confidences=torch.from_numpy(confidences),
        flows_fw=flows["fwd"][0],
        flows_bw=flows["bwd"][0],
        flow_masks_fw=flows["fwd"][1],
        flow_masks_bw=flows["bwd"][1],
        motion_masks=torch.from_numpy(zeros if motion_masks is None else motion_masks),
        semantics=semantics,
        saliencies=saliencies,
    )


def read_world_transform(folder: Path) -> WorldTransform:
    """How lengths and points of a folder's `poses_bounds.npy` become those of its `Scene`."""
    return from_llff(_read_poses(layout.scene_root(folder))).transform


def read_published_cameras(folder: Path, height: int) -> Cameras:
    """The cameras that SAFF sees, from `poses_bounds.npy` alone: its focal length, the principal point in the middle.

    Its pixels are looked through at integers about (W/2, H/2), which is a principal point half a pixel further here.
    """
    frames = replace(read_frames(folder), intrinsics=None)
    return _cameras(frames, from_llff(frames.rows), height, layout.resized_width(*frames.size, height))


def n_semantic_channels(folder: Path) -> int | None:
    """Channels of a scene folder's semantic features; None where it has none."""
    frames = read_frames(folder)
    path = frames.folder / layout.SEMANTICS / f"{frames.names[0]}.npz"
    return int(files.read_npz(path, "feature")["feature"].shape[-1]) if path.parent.is_dir() else None


def read_motion_masks(folder: Path, size: tuple[int, int]) -> Float[ndarray, "n_frames height width"] | None:
    """Evidence of motion of every frame of a scene folder, 0 to 1, at `size`; None where the folder has none."""
    return _read_motion_masks(read_frames(folder), size)


def read_frames(folder: Path) -> SceneFrames:
    """Names, pictures and cameras of a scene folder, without its priors.

    Raises:
        UserError: Naming the file that is missing, damaged or does not fit the others.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} must be a scene folder, but there is no such folder; run `saff-fast prepare` first.")
    folder = layout.scene_root(folder)
    rows = _read_poses(folder)
    names, intrinsics, size = _read_camera_file(folder)
    images = _folder_files(folder, layout.IMAGES, files.IMAGE_SUFFIXES)
    if names is None:
        names = tuple(sorted(images))
    if len(names) != len(rows):
        raise UserError(
            f"{folder / layout.POSES} must have one row a frame, but it has {len(rows)} for {len(names)} frames; "
            "run `saff-fast prepare` again."
        )
    for name in names:
        if name not in images:
            raise UserError(f"{folder / layout.IMAGES / name}.png must exist, but there is no such file.")
    if size is None:
        size = files.read_image(images[names[0]]).shape[:2]
    return SceneFrames(folder, names, tuple(images[name] for name in names), rows, intrinsics, size)


def _read_poses(folder: Path) -> Float[ndarray, "n_frames 17"]:
    path = folder / layout.POSES
    rows = files.read_npy(path)
    if rows.ndim != 2 or rows.shape[1] != 17:
        raise UserError(
            f"{path} must be an N x 17 array, but its shape is {rows.shape}; run `saff-fast prepare` again."
        )
    if len(rows) < MIN_FRAMES:
        raise UserError(f"{path} must hold at least {MIN_FRAMES} frames, but it holds {len(rows)}; add frames.")
    bad = ~np.isfinite(rows).all(-1)
    if bad.any():
        raise UserError(f"{path} must be finite, but row {int(bad.argmax())} is not; run `saff-fast prepare` again.")
    if (rows[:, 15] <= 0).any() or (rows[:, 16] <= rows[:, 15]).any() or (rows[:, [4, 9, 14]] <= 0).any():
        raise UserError(
            f"{path} must hold sizes above 0 and 0 < near < far, but a row does not; run `saff-fast prepare`."
        )
    return rows.astype(np.float64)


def _read_camera_file(
    folder: Path,
) -> tuple[tuple[str, ...] | None, Float[ndarray, " 4"] | None, tuple[int, int] | None]:
    """Names, intrinsics and size, or nothing where the folder has no such file."""
    path = folder / layout.CAMERAS
    if not path.exists():
        return None, None, None
    value = files.read_json(path)
    try:
        names = tuple(str(name) for name in value["names"])
        intrinsics = np.array(value["intrinsics"], np.float64).reshape(4)
        size = int(value["height"]), int(value["width"])
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{path} must hold names, intrinsics (fx, fy, cx, cy), width and height, but it does not; "
            "run `saff-fast prepare` again."
        ) from error
    if not np.isfinite(intrinsics).all() or (intrinsics[:2] <= 0).any() or min(size) <= 0:
        raise UserError(f"{path} must hold positive finite numbers, but it does not; run `saff-fast prepare` again.")
    return names, intrinsics, size


def _folder_files(folder: Path, part: str, suffixes: tuple[str, ...]) -> dict[str, Path]:
    """Files of a part of the scene by stem."""
    if not (folder / part).is_dir():
        raise UserError(f"{folder / part} must be a folder, but there is none; run `saff-fast prepare` first.")
    return {path.stem: path for path in files.list_files(folder / part, *suffixes)}


def _cameras(frames: SceneFrames, llff: LlffCameras, height: int, width: int) -> Cameras:
    if frames.intrinsics is None:
        # Published rays pass through integer pixels about (W/2, H/2); a centre at +0.5 shifts the middle by as much.
        focal = llff.focal * height / llff.height
        intrinsics = np.array([focal, focal, width / 2 + 0.5, height / 2 + 0.5])
    else:
        sy, sx = height / frames.size[0], width / frames.size[1]
        intrinsics = frames.intrinsics * (sx, sy, sx, sy)
    rows = np.broadcast_to(intrinsics, (len(frames.names), 4)).astype(np.float32)
    c2w = torch.from_numpy(llff.c2w.astype(np.float32))
    return Cameras(c2w, torch.from_numpy(rows.copy()), height, width)


def _read_images(frames: SceneFrames, height: int | None) -> UInt8[ndarray, "n_frames height width 3"]:
    """Pictures at training size where the folder has them, else the original ones resized by area."""
    if height is None:
        resized = [p for p in frames.folder.glob("images_*x*") if p.is_dir()]
        part = resized[0].name if len(resized) == 1 else layout.IMAGES
        images = _folder_files(frames.folder, part, files.IMAGE_SUFFIXES)
        size = None
    else:
        size = height, layout.resized_width(*frames.size, height)
        part = layout.training_images(*size)
        if not (frames.folder / part).is_dir():
            part = layout.IMAGES
        images = _folder_files(frames.folder, part, files.IMAGE_SUFFIXES)
    pictures = []
    for name in frames.names:
        path = images.get(name, frames.folder / part / f"{name}.png")
        picture = files.read_image(path)
        if part == layout.IMAGES:
            _check_size(path, picture, frames.size)
        pictures.append(picture if size is None else _resize(picture, size, cv2.INTER_AREA))
        _check_size(path, pictures[-1], pictures[0].shape[:2])
    return np.stack(pictures)


def _check_size(path: Path, array: ndarray, size: tuple[int, ...]) -> None:
    if array.shape[:2] != tuple(size):
        raise UserError(
            f"{path} must be {size[1]} x {size[0]} pixels as the other frames are, but it is "
            f"{array.shape[1]} x {array.shape[0]}; make it again."
        )


def _resize(array: ndarray, size: tuple[int, ...], interpolation: int) -> ndarray:
    if array.shape[:2] == tuple(size):
        return array
    return cv2.resize(array, (size[1], size[0]), interpolation=interpolation)


def read_flow(
    path: Path, size: tuple[int, ...]
) -> tuple[Float[ndarray, "height width 2"], Bool[ndarray, "height width"]]:
    """One file of optical flow and its validity, resized to `size`, the vectors in its pixels.

    Raises:
        UserError: The file does not hold what it should.
    """
    arrays = files.read_npz(path, "flow", "mask")
    flow, mask = arrays["flow"].astype(np.float32), arrays["mask"]
    if flow.ndim != 3 or flow.shape[2] != 2 or mask.shape != flow.shape[:2]:
        raise UserError(f"{path} must hold flow (h, w, 2) and mask (h, w), but shapes are {flow.shape}, {mask.shape}.")
    _check_finite(path, flow)
    scale = np.array([size[1] / flow.shape[1], size[0] / flow.shape[0]], np.float32)
    resized = _resize(mask.astype(np.uint8), size, cv2.INTER_NEAREST)
    return _resize(flow, size, cv2.INTER_LINEAR) * scale, resized > 0


def _read_flows(frames: SceneFrames, direction: str, size: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Flow and validity of all frames in one direction; zeros for the frame without that neighbour, and for all where
    the folder has none."""
    flows = np.zeros((len(frames.names), *size, 2), np.float32)
    masks = np.zeros((len(frames.names), *size), bool)
    if not (frames.folder / layout.FLOW).is_dir():
        return torch.from_numpy(flows), torch.from_numpy(masks)
    for index, name in enumerate(frames.names):
        if index == (len(frames.names) - 1 if direction == "fwd" else 0):
            continue
        path = layout.find_flow(frames.folder, name, index, direction)
        flows[index], masks[index] = read_flow(path, size)
    return torch.from_numpy(flows), torch.from_numpy(masks)


def _read_maps(frames: SceneFrames, part: str, size: tuple[int, ...]) -> Float[ndarray, "n_frames height width"] | None:
    """One array a frame, or nothing where the folder has no such part."""
    if not (frames.folder / part).is_dir():
        return None
    maps = []
    for name in frames.names:
        path = frames.folder / part / f"{name}.npy"
        array = files.read_npy(path).astype(np.float32)
        if array.ndim != 2:
            raise UserError(f"{path} must be a height x width array, but its shape is {array.shape}; make it again.")
        _check_finite(path, array)
        maps.append(_resize(array, size, cv2.INTER_LINEAR))
    return np.stack(maps)


def _read_motion_masks(frames: SceneFrames, size: tuple[int, ...]) -> Float[ndarray, "n_frames height width"] | None:
    if not (frames.folder / layout.MOTION_MASKS).is_dir():
        return None
    masks = [files.read_labels(frames.folder / layout.MOTION_MASKS / f"{name}.png") for name in frames.names]
    return np.stack([_resize(mask, size, cv2.INTER_NEAREST) for mask in masks]).astype(np.float32) / 255


def _read_semantics(frames: SceneFrames, size: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Features and saliency at their own size; no channels, and no saliency, where the folder has none.

    A network's own saliency lies beside its features, any other in a folder of its own.
    """
    n_frames = len(frames.names)
    if not (frames.folder / layout.SEMANTICS).is_dir():
        shape = (n_frames, *size)
        return torch.zeros(*shape, 0, dtype=torch.float16), torch.zeros(shape, dtype=torch.float16)
    features: list[ndarray] = []
    saliencies: list[ndarray] = []
    for name in frames.names:
        path = frames.folder / layout.SEMANTICS / f"{name}.npz"
        if (frames.folder / layout.SALIENCY).is_dir():
            feature = files.read_npz(path, "feature")["feature"].astype(np.float16)
            saliency = files.read_npy(frames.folder / layout.SALIENCY / f"{name}.npy").astype(np.float16)
        else:
            feature, saliency = (a.astype(np.float16) for a in files.read_npz(path, "feature", "saliency").values())
        expected = features[0].shape if features else feature.shape
        if feature.ndim != 3 or feature.shape != expected or saliency.shape != feature.shape[:2]:
            raise UserError(
                f"{path} must hold feature (h, w, n) and saliency (h, w) of one size in all frames, but shapes are "
                f"{feature.shape}, {saliency.shape}; make it again."
            )
        _check_finite(path, feature)
        _check_finite(path, saliency)
        features.append(feature)
        saliencies.append(saliency)
    return torch.from_numpy(np.stack(features)), torch.from_numpy(np.stack(saliencies))


def _check_finite(path: Path, array: ndarray) -> None:
    if not np.isfinite(array).all():
        raise UserError(f"{path} must be finite, but it holds NaN or infinity; make it again.")
