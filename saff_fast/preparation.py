"""From pictures to a scene folder: computes every prior and writes it, stage by stage, each cached."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from jaxtyping import Float, UInt8

from saff_fast import files, frame_priors
from saff_fast.capture.capture import Capture, find_capture
from saff_fast.capture.frames import Frames
from saff_fast.capture.selection import ALL_FRAMES, Selection
from saff_fast.capture.survey import survey
from saff_fast.errors import UserError
from saff_fast.files import list_files
from saff_fast.frame_priors import LazySequence, PreparedFrames
from saff_fast.priors.backbones import choose_backbone
from saff_fast.priors.flow import FrameFlows
from saff_fast.priors.known_poses import with_known_poses
from saff_fast.priors.motion import MotionEvidence
from saff_fast.priors.networks.choice import Networks
from saff_fast.priors.networks.depth import DepthNetwork
from saff_fast.priors.networks.raft import Raft
from saff_fast.priors.parallax import measure_parallax
from saff_fast.priors.poses import reconstruct, undistort
from saff_fast.priors.pyramid import PublishedPyramid, Pyramid
from saff_fast.priors.record import Record, hash_files
from saff_fast.priors.saliency import fit_saliency
from saff_fast.priors.semantics import Backbone, compute_semantics
from saff_fast.priors.stages import Stage, StageProgress, run_stages
from saff_fast.priors.user_masks import read_user_masks
from saff_fast.scene import layout, writer
from saff_fast.scene.synthetic import SyntheticBackbone, SyntheticScene, degraded_disparity, write_synthetic_truth
from saff_fast.workers import Workers, available_cores

Report = Callable[[str], None]
"""Takes one line about what is being done."""
OnProgress = Callable[[StageProgress], None]
Tell = Callable[[int, int, int], None]
"""Takes how many pieces of a stage's work are done, of how many, and how many of these were there before."""
Item = TypeVar("Item", int, frame_priors.Pair)

Images = Sequence[UInt8[np.ndarray, "height width 3"]]

_KEPT = "kept from the source"

TRAINING_IMAGES = "images_*x*"
MIN_PIXELS_TO_SPREAD = 2_000_000
"""Pixels of a stage's frames together, below which starting processes takes longer than it saves."""


@dataclass(frozen=True)
class PreparationReport:
    """What a call of `prepare` did."""

    n_frames: int
    stages: tuple[str, ...]
    """What was computed; nothing when all was cached."""
    reprojection_error: float
    """Mean, in pixels."""


@dataclass(frozen=True)
class Execution:
    """How a preparation is carried out; none of this changes what it writes."""

    redo: tuple[str, ...] = ()
    """Stages to run again in any case; those after them follow where their inputs come out differently."""
    n_workers: int | None = None
    """Processes at most; as many as there are cores when not given."""
    on_progress: OnProgress = lambda progress: None
    """Told how far the stage at hand is."""


def prepare(
    source: Path,
    scene_folder: Path,
    height: int = 288,
    networks: Networks = Networks(),  # noqa: B008 (frozen)
    report: Report = print,
    selection: Selection = ALL_FRAMES,
    masks: Path | None = None,
    execution: Execution = Execution(),  # noqa: B008 (frozen)
) -> PreparationReport:
    """Write the scene folder of a video, of pictures or of a capture: cameras and all priors.

    Cameras that come with the capture are kept, and so are priors of a scene folder.

    Every stage is recorded with a hash of all that it depends on, and is left alone as long as that is the same. What
    was interrupted, however, goes on with the next call.

    Args:
        source: A video, a folder of images or a capture with cameras (see `find_capture`).
        scene_folder: Where to write; new, empty, or written by an earlier call for the same source.
        height: Rows of the training pictures.
        networks: Networks for flow, depth and semantics; weights are looked for in the local caches when not given.
        report: Told what is being done.
        selection: Which frames are taken.
        masks: Folder of masks of what moves, which count where there are any (see `read_user_masks`).
        execution: What to do again, with how many processes, and who is told how far it is.

    Raises:
        UserError: Pictures that cannot be used, or a folder that holds something else.
    """
    if not 16 <= height <= 4320:
        raise UserError(f"--height must be between 16 and 4320 pixels, but it is {height}.")
    if masks is not None and not masks.is_dir():
        raise UserError(f"--masks must be a folder of masks (PNG), but there is no folder {masks}.")
    networks = networks.found()
    capture = find_capture(source, selection)
    record = Record.open(scene_folder, source, hash_files(capture.files))
    n_workers = execution.n_workers or available_cores()
    with Workers(partial(PreparedFrames, scene_folder, height), n_workers) as workers:
        job = _Preparation(capture, scene_folder, networks, masks, workers, report)
        ran = run_stages(job.stages(record.source_hash), record, execution.redo, execution.on_progress)
        if not ran:
            report(f"{scene_folder} is up to date: nothing to do.")
        found = job.prepared.reconstruction
    return PreparationReport(len(found.c2w), ran, found.reprojection_error)


