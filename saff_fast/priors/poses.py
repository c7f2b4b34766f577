"""Camera poses and sparse points by structure from motion (COLMAP, Schoenberger and Frahm, CVPR 2016)."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from saff_fast.errors import UserError
from saff_fast.files import write_image

PINHOLE_TOLERANCE = 0.1
"""Pixels by which the mean reprojection error may rise for pictures to be taken as free of distortion."""


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

    def depths(self) -> Float[np.ndarray, "n_frames n_points"]:
        """Depth of every point along every camera's z."""
        return np.einsum("nj,npj->np", self.c2w[:, :, 2], self.points[None] - self.c2w[:, None, :, 3])


def reconstruct(images: Sequence[UInt8[np.ndarray, "h w 3"]], names: Sequence[str], seed: int = 0) -> Reconstruction:
    """Structure from motion over all frames with one shared camera.

    Args:
        images: Frames of one size, at least four.
        names: What each frame is called in messages; frames are matched by name, never by position.
        seed: Seeds COLMAP's random sampling. Matching and mapping run on as many threads as there are; what the
            reconstruction depends on is sampled by the seed, not by the order in which threads finish.

    Raises:
        UserError: Not all frames register.
    """
    files = [f"{i:05d}.png" for i in range(len(images))]
    with tempfile.TemporaryDirectory(prefix="saff-fast-") as folder:
        for file, image in zip(files, images, strict=True):
            write_image(Path(folder) / "images" / file, image)
        best = _map(Path(folder), files, seed)
        registered = {image.name for image in best.images.values() if image.has_pose} if best else set()
        missing = [name for file, name in zip(files, names, strict=True) if file not in registered]
        if missing:
            raise UserError(_missing_message(missing, len(names)))
        return _read(_simplified(best), files)


def _missing_message(missing: list[str], n_frames: int) -> str:
    shown = ", ".join(missing[:8]) + (", ..." if len(missing) > 8 else "")
    return (
        f"the camera poses of all {n_frames} frames must be found, but {len(missing)} did not register ({shown}); "
        "leave those frames out, or film with more sideways motion and texture."
    )


def _map(folder: Path, files: list[str], seed: int):
    """The largest model that incremental mapping finds, or None."""
    import pycolmap

    pycolmap.logging.minloglevel = int(pycolmap.logging.FATAL)
    pycolmap.set_random_seed(seed)
    database, images = folder / "database.db", folder / "images"
    pycolmap.extract_features(
        database,
        images,
        image_names=files,
        camera_mode=pycolmap.CameraMode.SINGLE,
        reader_options=pycolmap.ImageReaderOptions(camera_model="SIMPLE_RADIAL"),
    )
    verification = pycolmap.TwoViewGeometryOptions()
    verification.ransac.random_seed = seed
    pycolmap.match_exhaustive(database, verification_options=verification)
    options = pycolmap.IncrementalPipelineOptions()
    options.random_seed = options.mapper.random_seed = options.triangulation.random_seed = seed
    # Several threads sum in no fixed order; mapping takes seconds on one.
    options.num_threads = options.mapper.num_threads = 1
    options.extract_colors = False
    models = pycolmap.incremental_mapping(database, images, folder / "sparse", options)
    return max(models.values(), key=lambda model: model.num_reg_images(), default=None)


def _simplified(model):
    """The model without distortion where that explains the pictures as well, so that they can stay as they are."""
    import pycolmap

    pinhole = pycolmap.Reconstruction(model)
    for camera in pinhole.cameras.values():
        camera.params = [*camera.params[:3], 0.0]
    options = pycolmap.BundleAdjustmentOptions()
    options.refine_extra_params = False
    options.print_summary = False
    options.ceres.solver_options.num_threads = 1
    config = pycolmap.BundleAdjustmentConfig()
    for image_id in pinhole.images:
        config.add_image(image_id)
    config.fix_gauge(pycolmap.BundleAdjustmentGauge.TWO_CAMS_FROM_WORLD)
    pycolmap.create_default_bundle_adjuster(options, config, pinhole).solve()
    pinhole.update_point_3d_errors()
    rise = pinhole.compute_mean_reprojection_error() - model.compute_mean_reprojection_error()
    return pinhole if rise < PINHOLE_TOLERANCE else model


def _read(model, files: list[str]) -> Reconstruction:
    """COLMAP's model as arrays, in the order of `files`."""
    import pycolmap

    by_name = {image.name: image for image in model.images.values()}
    images = [by_name[file] for file in files]
    ids = sorted(model.points3D)
    column = {point_id: i for i, point_id in enumerate(ids)}
    visible = np.zeros((len(files), len(ids)), dtype=bool)
    for row, image in zip(visible, images, strict=True):
        row[[column[p.point3D_id] for p in image.points2D if p.has_point3D()]] = True
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
        points=np.stack([model.points3D[i].xyz for i in ids]),
        visible=visible,
        reprojection_error=float(model.compute_mean_reprojection_error()),
    )


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
