"""Sparse points for cameras that are known: matches triangulated with the poses held fixed."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, UInt8

from saff_fast.errors import UserError
from saff_fast.files import write_image
from saff_fast.priors.poses import Reconstruction, matched_points

MIN_POINTS = 8
"""Points that a frame must see for its near and far to mean something."""
MIN_ANGLE = 0.5
"""Degrees between rays from which on a match is triangulated: less than COLMAP's, because the poses are certain."""
MAX_EXHAUSTIVE = 60
"""Frames up to which all pairs are matched; a longer video is matched along time."""


@dataclass(frozen=True)
class SparsePoints:
    """Points of the world as matching or an earlier reconstruction found them."""

    points: Float[np.ndarray, "n_points 3"]
    visible: Bool[np.ndarray, "n_frames n_points"] | None = None
    """Whether the point was matched in the frame, if that is known."""
    error: float = 0.0
    """Mean reprojection error, in pixels."""


def with_known_poses(
    images: Sequence[UInt8[np.ndarray, "h w 3"]],
    c2w: Float[np.ndarray, "n_frames 3 4"],
    intrinsics: Float[np.ndarray, " 4"],
    held: SparsePoints | None = None,
) -> Reconstruction:
    """Cameras as they are given, with points.

    Points that come with the frames they were matched in are taken if every frame has enough of them; else matches are
    triangulated; else points of unknown visibility are taken where they lie in the picture.

    Args:
        images: Frames of one size, free of distortion.
        c2w: Camera to world, OpenCV axes, any unit of length.
        intrinsics: fx, fy, cx, cy that all frames share, pixel centres at +0.5.
        held: Points that came with the cameras.

    Raises:
        UserError: A frame sees too few points.
    """
    height, width = images[0].shape[:2]

    def reconstruction(sparse: SparsePoints) -> Reconstruction:
        """Its cameras; a frame in which too few points were matched sees all that lie in its picture."""
        visible = np.zeros((len(c2w), len(sparse.points)), bool) if sparse.visible is None else sparse.visible
        shape = (c2w, intrinsics, width, height, intrinsics, 0.0)
        return _complete(Reconstruction(*shape, sparse.points, visible, sparse.error))

    if held is not None and held.visible is not None and held.visible.sum(1).min() >= MIN_POINTS:
        return reconstruction(held)
    found = reconstruction(_triangulate(images, c2w, intrinsics))
    if held is not None and found.visible.sum(1).min() < MIN_POINTS:
        found = reconstruction(held)
    poorest = int(found.visible.sum(1).argmin())
    if found.visible[poorest].sum() < MIN_POINTS:
        raise UserError(
            f"every frame must see at least {MIN_POINTS} points on which cameras agree, but frame {poorest} sees "
            f"{found.visible[poorest].sum()}; check that the cameras belong to these pictures."
        )
    return found


def _complete(found: Reconstruction) -> Reconstruction:
    """The same, where a frame in which too few points were matched sees all that lie in its picture."""
    fx, fy, cx, cy = found.intrinsics
    visible = found.visible.copy()
    for frame in np.flatnonzero(visible.sum(1) < MIN_POINTS):
        x, y, z = ((found.points - found.c2w[frame, :, 3]) @ found.c2w[frame, :, :3]).T
        u, v = np.divide([fx * x, fy * y], z, out=np.full((2, len(z)), -np.inf), where=z > 0)
        visible[frame] = (abs(u + cx - found.width / 2) < found.width / 2) & (
            abs(v + cy - found.height / 2) < found.height / 2
        )
    return replace(found, visible=visible)


def _triangulate(
    images: Sequence[UInt8[np.ndarray, "h w 3"]],
    c2w: Float[np.ndarray, "n_frames 3 4"],
    intrinsics: Float[np.ndarray, " 4"],
) -> SparsePoints:
    import pycolmap

    pycolmap.logging.minloglevel = int(pycolmap.logging.FATAL)
    pycolmap.set_random_seed(0)
    names = [f"{i:05d}.png" for i in range(len(c2w))]
    with tempfile.TemporaryDirectory(prefix="saff-fast-") as temporary:
        folder = Path(temporary)
        for name, image in zip(names, images, strict=True):
            write_image(folder / "images" / name, image)
        database = folder / "database.db"
        pycolmap.extract_features(
            database,
            folder / "images",
            image_names=names,
            camera_mode=pycolmap.CameraMode.SINGLE,
            reader_options=pycolmap.ImageReaderOptions(
                camera_model="PINHOLE", camera_params=",".join(f"{value:.17g}" for value in intrinsics)
            ),
        )
        verification = pycolmap.TwoViewGeometryOptions()
        verification.ransac.random_seed = 0
        match = pycolmap.match_exhaustive if len(names) <= MAX_EXHAUSTIVE else pycolmap.match_sequential
        match(database, verification_options=verification)
        options = pycolmap.IncrementalPipelineOptions()
        options.random_seed = options.mapper.random_seed = options.triangulation.random_seed = 0
        options.num_threads = options.mapper.num_threads = 1
        options.triangulation.min_angle = options.mapper.filter_min_tri_angle = MIN_ANGLE
        options.extract_colors = False
        (folder / "model").mkdir()
        model = pycolmap.triangulate_points(
            _posed(database, names, c2w), database, folder / "images", folder / "model", options=options
        )
    return sparse_points(model, names)


def _posed(database: Path, names: Sequence[str], c2w: Float[np.ndarray, "n_frames 3 4"]):
    """COLMAP's model of cameras without points, numbered as in the database."""
    import pycolmap

    model, store = pycolmap.Reconstruction(), pycolmap.Database.open(database)
    for camera in store.read_all_cameras():
        model.add_camera_with_trivial_rig(camera)
    for name, pose in zip(names, c2w, strict=True):
        image = store.read_image_with_name(name)
        model.add_image_with_trivial_frame(
            pycolmap.Image(name=name, camera_id=image.camera_id, image_id=image.image_id),
            pycolmap.Rigid3d(pose).inverse(),
        )
    store.close()
    return model


def sparse_points(model, names: Sequence[str]) -> SparsePoints:
    """Points of a COLMAP model, with those of its pictures `names` that they were matched in."""
    points, visible = matched_points(model, names)
    model.update_point_3d_errors()
    return SparsePoints(points, visible, float(model.compute_mean_reprojection_error()) if len(points) else 0.0)
