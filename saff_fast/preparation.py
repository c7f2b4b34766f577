"""From pictures to a scene folder: computes every prior and writes it."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from saff_fast.geometry.cameras import Cameras
from saff_fast.priors.flow import FrameFlows
from saff_fast.priors.motion import motion_evidence
from saff_fast.priors.semantics import Backbone, compute_semantics
from saff_fast.scene import writer
from saff_fast.scene.synthetic import SyntheticBackbone, SyntheticScene, degraded_disparity, write_synthetic_truth

Report = Callable[[str], None]
"""Takes one line about what is being done."""

Images = Sequence[UInt8[np.ndarray, "height width 3"]]

MAX_FEATURE_HEIGHT = 144
"""Rows of the semantic features: half of 288; networks see no finer detail."""


def prepare_synthetic(
    folder: Path,
    height: int = 90,
    width: int = 160,
    n_frames: int = 24,
    pose_error: float = 0.0,
    report: Report = lambda line: None,
) -> None:
    """Write the synthetic scene: pictures and truth, and what `prepare` computes from such pictures.

    Optical flow, consistency, motion masks, feature pyramid and PCA are computed from the pictures. Networks are
    stood in for by the scene's degraded depth and descriptors; poses are those of the scene.

    Args:
        folder: Scene folder to write.
        height: Rows of the pictures.
        width: Columns of the pictures.
        n_frames: Length of the video.
        pose_error: Error of the written poses, in pixels (see `write_synthetic_truth`).
        report: Told what is being done.
    """
    scene = SyntheticScene(height, width, n_frames)
    report(f"synthetic scene: {n_frames} frames of {width} x {height} and their truth")
    write_synthetic_truth(folder, scene, pose_error)
    names = [f"{frame:05d}" for frame in range(n_frames)]
    images = []
    for frame, name in enumerate(names):
        view = scene.render(frame, frame)
        images.append(view.rgb)
        writer.write_disparity(folder, name, degraded_disparity(view, frame))
    report("optical flow and motion masks")
    _write_motion(folder, names, images, scene.cameras())
    report("semantic features and saliency")
    _write_semantics(folder, names, images, SyntheticBackbone(scene))


def _write_motion(folder: Path, names: Sequence[str], images: Images, cameras: Cameras) -> None:
    """Optical flow to both neighbours with its consistency, and motion masks."""
    flows = FrameFlows(images)
    for frame, name in enumerate(names):
        for direction, other in (("fwd", frame + 1), ("bwd", frame - 1)):
            if 0 <= other < len(names):
                writer.write_flow(folder, name, direction, *flows.between(frame, other))
        writer.write_motion_mask(folder, name, motion_evidence(flows, cameras, frame))


def _write_semantics(folder: Path, names: Sequence[str], images: Images, backbone: Backbone) -> None:
    height, width = images[0].shape[:2]
    rows = min(height, MAX_FEATURE_HEIGHT)
    pca, frames = compute_semantics(images, backbone, (rows, round(width * rows / height)))
    writer.write_pca(folder, pca.mean, pca.components, pca.explained)
    for name, frame in zip(names, frames, strict=True):
        writer.write_semantics(folder, name, frame.features, frame.saliency)
