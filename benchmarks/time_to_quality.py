"""What pictures score after equal time to train: hash grids against the published networks.

    python benchmarks/time_to_quality.py --json time_to_quality.json [--scene DIR] [--preset NAME] [--seconds 60 120]

Each time is a run of its own that anneals to its end, as a user's would. The published networks train with the
published objective, schedule and rays a step, on the same pictures, features and priors. Views of input cameras and, in
a scene that has them (`mv_images/`), views that no camera saw at that time; a sixteenth of their pixels.
"""

import statistics
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import harness
import numpy as np
import scenes
import torch
from harness import Timing
from jaxtyping import UInt8

from saff_fast.config import load_config, override
from saff_fast.evaluate.image_metrics import psnr
from saff_fast.evaluate.truth import SceneTruth
from saff_fast.geometry.rays import pixel_rays
from saff_fast.render.views import View, protocol_views
from saff_fast.scene.reader import read_scene
from saff_fast.train.checkpoint import load_checkpoint
from saff_fast.train.config import ExperimentConfig
from saff_fast.train.model import SceneModel
from saff_fast.train.rendering import load_run
from saff_fast.train.run import train

SECONDS = (30.0, 60.0, 120.0, 240.0)
SECONDS_QUICK = (20.0,)
EVERY = 4
"""Rows and columns of which one is scored."""
VIEWS = 6
"""Views of each split that are scored."""


@dataclass(frozen=True)
class Outcome:
    """What a run of a given time has come to."""

    seconds: float
    steps: int
    scores: dict[str, float]
    """PSNR by split: of input cameras, and of others where there is truth."""


class Pictures:
    """What cameras saw, of whatever view there is something to see."""

    def __init__(self, scene: Path, height: int) -> None:
        self._seen = read_scene(scene, height).images.numpy()
        self._rig = SceneTruth(scene, *self._seen.shape[1:3])

    def __call__(self, view: View) -> UInt8[np.ndarray, "height width 3"] | None:
        """The picture of a view."""
        return self._seen[view.pose] if view.pose == view.time else self._rig.picture(view)


def main() -> None:
    parser = harness.parser(__doc__)
    scenes.add_options(parser)
    parser.add_argument("--seconds", type=float, nargs="+", metavar="S", help="times to train (default: up to 240)")
    options = parser.parse_args()
    report = harness.Report(options)
    scene = options.scene or scenes.demo_scene()
    height = [] if options.scene else [f"train.height={scenes.HEIGHT}"]
    for seconds in options.seconds or (SECONDS_QUICK if options.quick else SECONDS):
        sides = []
        for preset in (options.preset, "published"):
            config = load_config(ExperimentConfig, preset)
            config = override(config, [*height, f"train.time_budget={seconds}", f"train.device={harness.DEVICE.type}"])
            sides.append(outcome(scene, config))
        ours, reference = sides
        figures = {f"{split}_psnr": value for split, value in ours.scores.items()}
        figures |= {f"reference_{split}_psnr": value for split, value in reference.scores.items()}
        report.add(
            harness.row(
                f"time_to_quality.{seconds:g}",
                f"a run; {options.preset}, scene {options.scene.name if options.scene else 'demo'}",
                tuple(Timing(side.seconds * 1e3, 0.0) for side in sides),
                "published networks, objective and schedule",
                figures=figures | {"seconds": seconds, "steps": ours.steps, "reference_steps": reference.steps},
            )
        )
    report.finish()


def outcome(scene: Path, config: ExperimentConfig) -> Outcome:
    """Train a run, and score it."""
    with tempfile.TemporaryDirectory() as run:
        train(scene, Path(run) / "run", config)
        checkpoint = load_checkpoint(Path(run) / "run" / "checkpoints")
        model = load_run(Path(run) / "run", config.train.device)
    assert checkpoint is not None
    return Outcome(checkpoint.seconds, checkpoint.step, dict(scores(model, Pictures(scene, config.train.height))))


def scores(model: SceneModel, pictures: Pictures) -> Iterator[tuple[str, float]]:
    """Mean PSNR by split, novel views in one."""
    views = protocol_views(model.n_frames)
    splits = {
        "input": [view for view in views if view.split == "input"],
        "novel": [view for view in views if view.pose != view.time],
    }
    for split, found in splits.items():
        known = [(view, picture) for view in found if (picture := pictures(view)) is not None]
        if known:
            yield split, statistics.mean(score(model, *pair) for pair in known[:: -(-len(known) // VIEWS)])


@torch.no_grad()
def score(model: SceneModel, view: View, picture: UInt8[np.ndarray, "height width 3"]) -> float:
    """PSNR of some of a view's pixels."""
    h, w = model.cameras.height, model.cameras.width
    pixels = model.cameras.pixel_grid().reshape(h, w, 2)[EVERY // 2 :: EVERY, EVERY // 2 :: EVERY].reshape(-1, 2)
    rows, columns = pixels[:, 1].long().cpu().numpy(), pixels[:, 0].long().cpu().numpy()
    parts = []
    for part in pixels.split(model.occupancy.rays_at_once):
        poses = torch.full((len(part),), view.pose, device=part.device)
        times = torch.full((len(part),), float(view.time), device=part.device)
        parts.append(model.renderer(pixel_rays(model.space, model.cameras, poses, part, times)).outputs.rgb)
    rgb = torch.cat(parts).clamp(0, 1).cpu().numpy()
    seen = picture[rows, columns].astype(np.float64) / 255
    return psnr(rgb[:, None].astype(np.float64), seen[:, None])


if __name__ == "__main__":
    main()
