"""Camera poses and sparse points by structure from motion (COLMAP, Schoenberger and Frahm, CVPR 2016)."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8

from saff_fast.errors import UserError
from saff_fast.files import write_image
from saff_fast.geometry.cameras import Cameras
from saff_fast.priors.rigid import RigidResidual
from saff_fast.priors.structure_from_motion import EFFORTS, MIN_FEATURES, PairwiseMatches, is_good, rank, refine

MASK_HEIGHT = 48
"""Rows at which movers are looked for between the passes; they are masked with a margin of as coarse a pixel."""
MOVING_RESIDUAL = 12.0
"""Colour difference, of 255, from which on features are left out of the second pass."""
TURNING_SHARE = 0.7
"""Share of the pairs of frames that one homography explains from which on the camera seems only to turn."""
PINHOLE_TOLERANCE = 0.1
"""Pixels by which the mean reprojection error may rise for pictures to be taken as free of distortion."""
PINHOLE_LOSS = 0.02
"""Share of the observations that may be lost by it."""


@dataclass(frozen=True)
class Reconstruction:
    """Cameras and points of one video, in the reconstruction's own arbitrary units."""

    c2w: Float[np.ndarray, "n_frames 3 4"]
    """Camera to world, OpenCV axes, in the order of the frames."""
    intrinsics: Float[np.ndarray, " 4"]
    """fx, fy, cx, cy of the undistorted camera that all frames share, pixel centres at +0.5."""
    width: int
    height: int
    distorted_intrinsics: Float[np.ndarray, " 4"]
    """Those of the pictures as they are."""
    distortion: float
    """Radial coefficient k1 of the pictures as they are; 0 where they need no undistortion."""
    points: Float[np.ndarray, "n_points 3"]
    visible: Bool[np.ndarray, "n_frames n_points"]
    """Whether the point was matched in the frame."""
    reprojection_error: float
    """Mean, in pixels."""

    def bounds(self) -> Float[np.ndarray, "n_frames 2"]:
        """Near and far of each frame: 5th and 95th percentile of the depths of its points, as published."""
        depths = self.depths()
        return np.array([np.percentile(d[v], [5, 95]) for d, v in zip(depths, self.visible, strict=True)])

    def inverse_depths(self) -> tuple[float, float]:
        """Least and largest inverse depth at which surfaces are looked for: what the points say, with a margin."""
        bounds = self.bounds()
        return 0.3 / float(bounds[:, 1].max()), 1.4 / float(bounds[:, 0].min())

    def cameras(self) -> Cameras:
        """The undistorted cameras, one a frame."""
        intrinsics = torch.from_numpy(np.tile(self.intrinsics, (len(self.c2w), 1)))
        return Cameras(torch.from_numpy(self.c2w), intrinsics, self.height, self.width)

    def depths(self) -> Float[np.ndarray, "n_frames n_points"]:
        """Depth of every point along every camera's z."""
        return np.einsum("nj,npj->np", self.c2w[:, :, 2], self.points[None] - self.c2w[:, None, :, 3])


def reconstruct(images: Sequence[UInt8[np.ndarray, "h w 3"]], names: Sequence[str], seed: int = 0) -> Reconstruction:
    """Structure from motion over all frames with one shared camera, in two passes.

    The first pass tries harder and harder until all frames register with less than a pixel of error, or else keeps the
    attempt with the most frames, points and the least error, in this order. Its cameras tell what moves
    (`RigidResidual`); the second pass maps once more without the matches of that, and counts unless it loses frames.

    Args:
        images: Frames of one size, at least four.
        names: What each frame is called in messages; frames are matched by name, never by position.
        seed: Seeds COLMAP's random sampling. Matching and mapping run on as many threads as there are; what the
            reconstruction depends on is sampled by the seed, not by the order in which threads finish.

    Raises:
        UserError: Not all frames register; the message says what is known of the reason.
    """
    files = [f"{i:05d}.png" for i in range(len(images))]
    with tempfile.TemporaryDirectory(prefix="saff-fast-") as folder:
        for file, image in zip(files, images, strict=True):
            write_image(Path(folder) / "images" / file, image)
        first = _first_pass(Path(folder), files, names, seed)
        found = _read(_refined(first.model), files)
        first.matches.drop(_moving_parts(images, found))
        again = first.map(first.matches)
        if not is_good(again, len(files)):
            return found
        return _read(_refined(again), files)


@dataclass(frozen=True)
class _Pass:
    """A model with the matches it is made of and the mapper that made it."""

    matches: PairwiseMatches
    map: Callable[[PairwiseMatches], Any]
    model: Any
    """pycolmap's Reconstruction."""


def _first_pass(folder: Path, files: Sequence[str], names: Sequence[str], seed: int) -> _Pass:
    """The best attempt over all efforts and mappers, which ends at the first good one."""
    attempts = []
    for effort in EFFORTS:
        matches = PairwiseMatches(folder, files, effort, seed)
        for mapper in (PairwiseMatches.map_incrementally, PairwiseMatches.map_globally):
            attempts.append(_Pass(matches, mapper, mapper(matches)))
            if is_good(attempts[-1].model, len(files)):
                return attempts[-1]
    best = max(attempts, key=lambda attempt: rank(attempt.model))
    registered = {image.name for image in best.model.images.values() if image.has_pose} if best.model else set()
    missing = [name for file, name in zip(files, names, strict=True) if file not in registered]
    if missing:
        raise UserError(_missing_message(missing, len(names), attempts[-1].matches))
    return best


