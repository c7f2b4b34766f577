"""Folders of pictures."""

from pathlib import Path

from saff_fast.capture import video
from saff_fast.capture.frames import natural_order
from saff_fast.errors import UserError
from saff_fast.files import list_files

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")


def list_pictures(folder: Path) -> list[Path]:
    """Pictures of a folder, or else of its folder `images`, in natural order of their names.

    Raises:
        UserError: There are none.
    """
    for place in (folder, folder / "images"):
        found = list_files(place, *SUFFIXES) if place.is_dir() else []
        if found:
            return sorted(found, key=lambda path: natural_order(path.name))
    videos = list_files(folder, *video.SUFFIXES)
    if videos:
        raise UserError(
            f"{folder} must hold images, but it holds videos; pass one of them, such as {videos[0]}, by its own name."
        )
    others = sorted({path.suffix for path in folder.iterdir() if path.suffix})
    held = f"it holds only files of {', '.join(others[:5])}" if others else "it holds none"
    raise UserError(f"{folder} must hold images ({', '.join(SUFFIXES)}), but {held}.")
