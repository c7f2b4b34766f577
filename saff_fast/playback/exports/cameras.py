"""Cameras as nerfstudio's `transforms.json`."""

from pathlib import Path

import numpy as np

from saff_fast.files import save_json
from saff_fast.train.model import SceneModel

_OPENGL = np.array([1.0, -1.0, -1.0, 1.0])


def export_cameras(model: SceneModel, out: Path) -> Path:
    """Write `transforms.json`: the frames' cameras with OpenGL axes, times in [0, 1], and the rendered input views."""
    cameras = model.cameras.to("cpu")
    frames = []
    for frame, (c2w, intrinsics) in enumerate(zip(cameras.c2w.double(), cameras.intrinsics.double(), strict=True)):
        matrix = np.vstack([c2w.numpy() * _OPENGL, [0, 0, 0, 1]])
        names = dict(zip(("fl_x", "fl_y", "cx", "cy"), intrinsics.tolist(), strict=True))
        time = frame / max(len(cameras) - 1, 1)
        picture = f"../render/{frame}_rgb.png"
        frames.append({"file_path": picture, "time": time, "transform_matrix": matrix.tolist(), **names})
    size = {"w": cameras.width, "h": cameras.height}
    save_json(out / "transforms.json", {"camera_model": "PINHOLE", **size, "frames": frames})
    return out / "transforms.json"
