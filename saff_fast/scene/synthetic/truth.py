"""Writes the synthetic scene in the published layout, with the truth beside it for `evaluate` alone."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray

from saff_fast import files
from saff_fast.scene import writer
from saff_fast.scene.synthetic.content import N_CAMERAS
from saff_fast.scene.synthetic.generator import SyntheticScene, SyntheticView


def write_synthetic_truth(folder: Path, scene: SyntheticScene, pose_error: float = 0.0) -> None:
    """Write frames, cameras, all rig pictures and every truth, but no prior: those are computed from the frames.

    Lengths (poses, depth, scene flow) are in the scene's own world units; the reader scales poses when it loads them.

    Args:
        folder: Where the scene folder shall be.
        scene: What to write.
        pose_error: Error of the written cameras, in pixels of image motion that it stands for (root mean square of a
            turn about each axis, and again of a shift along each as seen on the nearest surface); pictures and truth
            are those of the exact cameras.
    """
    views_of = defaultdict(list)
    for view_id, camera, time in protocol_views(scene.n_frames):
        views_of[camera, time].append(view_id)
    frames: dict[int, SyntheticView] = {}
    for camera in range(N_CAMERAS):
        for time in range(scene.n_frames):
            view = scene.render(camera, time)
            files.write_image(folder / "mv_images" / f"{time:05d}" / f"cam{camera + 1:02d}.jpg", view.rgb)
            files.write_image(folder / "mv_masks" / f"{time:05d}" / f"cam{camera + 1:02d}.png", _mask(view))
            for view_id in views_of[camera, time]:
                _write_view(folder, view_id, scene.n_frames, view)
            if camera == time % N_CAMERAS:
                frames[time] = view
    _write_frames(folder, scene, [frames[time] for time in range(scene.n_frames)], pose_error)


def protocol_views(n_frames: int) -> Iterator[tuple[int, int, int]]:
    """View id, rig camera and time of the 60-view protocol (01-inputs 3.1), for any length."""
    for time in range(n_frames):
        yield time, time % N_CAMERAS, time
    for time in range(n_frames):
        yield n_frames + time, 0, time
    for camera in range(min(N_CAMERAS, n_frames)):
        yield 2 * n_frames + camera, camera, 0


def _write_view(folder: Path, view_id: int, n_frames: int, view: SyntheticView) -> None:
    truth, name = folder / "truth", f"{view_id:05d}"
    files.save_npy(truth / "depth" / f"{name}.npy", view.depth.astype(np.float32))
    files.write_image(truth / "motion" / f"{name}.png", _mask(view))
    files.write_image(truth / "instances" / f"{name}.png", view.instances)
    # The published masks leave out the first view of each novel split, which repeats frame 0.
    if view_id not in (n_frames, 2 * n_frames):
        split = ("training", "nv_spatial", "nv_static")[min(view_id // n_frames, 2)]
        files.write_image(folder / "gt_masks" / f"{split}_{view_id:2d}.png", view.instances)


def _write_frames(folder: Path, scene: SyntheticScene, frames: list[SyntheticView], pose_error: float) -> None:
    names = [f"{time:05d}" for time in range(scene.n_frames)]
    pictures = [view.rgb for view in frames]
    writer.write_images(folder, names, pictures)
    writer.write_training_images(folder, names, pictures, scene.height)
    nearest = min(float(view.depth.min()) for view in frames)
    c2w = _perturbed(np.stack([view.c2w for view in frames]), pose_error / scene.intrinsics[0], nearest)
    bounds = np.array([np.percentile(view.depth, (5, 95)) for view in frames])
    writer.write_cameras(folder, names, c2w, scene.intrinsics, (scene.height, scene.width), bounds)
    for time, view in enumerate(frames):
        for direction, other in (("fwd", time + 1), ("bwd", time - 1)):
            if 0 <= other < scene.n_frames:
                _write_flow(folder / "truth", f"{time:05d}_{direction}", scene, view, other)


def _perturbed(c2w: Float[ndarray, "n_frames 3 4"], angle: float, nearest: float) -> Float[ndarray, "n_frames 3 4"]:
    """Cameras turned by random small angles and shifted by as much on a surface at depth `nearest`."""
    random = np.random.default_rng(3)
    turns = [cv2.Rodrigues(v)[0] for v in random.normal(scale=angle, size=(len(c2w), 3))]
    centres = c2w[:, :, 3] + random.normal(scale=angle * nearest, size=(len(c2w), 3))
    return np.concatenate([np.array(turns) @ c2w[:, :, :3], centres[..., None]], axis=-1)


def _write_flow(truth: Path, name: str, scene: SyntheticScene, view: SyntheticView, other: int) -> None:
    motion = scene.flow(view, other, other)
    files.save_npz(truth / "flow" / f"{name}.npz", flow=motion.flow.astype(np.float32), occlusion=motion.occlusion)
    files.save_npy(truth / "scene_flow" / f"{name}.npy", motion.scene_flow.astype(np.float32))


def _mask(view: SyntheticView) -> UInt8[ndarray, "height width"]:
    return view.motion.astype(np.uint8) * 255
