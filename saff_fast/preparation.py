"""From pictures to a scene folder: computes every prior and writes it, stage by stage, each cached."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import UInt8

from saff_fast import files
from saff_fast.errors import UserError
from saff_fast.geometry.cameras import Cameras
from saff_fast.priors.backbones import choose_backbone, find_dino_weights
from saff_fast.priors.depth import Support, add_points, densify, triangulate
from saff_fast.priors.flow import FrameFlows
from saff_fast.priors.frames import Frames, list_sources, read_frames
from saff_fast.priors.motion import MotionEvidence
from saff_fast.priors.parallax import measure_parallax
from saff_fast.priors.poses import Reconstruction, reconstruct, undistort
from saff_fast.priors.record import Record, hash_files
from saff_fast.priors.saliency import fit_saliency
from saff_fast.priors.semantics import Backbone, compute_semantics
from saff_fast.scene import layout, writer
from saff_fast.scene.synthetic import SyntheticBackbone, SyntheticScene, degraded_disparity, write_synthetic_truth

Report = Callable[[str], None]
"""Takes one line about what is being done."""

Images = Sequence[UInt8[np.ndarray, "height width 3"]]

MAX_FEATURE_HEIGHT = 144
"""Rows of the semantic features: half of 288; networks see no finer detail."""
SPARSE = "sparse/points.npz"
FORMAT = 2
"""Raised whenever the same pictures would give another scene folder."""


@dataclass(frozen=True)
class PreparationReport:
    """What a call of `prepare` did."""

    n_frames: int
    stages: tuple[str, ...]
    """What was computed; nothing when all was cached."""
    reprojection_error: float
    """Mean, in pixels."""


def prepare(
    source: Path, scene_folder: Path, height: int = 288, weights: Path | None = None, report: Report = print
) -> PreparationReport:
    """Write the scene folder of a folder of images or of a video: cameras, motion and depth, semantics.

    Every stage is recorded with a hash of all that it depends on, and is left alone as long as that is the same.

    Args:
        source: Folder of images, or a video file.
        scene_folder: Where to write; new, empty, or written by an earlier call for the same source.
        height: Rows of the training pictures.
        weights: DINO ViT-S/8 weights for semantics and saliency; looked for in the local caches when not given.
        report: Told what is being done.

    Raises:
        UserError: Pictures that cannot be used, or a folder that holds something else.
    """
    if not 16 <= height <= 4320:
        raise UserError(f"--height must be between 16 and 4320 pixels, but it is {height}.")
    if weights is not None and not weights.is_file():
        raise UserError(f"--weights must be a file with DINO ViT-S/8 weights, but there is no file {weights}.")
    record = Record.open(scene_folder, source, hash_files(list_sources(source)))
    job = _Preparation(source, scene_folder, height, weights or find_dino_weights(), report)
    stages, key = [], record.source_hash
    for stage in job.stages():
        key = hashlib.sha256(json.dumps([FORMAT, key, stage.name, stage.options]).encode()).hexdigest()
        if not record.is_done(stage.name, key):
            stage.check()
            record.clear(stage.name, stage.owned)
            stage.run()
            record.finish(stage.name, key, stage.owned)
            stages.append(stage.name)
    if not stages:
        report(f"{scene_folder} is up to date: nothing to do.")
    found = job.reconstruction
    return PreparationReport(len(found.c2w), tuple(stages), found.reprojection_error)


@dataclass(frozen=True)
class _Stage:
    name: str
    owned: tuple[str, ...]
    """Patterns of the files it writes."""
    options: list
    """What it depends on beside the stage before."""
    run: Callable[[], None]
    check: Callable[[], object] = lambda: None
    """Raises what would stop the stage, before it writes anything."""


class _Preparation:
    """The stages of one `prepare`; what several of them need is computed once, when first asked for."""

    def __init__(self, source: Path, folder: Path, height: int, weights: Path | None, report: Report):
        self.source, self.folder, self.height, self.weights, self.report = source, folder, height, weights, report

    def stages(self) -> list[_Stage]:
        """In the order in which they build on one another."""
        network = None if self.weights is None else hash_files([self.weights])
        cameras = (layout.IMAGES, layout.POSES, layout.CAMERAS, "sparse")
        geometry = ("images_*x*", layout.FLOW, layout.MOTION_MASKS, layout.DISPARITY, layout.CONFIDENCE)
        return [
            _Stage("cameras", cameras, [], self._run_cameras, lambda: self.frames),
            _Stage("geometry", geometry, [self.height], self._run_geometry),
            _Stage("semantics", (layout.SEMANTICS,), [network], self._run_semantics),
        ]

    @cached_property
    def frames(self) -> Frames:
        """The source's pictures at their own size; dropped after the first stage, being the largest thing there is."""
        return read_frames(self.source)

    @cached_property
    def reconstruction(self) -> Reconstruction:
        """What the first stage found."""
        found = files.read_npz(self.folder / SPARSE, *Reconstruction.__dataclass_fields__)
        scalars = {name: value.item() for name, value in found.items() if value.ndim == 0}
        return Reconstruction(**(found | scalars))

    @cached_property
    def names(self) -> list[str]:
        """File stem of each frame."""
        return [f"{frame:05d}" for frame in range(len(self.reconstruction.c2w))]

    @cached_property
    def images(self) -> Images:
        """Pictures at training size."""
        found = self.reconstruction
        width = layout.resized_width(found.height, found.width, self.height)
        folder = self.folder / layout.training_images(self.height, width)
        return [files.read_image(folder / f"{name}.png") for name in self.names]

    @cached_property
    def cameras(self) -> Cameras:
        """Cameras at training size."""
        return self.reconstruction.cameras().resized(*self.images[0].shape[:2])

    def _run_cameras(self) -> None:
        frames = self.frames
        height, width = frames.images[0].shape[:2]
        self.report(f"camera poses of {len(frames.images)} frames of {width} x {height}")
        found = reconstruct(frames.images, frames.names)
        parallax = measure_parallax(found.c2w, found.points, found.visible)
        self.report(
            f"{len(found.c2w)} of {len(frames.images)} frames registered, {len(found.points)} points, "
            f"reprojection error {found.reprojection_error:.2f} pixels, "
            f"triangulation angle {parallax.triangulation_angle:.1f} degrees"
        )
        if warning := parallax.warning():
            self.report(warning)
        names = [f"{frame:05d}" for frame in range(len(frames.images))]
        writer.write_images(self.folder, names, [undistort(image, found) for image in frames.images])
        size = (found.height, found.width)
        writer.write_cameras(self.folder, names, found.c2w, found.intrinsics, size, found.bounds())
        files.save_npz(self.folder / SPARSE, **{name: np.asarray(value) for name, value in vars(found).items()})
        del self.frames

    def _run_geometry(self) -> None:
        self.report("optical flow, motion masks and depth")
        originals = [files.read_image(self.folder / layout.IMAGES / f"{name}.png") for name in self.names]
        writer.write_training_images(self.folder, self.names, originals, self.height)
        flows, max_inverse_depth = FrameFlows(self.images), 2 / self.reconstruction.bounds()[:, 0].min()
        evidence = MotionEvidence(self.images, flows, self.cameras, self.reconstruction.inverse_depths())
        for frame, name in enumerate(self.names):
            _write_flows(self.folder, self.names, flows, frame)
            moving = evidence(frame)
            writer.write_motion_mask(self.folder, name, moving)
            support = triangulate(flows, self.cameras, frame, moving, max_inverse_depth)
            disparity, confidence = densify(self._with_points(support, frame), self.images[frame], moving)
            writer.write_disparity(self.folder, name, disparity)
            writer.write_confidence(self.folder, name, confidence)

    def _with_points(self, support: Support, frame: int) -> Support:
        """Support with the matched points that the frame sees."""
        points = torch.from_numpy(self.reconstruction.points[self.reconstruction.visible[frame]])
        pixels, depths = self.cameras.project(torch.full((len(points),), frame), points)
        return add_points(support, pixels.numpy(), depths.numpy())

    def _run_semantics(self) -> None:
        backbone = choose_backbone(self.weights)
        self.report(f"semantic features and saliency ({backbone.name})")
        _write_semantics(self.folder, self.names, self.images, backbone)


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
    images, depths = [], []
    for frame, name in enumerate(names):
        view = scene.render(frame, frame)
        images.append(view.rgb)
        depths.extend([view.depth.min(), view.depth.max()])
        writer.write_disparity(folder, name, degraded_disparity(view, frame))
    report("optical flow and motion masks")
    flows = FrameFlows(images)
    evidence = MotionEvidence(images, flows, scene.cameras(), (1 / max(depths), 1 / min(depths)))
    for frame, name in enumerate(names):
        _write_flows(folder, names, flows, frame)
        writer.write_motion_mask(folder, name, evidence(frame))
    report("semantic features and saliency")
    _write_semantics(folder, names, images, SyntheticBackbone(scene))


