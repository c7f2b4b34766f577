"""What `saff-fast prepare` is pointed at: recognised by what is there, opened as frames, with cameras or without."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from saff_fast.capture import colmap, nerfies, published, transforms
from saff_fast.capture.cameras import KnownCameras
from saff_fast.capture.frames import Frames, picture_frames
from saff_fast.capture.lens import undistortion
from saff_fast.capture.listing import Listing
from saff_fast.capture.pictures import list_pictures
from saff_fast.capture.published import GivenPriors
from saff_fast.capture.selection import Selection
from saff_fast.capture.video import video_frames
from saff_fast.errors import UserError
from saff_fast.priors.known_poses import SparsePoints
from saff_fast.scene import layout


@dataclass(frozen=True)
class PinholeCameras:
    """Cameras of the frames as they are given out: one pinhole, whatever lenses took them."""

    c2w: Float[np.ndarray, "n_frames 3 4"]
    """Camera to world, OpenCV axes, in any world and any unit of length."""
    intrinsics: Float[np.ndarray, " 4"]
    """fx, fy, cx, cy in pixels, pixel centres at +0.5."""
    width: int
    height: int
    points: SparsePoints | None
    """Points that came with the cameras."""


@dataclass(frozen=True)
class Capture:
    """Frames in the order of time and what is known of them."""

    source: Path
    """What the user passed."""
    selection: Selection
    kind: str
    """In words, for the report."""
    files: tuple[Path, ...]
    """All that its contents depend on."""
    open: Callable[[], Frames]
    """The frames, free of distortion if there are cameras."""
    cameras: PinholeCameras | None = None
    priors: GivenPriors | None = None
    """Cameras and priors of a scene folder, which are kept."""


def find_capture(source: Path, selection: Selection) -> Capture:
    """What is at a path, at the frames chosen of it; a video is not decoded before it is opened.

    Raises:
        UserError: Nothing there that can be used, or a range that does not suit it.
    """
    if not source.exists():
        raise UserError(
            f"{source} must be a video, a folder of images or a capture with cameras, but there is no such path."
        )
    if source.is_file() and source.suffix.lower() != ".json":
        return Capture(source, selection, "video", (source,), lambda: video_frames(source, selection))
    kind, listing = _list(source)
    chosen = selection.of_pictures(len(listing.pictures), source)
    pictures = [listing.pictures[i] for i in chosen]
    files = (*pictures, *listing.others)
    priors = listing.scene and GivenPriors(listing.scene, tuple(chosen))
    if listing.cameras is None:
        return Capture(source, selection, kind, files, lambda: picture_frames(pictures))
    frames, cameras = _undistorted(listing, pictures, listing.cameras.of(chosen))
    return Capture(source, selection, kind, files, lambda: frames, cameras, priors)


def _list(source: Path) -> tuple[str, Listing]:
    """What is in a folder or a JSON file; the richest description wins where there are several."""
    if source.is_file():
        return "transforms.json", transforms.list_transforms(source)
    if nerfies.is_capture(source):
        return "Nerfies capture", nerfies.list_capture(source)
    if (layout.scene_root(source) / layout.POSES).exists():
        return "scene folder", published.list_scene(source)
    if (source / transforms.FILE).exists():
        return "transforms.json", transforms.list_transforms(source / transforms.FILE)
    model = colmap.find_model(source)
    if model is not None:
        return "COLMAP model", colmap.list_model(source, model)
    return "images", Listing(source, list_pictures(source))


def _undistorted(listing: Listing, pictures: list[Path], cameras: KnownCameras) -> tuple[Frames, PinholeCameras]:
    """The frames and the one camera that all of them are taken with."""
    raw = picture_frames(pictures, oriented=False)
    height, width = raw[0].shape[:2]
    if abs(width * cameras.height / height - cameras.width) > max(1, 0.01 * cameras.width):
        raise UserError(
            f"{pictures[0]} must have the proportions of its camera, {cameras.width} x {cameras.height} pixels, "
            f"but it is {width} x {height}; use the pictures that the cameras were made for."
        )
    _check(listing.source, raw.names, cameras)
    cameras = cameras.resized(height, width)
    undistort = undistortion(cameras.lenses, raw.names, height, width)
    frames = Frames(raw.names, lambda index: undistort(index, raw[index]), listing.notes)
    return frames, PinholeCameras(cameras.c2w, undistort.intrinsics, width, height, cameras.points)


def _check(source: Path, names: tuple[str, ...], cameras: KnownCameras) -> None:
    """Refuses poses that are none, naming the frame."""
    for name, c2w, lens in zip(names, cameras.c2w, cameras.lenses, strict=True):
        if not _is_pose(c2w):
            raise UserError(f"{source} must hold a rotation and a position for {name}, but does not; export it again.")
        if not min(lens.fx, lens.fy) > 0:
            raise UserError(f"{source} must hold focal lengths above 0, but that of {name} is {lens.fx:g}.")
    if np.ptp(cameras.c2w[:, :, 3], axis=0).max() == 0:
        raise UserError(f"{source} must hold cameras that move, but all are at one place; film with some motion.")


def _is_pose(c2w: Float[np.ndarray, "3 4"]) -> bool:
    axes = c2w[:, :3]
    return bool(np.isfinite(c2w).all() and np.allclose(axes.T @ axes, np.eye(3), atol=1e-2) and np.linalg.det(axes) > 0)
