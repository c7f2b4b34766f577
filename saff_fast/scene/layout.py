"""Names of a scene folder's files (method/01-inputs.md section 2), in one place for reader and writer."""

from pathlib import Path

IMAGES = "images"
POSES = "poses_bounds.npy"
CAMERAS = "cameras.json"
SPARSE = "sparse/points.npz"
DISPARITY = "disp"
FIRST_DISPARITY = "disp_first"
CONFIDENCE = "confidence"
MOTION_MASKS = "motion_masks"
FIRST_MOTION = "motion_first"
SEMANTICS = "semantics"
SALIENCY = "saliency"
PCA = "semantics/pca.npz"
DENSE = "dense"


def scene_root(folder: Path) -> Path:
    """Where a scene's files are: its folder, or `dense` in it, as in the published release."""
    return folder if (folder / POSES).exists() or not (folder / DENSE / POSES).exists() else folder / DENSE


def scene_name(folder: Path) -> str:
    """What a scene is called: its folder's name, that above for `dense`."""
    path = folder.resolve()
    return path.parent.name if path.name == DENSE else path.name


def resized_width(height: int, width: int, target_height: int) -> int:
    """Width of a picture resized to `target_height`, rounded half to even as published."""
    return round(width * target_height / height)


def training_images(height: int, width: int) -> str:
    """Folder of the pictures at training size."""
    return f"images_{width}x{height}"


def flow_folder(interval: int) -> str:
    """Where the flow between frames `interval` apart is."""
    return f"flow_i{interval}"


FLOW = flow_folder(1)


def flow_file(folder: Path, name: str, direction: str, interval: int = 1) -> Path:
    """Flow of frame `name` to the frame `interval` later ("fwd") or earlier ("bwd")."""
    return folder / flow_folder(interval) / f"{name}_{direction}.npz"


def find_flow(folder: Path, name: str, index: int, direction: str) -> Path:
    """`flow_file`, or the one under the frame's number, by which published flow is named whatever the pictures are."""
    named, numbered = flow_file(folder, name, direction), flow_file(folder, f"{index:05d}", direction)
    return numbered if numbered.exists() and not named.exists() else named