class _Preparation:
    """The stages of one `prepare`."""

    def __init__(
        self,
        capture: Capture,
        folder: Path,
        networks: Networks,
        masks: Path | None,
        workers: Workers[PreparedFrames],
        report: Report,
    ):
        self.capture, self.folder, self.networks, self.masks = capture, folder, networks, masks
        self.workers, self.report = workers, report

    def stages(self, source_hash: str) -> list[Stage]:
        """In the order in which they read what others write."""
        networks = self.networks
        features = (networks.features, networks.parity, *_content(networks.weights))
        cameras = (layout.IMAGES, layout.POSES, layout.CAMERAS, "sparse")
        depth = (layout.DISPARITY, layout.CONFIDENCE)
        flow, motion = "flow_i*", layout.MOTION_MASKS
        semantics, saliency = (layout.SEMANTICS,), (layout.SALIENCY,)
        masks = () if self.masks is None else (hash_files(list_files(self.masks, ".png")),)
        size, source = (self.workers.context.height,), (source_hash, vars(self.capture.selection))
        return [
            Stage("cameras", (), cameras, self._run_cameras, source, lambda: self.frames),
            Stage("images", (layout.IMAGES,), (TRAINING_IMAGES,), self._run_images, size),
            Stage(
                "flow",
                (TRAINING_IMAGES,),
                (flow,),
                self._run_flow,
                _content(networks.flow_weights) + self._given(layout.FLOW),
            ),
            Stage(
                "motion",
                ("sparse", TRAINING_IMAGES),
                (motion, layout.FIRST_MOTION),
                self._run_motion,
                masks + self._given(motion),
                version=2,
            ),
            Stage(
                "depth",
                ("sparse", flow, motion, layout.IMAGES, TRAINING_IMAGES),
                (*depth, layout.FIRST_DISPARITY),
                self._run_depth,
                _content(networks.depth_weights) + self._given(*depth),
                version=2,
            ),
            Stage("semantics", (TRAINING_IMAGES,), semantics, self._run_semantics, features + self._given(*semantics)),
            Stage("saliency", (*semantics, motion), saliency, self._run_saliency, self._given(*saliency)),
        ]

    @cached_property
    def frames(self) -> Frames:
        """The source's pictures at their own size, found fit to be worked on."""
        frames = self.capture.open()
        survey(self.capture.source, frames, self.capture.cameras is not None)
        return frames

    @property
    def prepared(self) -> PreparedFrames:
        """What the stages have written."""
        return self.workers.context

    def _run_cameras(self, tell: Tell) -> str:
        frames, known = self.frames, self.capture.cameras
        height, width = frames[0].shape[:2]
        self.report(f"{len(frames)} frames of {width} x {height} from {self.capture.source} ({self.capture.kind})")
        for note in frames.notes:
            self.report(note)
        found = (
            reconstruct(frames, frames.names)
            if known is None
            else with_known_poses(frames, known.c2w, known.intrinsics, known.points)
        )
        parallax = measure_parallax(found.c2w, found.points, found.visible)
        self.report(
            f"{len(found.c2w)} of {len(frames)} frames registered, {len(found.points)} points, "
            f"reprojection error {found.reprojection_error:.2f} pixels, "
            f"triangulation angle {parallax.triangulation_angle:.1f} degrees"
        )
        if warning := parallax.warning():
            self.report(warning)
        names = [f"{frame:05d}" for frame in range(len(frames))]
        writer.write_images(self.folder, names, (undistort(image, found) for image in frames))
        if self.capture.priors is not None:
            self.capture.priors.copy_cameras(self.folder)
        else:
            size = (found.height, found.width)
            writer.write_cameras(self.folder, names, found.c2w, found.intrinsics, size, found.bounds())
        files.save_npz(self.folder / layout.SPARSE, **{name: np.asarray(value) for name, value in vars(found).items()})
        del self.frames
        return "COLMAP" if known is None else f"kept from a {self.capture.kind}"

    def _run_images(self, tell: Tell) -> str:
        frames = range(len(self.prepared.names))
        self._each(frame_priors.write_image, frames, lambda p, frame: [p.image_file(frame)], tell)
        return "resized by area"

    def _run_flow(self, tell: Tell) -> str:
        kept = self._keep(layout.FLOW)
        pairs = frame_priors.frame_pairs(len(self.prepared.names))
        if self.networks.flow_weights is None:
            name = "DIS optical flow"
            self._each(frame_priors.write_flows, pairs, frame_priors.flow_files, tell)
        else:
            raft = Raft(self.networks.flow_weights)
            name, flows = raft.name, FrameFlows(self.prepared.images, raft)
            write = partial(frame_priors.write_flow_pair, self.folder, self.prepared.names, flows)
            self._each_here(write, pairs, frame_priors.flow_files, tell)
        return name + (f", {layout.FLOW} kept from the source" if kept else "")

    def _run_motion(self, tell: Tell) -> str:
        if self.masks is None and self._keep(layout.MOTION_MASKS):
            return _KEPT
        frames = range(len(self.prepared.names))
        for frame, mask in self._user_masks().items():
            for part in (layout.FIRST_MOTION, layout.MOTION_MASKS):
                writer.write_motion_mask(self.folder, self.prepared.names[frame], mask, part)
        first, last = self._looks(frames, frame_priors.first_motion_files, tell)
        self._each(frame_priors.write_first_motion, frames, frame_priors.first_motion_files, first)
        self._each(frame_priors.write_motion, frames, frame_priors.motion_files, last)
        return "what no static surface and no static point explain"

    def _run_depth(self, tell: Tell) -> str:
        if self._keep(layout.DISPARITY):
            self._keep(layout.CONFIDENCE)
            return _KEPT
        frames = range(len(self.prepared.names))
        first, last = self._looks(frames, frame_priors.first_depth_files, tell)
        if self.networks.depth_weights is not None:
            network = DepthNetwork(self.networks.depth_weights)
            write = partial(frame_priors.write_network_depth, self.prepared, network=network)
            self._each_here(write, frames, frame_priors.first_depth_files, first)
            made_by = f"{network.name}, on the scale of matched points"
        else:
            self._each(frame_priors.write_first_depth, frames, frame_priors.first_depth_files, first)
            made_by = "a plane sweep, triangulated flow and matched points"
        self._each(frame_priors.write_depth, frames, frame_priors.depth_files, last)
        return made_by

    def _run_semantics(self, tell: Tell) -> str:
        if self._keep(layout.SEMANTICS):
            return _KEPT
        self.workers.stop()  # they would hold memory for nothing
        wanted, images = self.networks, self.prepared.images
        backbone = choose_backbone(wanted.features, wanted.weights, wanted.parity)
        pyramid = PublishedPyramid() if wanted.parity else Pyramid()
        write_features(
            self.folder, self.prepared.names, images, backbone, lambda frame: tell(frame + 1, len(images), 0), pyramid
        )
        return backbone.name + (", as published" if wanted.parity else "")

    def _run_saliency(self, tell: Tell) -> str:
        if self._keep(layout.SALIENCY):
            return _KEPT
        folder, names = self.folder / layout.SEMANTICS, self.prepared.names
        if "saliency" in files.npz_names(folder / f"{names[0]}.npz"):
            return "the network's attention"
        features = LazySequence(lambda i: files.read_npz(folder / f"{names[i]}.npz", "feature")["feature"], len(names))
        rows, columns = features[0].shape[:2]
        motions = LazySequence(lambda frame: self.prepared.moving(frame, (rows, columns)), len(names))
        model = fit_saliency(features, motions)
        for frame, name in enumerate(names):
            writer.write_saliency(self.folder, name, model.saliency(features[frame], motions[frame]))
            tell(frame + 1, len(names), 0)
        return "motion and contrast of features"

    def _user_masks(self) -> dict[int, Float[np.ndarray, "height width"]]:
        """By frame; masks are named like the pictures of the source, those of a video like the scene's."""
        if self.masks is None:
            return {}
        is_video = self.capture.kind == "video"
        names = self.prepared.names if is_video else [Path(name).stem for name in self.capture.open().names]
        return read_user_masks(self.masks, names, *self.prepared.size)

    def _given(self, *parts: str) -> tuple[str, ...]:
        """Hash of those parts that come with the source: what a stage that keeps them depends on."""
        priors = self.capture.priors
        return () if priors is None else (hash_files([path for part in parts for path in priors.files(part)]),)

    def _keep(self, part: str) -> bool:
        """Whether a part came with the source, in full; it is in the folder then."""
        priors = self.capture.priors
        kept = priors is not None and priors.copy(part, self.folder)
        if kept:
            self.report(f"kept from {self.capture.source}: {part}")
        return kept

    def _each(
        self,
        task: Callable[[PreparedFrames, Item], None],
        items: Sequence[Item],
        written: Callable[[PreparedFrames, Item], list[Path]],
        tell: Tell,
    ) -> None:
        """Run a task for the items whose files are not there yet, in several processes if there is enough to do."""
        left = self._left(items, written)
        rows, columns = self.prepared.size
        kept = len(items) - len(left)
        spread = len(left) * rows * columns >= MIN_PIXELS_TO_SPREAD
        self.workers.each(task, left, spread, lambda count: tell(kept + count, len(items), kept))

    def _each_here(
        self,
        task: Callable[[Item], None],
        items: Sequence[Item],
        written: Callable[[PreparedFrames, Item], list[Path]],
        tell: Tell,
    ) -> None:
        """The same in this process: a network is held in memory once, and takes all cores for one item."""
        self.workers.stop()
        left = self._left(items, written)
        kept = len(items) - len(left)
        for count, item in enumerate(left, start=1):
            task(item)
            tell(kept + count, len(items), kept)

    def _looks(
        self, frames: Sequence[int], first_files: Callable[[PreparedFrames, int], list[Path]], tell: Tell
    ) -> tuple[Tell, Tell]:
        """How the first and the last look at all frames tell how far they are: as halves of the stage's work."""
        n, n_kept = len(frames), len(frames) - len(self._left(frames, first_files))
        return (
            lambda done, _, kept: tell(done, 2 * n, kept),
            lambda done, _, kept: tell(n + done, 2 * n, n_kept + kept),
        )

    def _left(self, items: Sequence[Item], written: Callable[[PreparedFrames, Item], list[Path]]) -> Sequence[Item]:
        """Items whose files are not all there."""
        return [item for item in items if not all(path.exists() for path in written(self.prepared, item))]