def _moving_parts(
    images: Sequence[UInt8[np.ndarray, "h w 3"]], found: Reconstruction
) -> list[Bool[np.ndarray, "height width"]]:
    """What no static surface explains in each frame, with a margin that covers what undistortion moves."""
    undistorted = [undistort(image, found) for image in images]
    residual = RigidResidual(undistorted, found.cameras(), found.inverse_depths(), MASK_HEIGHT)
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))
    size = (found.width, found.height)
    masks = []
    for frame in range(len(images)):
        moving = (residual(frame).residual > MOVING_RESIDUAL).astype(np.uint8)
        masks.append(cv2.resize(cv2.dilate(moving, disk), size, interpolation=cv2.INTER_NEAREST) > 0)
    return masks


def _missing_message(missing: list[str], n_frames: int, matches: PairwiseMatches) -> str:
    shown = ", ".join(missing[:8]) + (", ..." if len(missing) > 8 else "")
    what = f"the camera poses of all {n_frames} frames must be found, but {len(missing)} did not register ({shown})"
    if matches.n_features() < MIN_FEATURES:
        return (
            f"{what}: the frames have too little texture, {matches.n_features():.0f} features each; film things with "
            "texture, sharply and in good light."
        )
    if matches.homography_share() > TURNING_SHARE:
        return (
            f"{what}: the camera stands still or only turns, so that nothing tells depths apart; film while moving "
            "sideways, or bring poses from elsewhere (a COLMAP model or a transforms.json)."
        )
    return f"{what}; leave those frames out, or film with more sideways motion and texture."


def _refined(model):
    """The model adjusted robustly, without distortion where that explains the pictures as well."""
    import pycolmap

    distorted = refine(model)
    pinhole = pycolmap.Reconstruction(distorted)
    for camera in pinhole.cameras.values():
        camera.params = [*camera.params[:3], 0.0]
    pinhole = refine(pinhole, distorted=False, n_rounds=1)
    rise = pinhole.compute_mean_reprojection_error() - distorted.compute_mean_reprojection_error()
    # Dropped observations would hide what distortion explained.
    lost = 1 - pinhole.compute_num_observations() / distorted.compute_num_observations()
    return pinhole if rise < PINHOLE_TOLERANCE and lost < PINHOLE_LOSS else distorted


def _read(model, files: list[str]) -> Reconstruction:
    """COLMAP's model as arrays, in the order of `files`."""
    import pycolmap

    by_name = {image.name: image for image in model.images.values()}
    images = [by_name[file] for file in files]
    points, visible = matched_points(model, files)
    camera = images[0].camera
    k1 = float(camera.params[3])
    pinhole = pycolmap.undistort_camera(pycolmap.UndistortCameraOptions(), camera) if k1 else camera
    return Reconstruction(
        c2w=np.stack([image.cam_from_world().inverse().matrix() for image in images]),
        intrinsics=_intrinsics(pinhole),
        width=pinhole.width,
        height=pinhole.height,
        distorted_intrinsics=_intrinsics(camera),
        distortion=k1,
        points=points,
        visible=visible,
        reprojection_error=float(model.compute_mean_reprojection_error()),
    )


def matched_points(
    model, names: Sequence[str]
) -> tuple[Float[np.ndarray, "n_points 3"], Bool[np.ndarray, "n_frames n_points"]]:
    """Points of a COLMAP model, and in which of its pictures `names` each was matched."""
    by_name = {image.name: image for image in model.images.values()}
    ids = sorted(model.points3D)
    column = {point_id: i for i, point_id in enumerate(ids)}
    visible = np.zeros((len(names), len(ids)), dtype=bool)
    for row, name in zip(visible, names, strict=True):
        row[[column[p.point3D_id] for p in by_name[name].points2D if p.has_point3D()]] = True
    return np.array([model.points3D[i].xyz for i in ids]).reshape(-1, 3), visible


def _intrinsics(camera) -> Float[np.ndarray, " 4"]:
    return np.array([camera.focal_length_x, camera.focal_length_y, camera.principal_point_x, camera.principal_point_y])


def undistort(image: UInt8[np.ndarray, "h w 3"], reconstruction: Reconstruction) -> UInt8[np.ndarray, "height width 3"]:
    """A picture as the reconstruction's pinhole camera would take it."""
    if reconstruction.distortion == 0:
        return image
    # OpenCV counts pixel centres from 0.
    old, new = (
        np.array([[k[0], 0, k[2] - 0.5], [0, k[1], k[3] - 0.5], [0, 0, 1]])
        for k in (reconstruction.distorted_intrinsics, reconstruction.intrinsics)
    )
    distortion = np.array([reconstruction.distortion, 0, 0, 0])
    size = (reconstruction.width, reconstruction.height)
    x, y = cv2.initUndistortRectifyMap(old, distortion, None, new, size, cv2.CV_32FC1)
    return cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
