"""COLMAP models, binary or text: pictures with lenses, poses and matched points."""

from pathlib import Path

import numpy as np

from saff_fast.capture.cameras import KnownCameras
from saff_fast.capture.frames import natural_order
from saff_fast.capture.lens import Lens
from saff_fast.capture.listing import Listing
from saff_fast.capture.pictures import SUFFIXES
from saff_fast.errors import UserError
from saff_fast.files import list_files
from saff_fast.priors.known_poses import sparse_points

PLACES = ("", "sparse", "sparse/0", "colmap/sparse/0")
"""Where a model lies in the folder that a user passes."""
RADIAL = {
    "SIMPLE_PINHOLE": ((), False),
    "PINHOLE": ((), False),
    "SIMPLE_RADIAL": (("k",), False),
    "RADIAL": (("k1", "k2"), False),
    "OPENCV": (("k1", "k2"), False),
    "FULL_OPENCV": (("k1", "k2", "k3", "k4", "k5", "k6"), False),
    "SIMPLE_RADIAL_FISHEYE": (("k",), True),
    "RADIAL_FISHEYE": (("k1", "k2"), True),
    "OPENCV_FISHEYE": (("k1", "k2", "k3", "k4"), True),
}
"""Names of the radial coefficients of each camera model, and whether it is a fisheye."""


def find_model(folder: Path) -> Path | None:
    """The folder in which a model's three files lie, all binary or all text."""
    for place in PLACES:
        for suffix in ("bin", "txt"):
            if all((folder / place / f"{part}.{suffix}").is_file() for part in ("cameras", "images", "points3D")):
                return folder / place
    return None


def list_model(source: Path, model: Path) -> Listing:
    """The registered pictures of a model, in natural order of their names.

    Pictures are looked for in `images` beside the model or up to three folders above it, then beside the model's files.

    Raises:
        UserError: A damaged model, one without pictures, or a camera model that is not supported.
    """
    found = read_model(model)
    images = sorted((i for i in found.images.values() if i.has_pose), key=lambda image: natural_order(image.name))
    if not images:
        raise UserError(f"{model} must hold registered images, but it holds none; map the pictures again.")
    folder = _picture_folder(model, images[0].name)
    pictures = [folder / image.name for image in images]
    missing = next((path for path in pictures if not path.is_file()), None)
    if missing is not None:
        raise UserError(f"{missing} must exist, because {model} has a camera for it, but there is no such file.")
    unused = len({path.name for path in list_files(folder, *SUFFIXES)} - {path.name for path in pictures})
    notes = (f"{unused} pictures of {folder} are not in the model and are left out.",) if unused else ()
    first = images[0].camera
    height, width = first.height, first.width
    if any((image.camera.height, image.camera.width) != (height, width) for image in images):
        raise UserError(f"{model} must hold cameras of one picture size, but it holds several; resize the pictures.")
    cameras = KnownCameras(
        np.stack([image.cam_from_world().inverse().matrix() for image in images]),
        tuple(_lens(model, image.camera) for image in images),
        width,
        height,
        sparse_points(found, [image.name for image in images]),
    )
    others = tuple(path for path in sorted(model.iterdir()) if path.suffix in (".bin", ".txt"))
    return Listing(source, pictures, cameras, others, notes=notes)


def read_model(folder: Path):
    """The model of a folder as pycolmap has it; UserError when it does not read."""
    try:
        import pycolmap
    except ModuleNotFoundError as error:
        raise UserError(
            f"{folder} is a COLMAP model, and reading it needs pycolmap; pip install 'saff-fast[process]'."
        ) from error
    pycolmap.logging.minloglevel = int(pycolmap.logging.FATAL)
    try:
        return pycolmap.Reconstruction(folder)
    except Exception as error:  # pycolmap raises whatever its C++ does
        raise UserError(f"{folder} must be a COLMAP model, but it does not read; export it again.") from error


def _picture_folder(model: Path, name: str) -> Path:
    above = [model, *model.resolve().parents[:3]]
    places = [*(folder / "images" for folder in above), model]
    found = next((place for place in places if (place / name).is_file()), None)
    if found is None:
        raise UserError(f"{model} must have its pictures in a folder `images` near it, but {name} is in none.")
    return found


def _lens(model: Path, camera) -> Lens:
    name = camera.model.name
    if name not in RADIAL:
        raise UserError(
            f"{model} must use a camera model among {', '.join(RADIAL)}, but it uses {name}; "
            "undistort it with `colmap image_undistorter`."
        )
    values = dict(zip((part.strip() for part in camera.params_info.split(",")), camera.params, strict=True))
    radial, fisheye = RADIAL[name]
    return Lens(
        camera.focal_length_x,
        camera.focal_length_y,
        camera.principal_point_x,
        camera.principal_point_y,
        radial=tuple(float(values[key]) for key in radial),
        tangential=(0.0, 0.0) if fisheye else (float(values.get("p1", 0)), float(values.get("p2", 0))),
        fisheye=fisheye,
    )