def _content(weights: Path | None) -> tuple[str | None]:
    """What a stage depends on that may use a network: the hash of its weights."""
    return (None if weights is None else hash_files([weights]),)


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
    for pair in frame_priors.frame_pairs(n_frames, (1,)):
        frame_priors.write_flow_pair(folder, names, flows, pair)
    evidence = MotionEvidence(images, scene.cameras(), (1 / max(depths), 1 / min(depths)))
    first = [evidence(frame) for frame in range(n_frames)]
    for frame, name in enumerate(names):
        writer.write_motion_mask(folder, name, evidence(frame, first))
    report("semantic features and saliency")
    write_features(folder, names, images, SyntheticBackbone(scene))


def write_features(
    folder: Path,
    names: Sequence[str],
    images: Images,
    backbone: Backbone,
    on_frame: Callable[[int], None] = lambda frame: None,
    pyramid: Pyramid = Pyramid(),  # noqa: B008 (stateless)
) -> None:
    """Features of all frames and their PCA, with the network's own saliency where it has one."""
    size = pyramid.feature_size(*images[0].shape[:2])
    with compute_semantics(images, backbone, size, on_frame=on_frame, pyramid=pyramid) as semantics:
        writer.write_pca(folder, semantics.pca.mean, semantics.pca.components, semantics.pca.explained)
        for frame, name in enumerate(names):
            found = semantics[frame]
            writer.write_semantics(folder, name, found.features, found.saliency)
