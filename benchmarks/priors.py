"""How right the priors are that `prepare` computes without any weights, measured against truth.

    python benchmarks/priors.py --json priors.json [--real SCENE TRUTH] [--real SCENE TRUTH] ...

The synthetic scene is prepared from its pictures alone, at the demo's size and at 288 rows (not with `--quick`), and
measured against its exact truth. A prepared scene of real pictures is measured against hand-made label maps in TRUTH
and against its own matched points: a tenth of them is left out of the depth, which is then compared with them. No
figure here is a time.

Figures:
    pose.centres, pose.rotations: Mean error after one similarity, % of the rig's extent and degrees.
    flow.epe: Median end-point error to the next and the last frame where nothing is hidden, pixels.
    depth.static: Median relative error of what stands still after one scale for the video, %.
    depth.sure, depth.unsure: The same of the more and of the less trusted half.
    points.error, points.sure, points.unsure: The same of inverse depth at matched points that were left out.
    motion.iou, motion.recall: Of masks at one half, mean over the frames.
    saliency.auc: How well saliency tells movers from the rest, mean over the frames.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import harness
import numpy as np
from command import command
from jaxtyping import Bool, Float
from numpy import ndarray
from rich.console import Console
from rich.table import Table

from saff_fast import files
from saff_fast.backends import BackendConfig
from saff_fast.cli.demo import HEIGHT, N_FRAMES, WIDTH
from saff_fast.evaluate.geometry_metrics import endpoint_errors
from saff_fast.evaluate.mask_metrics import jaccard, roc_auc
from saff_fast.evaluate.pose_metrics import pose_errors
from saff_fast.evaluate.truth import TruthMask, read_truth_masks
from saff_fast.frame_priors import PreparedFrames, dense_depth, seen_points
from saff_fast.preparation import prepare
from saff_fast.scene.reader import read_scene
from saff_fast.scene.scene import Scene
from saff_fast.scene.synthetic import SyntheticScene, SyntheticView
from saff_fast.train.run_folder import environment

LARGE = 288, 512
HELD_OUT = 0.1
"""Share of the matched points that depth is measured at."""
AT_MOST = {"pose.centres": 1.0, "pose.rotations": 0.3, "flow.epe": 0.5, "depth.static": 5.0}
AT_LEAST = {"motion.iou": 0.6, "saliency.auc": 0.85}
"""What the synthetic scene has to show."""

Figures = dict[str, float]


def main() -> None:
    parser = harness.parser(__doc__)
    parser.add_argument("--real", nargs=2, type=Path, action="append", default=[], metavar=("SCENE", "TRUTH"))
    options = parser.parse_args()
    found = {}
    for height, width in [(HEIGHT, WIDTH)] if options.quick else [(HEIGHT, WIDTH), LARGE]:
        found[f"synthetic {width}x{height}"] = of_synthetic(SyntheticScene(height, width, N_FRAMES))
    for folder, truth in options.real:
        found[folder.name] = of_real(folder, truth)
    print_figures(found)
    if options.json is not None:
        write(options, found)


def of_synthetic(scene: SyntheticScene) -> Figures:
    """Prepare the synthetic scene from its pictures and measure all priors."""
    views = [scene.render(frame, frame) for frame in range(scene.n_frames)]
    with tempfile.TemporaryDirectory() as folder:
        pictures, prepared = Path(folder) / "pictures", Path(folder) / "scene"
        for frame, view in enumerate(views):
            files.write_image(pictures / f"{frame:05d}.png", view.rgb)
        prepare(pictures, prepared, scene.height, report=lambda line: print(line, file=sys.stderr))
        return against_truth(prepared, scene, views)


def against_truth(folder: Path, scene: SyntheticScene, views: list[SyntheticView]) -> Figures:
    """All priors of a prepared folder of the synthetic scene's pictures."""
    prepared, read = PreparedFrames(folder, scene.height), read_scene(folder, scene.height)
    truth = np.stack([view.c2w for view in views])
    poses = pose_errors(prepared.reconstruction.c2w, truth)
    figures = {"pose.centres": 100 * float(poses.centres.mean()), "pose.rotations": float(poses.rotations.mean())}
    figures["flow.epe"] = float(np.median(np.concatenate(list(flow_errors(read, scene, views)))))
    static = ~np.stack([view.motion for view in views])
    ratios = (read.disparities.numpy() * np.stack([view.depth for view in views]))[static]
    figures |= depth_figures("depth.static", ratios / np.median(ratios), read.depth_confidences.numpy()[static])
    everywhere = np.ones(static.shape[1:], bool)
    figures |= mover_figures(read, [TruthMask(k, view.motion.astype(int), everywhere) for k, view in enumerate(views)])
    return figures | point_figures(prepared)


