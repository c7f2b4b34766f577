"""Camera poses and sparse points by structure from motion (COLMAP, Schoenberger and Frahm, CVPR 2016)."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, UInt8

from saff_fast.errors import UserError
from saff_fast.files import write_image

MIN_FRAMES = 4
"""Fewer frames say too little of a camera path."""

DISTORTION_TOLERANCE = 0.5
"""Pixels by which distortion may move a corner of the image before frames are undistorted."""


@dataclass(frozen=True)
class Reconstruction:
    """Cameras and points of one video, in the reconstruction's own arbitrary units."""

    c2w: Float[np.ndarray, "n_frames 3 4"]
    """Camera to world, OpenCV axes, in the order of the frames."""
    intrinsics: Float[np.ndarray, " 4"]
    """fx, fy, cx, cy of the undistorted camera that all frames share, pixel centres at +0.5."""
    width: int
    height: int
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


def reconstruct(images: list[UInt8[np.ndarray, "h w 3"]], names: list[str], seed: int = 0) -> Reconstruction:
    """Structure from motion over all frames with one shared camera.

    Args:
        images: Frames of one size.
        names: What each frame is called in messages; frames are matched by name, never by position.
        seed: Seeds COLMAP's random sampling. Matching and mapping run on as many threads as there are; what the
            reconstruction depends on is sampled by the seed, not by the order in which threads finish.

    Raises:
        UserError: Fewer than four frames, or frames that do not register.
    """
    if len(images) < MIN_FRAMES:
        raise UserError(f"prepare needs at least {MIN_FRAMES} frames, but got {len(images)}; film a longer sequence.")
    files = [f"{i:05d}.png" for i in range(len(images))]
    with tempfile.TemporaryDirectory(prefix="saff-fast-") as folder:
        for file, image in zip(files, images, strict=True):
            write_image(Path(folder) / "images" / file, image)
        best = _map(Path(folder), files, seed)
        registered = {image.name for image in best.images.values() if image.has_pose} if best else set()
        missing = [name for file, name in zip(files, names, strict=True) if file not in registered]
        if missing:
            raise UserError(_missing_message(missing, len(names)))
        return _read(best, files)


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
    options.extract_colors = False
    models = pycolmap.incremental_mapping(database, images, folder / "sparse", options)
    return max(models.values(), key=lambda model: model.num_reg_images(), default=None)


def _read(model, files: list[str]) -> Reconstruction:
    """COLMAP's model as arrays, in the order of `files`."""
    by_name = {image.name: image for image in model.images.values()}
    images = [by_name[file] for file in files]
    ids = sorted(model.points3D)
    column = {point_id: i for i, point_id in enumerate(ids)}
    visible = np.zeros((len(files), len(ids)), dtype=bool)
    for row, image in zip(visible, images, strict=True):
        row[[column[p.point3D_id] for p in image.points2D if p.has_point3D()]] = True
    camera, k1 = _undistorted(images[0].camera)
    return Reconstruction(
        c2w=np.stack([image.cam_from_world().inverse().matrix() for image in images]),
        intrinsics=np.array(
            [camera.focal_length_x, camera.focal_length_y, camera.principal_point_x, camera.principal_point_y]
        ),
        width=camera.width,
        height=camera.height,
        distortion=k1,
        points=np.stack([model.points3D[i].xyz for i in ids]),
        visible=visible,
        reprojection_error=float(model.compute_mean_reprojection_error()),
    )


def _undistorted(camera):
    """The pinhole camera to use and the distortion to remove from the pictures, 0 when it is negligible."""
    import pycolmap

    focal, cx, cy, k1 = camera.params
    radius = np.hypot(cx, cy) / focal
    pinhole = pycolmap.Camera(model="PINHOLE", width=camera.width, height=camera.height, params=[focal, focal, cx, cy])
    if abs(k1) * radius**3 * focal < DISTORTION_TOLERANCE:
        return pinhole, 0.0
    return pycolmap.undistort_camera(pycolmap.UndistortCameraOptions(), camera), float(k1)
