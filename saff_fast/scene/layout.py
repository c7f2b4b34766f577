"""Names of a scene folder's files (method/01-inputs.md section 2), in one place for reader and writer."""

from pathlib import Path

IMAGES = "images"
POSES = "poses_bounds.npy"
CAMERAS = "cameras.json"
SPARSE = "sparse/points.npz"
DISPARITY = "disp"
CONFIDENCE = "confidence"
MOTION_MASKS = "motion_masks"
SEMANTICS = "semantics"
SALIENCY = "saliency"
PCA = "semantics/pca.npz"


def resized_width(height: int, width: int, target_height: int) -> int:
    """Width of a picture resized to `target_height`, rounded half to even as published."""
    return round(width * target_height / height)


def training_images(height: int, width: int) -> str:
    """Folder of the pictures at training size."""
    return f"images_{width}x{height}"


def flow_file(folder: Path, name: str, direction: str, interval: int = 1) -> Path:
    """Flow of frame `name` to the frame `interval` later ("fwd") or earlier ("bwd")."""
    return folder / f"flow_i{interval}" / f"{name}_{direction}.npz"