def of_real(folder: Path, truth: Path) -> Figures:
    """What is known of a prepared scene of real pictures."""
    scene = read_scene(folder)
    prepared = PreparedFrames(folder, scene.cameras.height)
    return mover_figures(scene, read_truth_masks(truth, scene.names)) | point_figures(prepared)


def flow_errors(
    read: Scene, scene: SyntheticScene, views: list[SyntheticView]
) -> Iterator[Float[ndarray, " n_visible"]]:
    """End-point errors of what both frames show, of every frame to the next and to the last."""
    for frame, view in enumerate(views):
        for other, flows in ((frame + 1, read.flows_fw), (frame - 1, read.flows_bw)):
            if 0 <= other < len(views):
                true = scene.flow(view, other, other)
                yield endpoint_errors(flows[frame].numpy(), true.flow, ~true.occlusion)


def depth_figures(name: str, ratios: Float[ndarray, " n"], confidences: Float[ndarray, " n"]) -> Figures:
    """Median of `|ratio - 1|` in %, of all and of both halves by trust."""
    errors = 100 * np.abs(ratios - 1)
    order = np.argsort(-confidences, kind="stable")
    sure, unsure = np.array_split(errors[order], 2)
    group = name.partition(".")[0]
    return {name: _median(errors), f"{group}.sure": _median(sure), f"{group}.unsure": _median(unsure)}


def point_figures(prepared: PreparedFrames) -> Figures:
    """Depth at matched points that it was computed without."""
    left_out = held_out(len(prepared.reconstruction.points))
    ratios, confidences = [], []
    for frame in range(len(prepared.names)):
        inverse, confidence = dense_depth(prepared, frame, left_out)
        pixels, depths = seen_points(prepared, frame, left_out)
        x, y = np.floor(pixels).astype(int).T
        ratios.append(inverse[y, x] * depths)
        confidences.append(confidence[y, x])
    return depth_figures("points.error", np.concatenate(ratios), np.concatenate(confidences))


def held_out(n_points: int) -> Bool[ndarray, " n_points"]:
    """A random tenth of the points, always the same."""
    chosen = np.zeros(n_points, bool)
    chosen[np.random.default_rng(0).permutation(n_points)[: round(HELD_OUT * n_points)]] = True
    return chosen


def mover_figures(scene: Scene, truths: list[TruthMask]) -> Figures:
    """Motion masks and saliency of the frames whose movers are known."""
    found = []
    for truth in truths:
        size, true = truth.labels.shape, truth.labels > 0
        motion = _resized(scene.motion_masks[truth.frame].numpy(), size) > 0.5
        saliency = _resized(scene.saliencies[truth.frame].float().numpy(), size)
        seen = true & truth.scored
        found.append(
            (
                jaccard(true, motion, truth.scored),
                float(motion[seen].mean()) if seen.any() else float("nan"),
                roc_auc(true, saliency, truth.scored),
            )
        )
    return dict(zip(("motion.iou", "motion.recall", "saliency.auc"), np.nanmean(found, axis=0).tolist(), strict=True))


def _resized(array: Float[ndarray, "rows columns"], size: tuple[int, int]) -> Float[ndarray, "height width"]:
    return cv2.resize(array, size[::-1], interpolation=cv2.INTER_LINEAR)


def _median(values: Float[ndarray, " n"]) -> float:
    return float(np.median(values))


def print_figures(found: dict[str, Figures]) -> None:
    """A table with a column a scene."""
    table = Table("figure", "bar", *found)
    for name in next(iter(found.values())):
        bar = f"< {AT_MOST[name]:g}" if name in AT_MOST else f">= {AT_LEAST[name]:g}" if name in AT_LEAST else ""
        table.add_row(name, bar, *(f"{figures[name]:.3g}" if name in figures else "-" for figures in found.values()))
    Console(width=None if sys.stdout.isatty() else 200).print(table)


def write(options: argparse.Namespace, found: dict[str, Figures]) -> None:
    """The figures, the bars, and under which circumstances they were measured."""
    document = environment(harness.DEVICE, BackendConfig().resolved(harness.DEVICE.type))
    document |= {"command": command(), "quick": options.quick}
    document |= {"bars": {"at_most": AT_MOST, "at_least": AT_LEAST}, "figures": found}
    files.save_json(options.json, document)


if __name__ == "__main__":
    main()
