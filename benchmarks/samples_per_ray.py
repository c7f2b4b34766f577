"""How many samples a ray is left with after 300 steps, and whether the picture suffers.

    python benchmarks/samples_per_ray.py --json samples_per_ray.json [--scene DIR]

Two runs from one seed, with frames held out: one with the occupancy grid, one that marches every cell from the first
step to the last. The row gives the time of a step, against that of the run that marches every cell, and what both
runs' views score, those that were trained on and those that were held out.
"""

import statistics
import time

import harness
import scenes
import torch
from harness import Timing

from saff_fast.config import override
from saff_fast.evaluate.image_metrics import psnr
from saff_fast.playback.renderer import ShotRenderer
from saff_fast.playback.shot import shot_of
from saff_fast.scene.scene import Scene
from saff_fast.train.config import ExperimentConfig
from saff_fast.train.trainer import Trainer
from saff_fast.train.untrained import carry_occupancy

STEPS = 300
FIRST_HELD_OUT, HELD_OUT_EVERY = 4, 6
QUICK_RAYS = 384
# Without looking around no cell is dropped; below zero, times without a training frame keep theirs too.
EVERY_CELL = ("train.first_sweep=1000000000", "occupancy.dynamic_threshold=-1.0")


def main() -> None:
    parser = harness.parser(__doc__)
    scenes.add_options(parser)
    options = parser.parse_args()
    report = harness.Report(options)
    fewer = (f"train.rays={QUICK_RAYS}", f"train.moving_rays={QUICK_RAYS // 4}") if options.quick else ()
    scene, config = scenes.chosen(options, f"train.steps={STEPS}", *fewer)
    held_out = list(range(FIRST_HELD_OUT, len(scene), HELD_OUT_EVERY))
    config = override(config, [f"train.hold_out={held_out}"])
    ours, figures = run(scene, config, every_cell=False)
    every_cell, reference_figures = run(scene, override(config, EVERY_CELL), every_cell=True)
    figures |= {f"every_cell_{name}": value for name, value in reference_figures.items()}
    where = options.scene.name if options.scene else "demo"
    report.add(
        harness.row(
            "samples_per_ray",
            f"a step of {config.train.rays} rays; {options.preset}, scene {where}",
            (ours, every_cell),
            "every cell marched",
            figures=figures,
        )
    )
    report.finish()


def run(scene: Scene, config: ExperimentConfig, every_cell: bool) -> tuple[Timing, dict[str, float]]:
    """Time of a training step; samples a ray and scores after the last one."""
    with scenes.new_trainer(scene, config) as trainer:
        if every_cell:
            occupancy = trainer.model.occupancy
            everything = torch.ones_like(occupancy.static_candidates), torch.ones_like(occupancy.dynamic_candidates)
            occupancy.seed(*everything, occupancy.trained.clone())
        milliseconds = []
        for _ in range(config.train.steps):
            start = time.perf_counter()
            trainer.train_step()
            milliseconds.append((time.perf_counter() - start) * 1e3)
    low, middle, high = statistics.quantiles(milliseconds, n=4)
    if not every_cell:
        carry_occupancy(trainer.model)
    return Timing(middle, high - low), samples(trainer) | scores(trainer, scene)


@torch.no_grad()
def samples(trainer: Trainer) -> dict[str, float]:
    """Mean number of samples of the pixels' rays, over all trained frames."""
    model = trainer.model
    frames = model.occupancy.trained.nonzero().flatten().tolist()
    pixels = model.cameras.pixel_grid()[:: len(frames)]
    counts = []
    for frame in frames:
        marched = model.occupancy.march(model.frame_rays(frame, pixels), None)
        counts.append((len(marched.t_starts) / len(pixels), len(marched.dynamic_indices) / len(pixels)))
    every, dynamic = (sum(values) / len(counts) for values in zip(*counts, strict=True))
    return {"samples_per_ray": every, "dynamic_samples_per_ray": dynamic}


def scores(trainer: Trainer, scene: Scene) -> dict[str, float]:
    """PSNR of the views that were trained on, as many of them as were held out, and of those that were."""
    held_out, renderer = trainer.config.train.hold_out, ShotRenderer(trainer.model)
    trained = [frame - 1 for frame in held_out]
    found = {}
    for name, frames in (("psnr", trained), ("held_out_psnr", held_out)):
        views = [
            renderer.render(shot_of(trainer.model, frame, frame), ["rgb"])["rgb"].cpu().numpy() for frame in frames
        ]
        truths = [scene.images[frame].cpu().numpy() for frame in frames]
        found[name] = statistics.mean(psnr(view, truth) for view, truth in zip(views, truths, strict=True))
    return found


if __name__ == "__main__":
    main()