def _write_flows(folder: Path, names: Sequence[str], flows: FrameFlows, frame: int) -> None:
    """Optical flow of one frame to both neighbours, with its consistency."""
    for direction, other in (("fwd", frame + 1), ("bwd", frame - 1)):
        if 0 <= other < len(names):
            writer.write_flow(folder, names[frame], direction, *flows.between(frame, other))


def _write_semantics(folder: Path, names: Sequence[str], images: Images, backbone: Backbone) -> None:
    """Features, and the network's saliency or else one made from features and the motion masks already written."""
    height, width = images[0].shape[:2]
    rows = min(height, MAX_FEATURE_HEIGHT)
    size = (rows, round(width * rows / height))
    with compute_semantics(images, backbone, size) as semantics:
        writer.write_pca(folder, semantics.pca.mean, semantics.pca.components, semantics.pca.explained)
        motions = [_read_motion(folder, name, size) for name in names]
        model = None if semantics.has_saliency else fit_saliency(semantics, motions)
        for frame, name in enumerate(names):
            found = semantics[frame]
            saliency = found.saliency if model is None else model.saliency(found.features, motions[frame])
            writer.write_semantics(folder, name, found.features, saliency)


def _read_motion(folder: Path, name: str, size: tuple[int, int]) -> np.ndarray:
    mask = files.read_labels(folder / layout.MOTION_MASKS / f"{name}.png").astype(np.float32) / 255
    return cv2.resize(mask, size[::-1], interpolation=cv2.INTER_AREA)
