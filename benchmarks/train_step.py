"""A full training step, all heads and losses, against the published networks on the same scene.

    python benchmarks/train_step.py --preset cpu-preview --json train_step.json

Ours is trained first, so that its occupancy is that of a run in progress; a step's share of the looks around of the
occupancy grid is added to its time. The reference (`field.kind = "reference"`) asks two MLPs of 8 x 256 at 128 samples
of every ray, with the same losses on as large a share of the rays. Either side runs at the batch size at which most
rays pass a second. The unit of work is a ray.
"""

from collections.abc import Callable

import harness
import scenes
import torch
from harness import DEVICE, Timing

from saff_fast.config import override
from saff_fast.train.trainer import Trainer

STEPS_BEFORE = 300
ON_CUDA = DEVICE.type == "cuda"
OUR_SIZES = (8192, 16384, 32768, 65536) if ON_CUDA else (1536, 3072, 6144)
REFERENCE_SIZES = (512, 1024, 2048, 4096) if ON_CUDA else (32, 64, 128)
STEPS = 5  # timed together


def main() -> None:
    parser = harness.parser(__doc__)
    scenes.add_options(parser)
    options = parser.parse_args()
    report = harness.Report(options)
    scene, config = scenes.chosen(options)
    with (
        scenes.new_trainer(scene, config) as trainer,
        scenes.new_trainer(scene, override(config, [scenes.REFERENCE])) as reference,
    ):
        run_steps(trainer, STEPS_BEFORE)
        report.add(compare((trainer, reference), options.preset, report.repeats))
    report.finish()


def compare(sides: tuple[Trainer, Trainer], preset: str, repeats: int) -> harness.Row:
    """Ours and the reference, either at its best batch size."""
    trainer, reference = sides
    steps_between = 2 * trainer.config.train.sweep_every  # for all but the beginning of a run
    n_rays, n_reference = best_batch(trainer, OUR_SIZES, STEPS), best_batch(reference, REFERENCE_SIZES, 1)
    seen: list[dict[str, float]] = []
    runs = (
        lambda: seen.extend(run_steps(trainer, STEPS)),
        lambda: trainer.sweep(torch.Generator().manual_seed(0)),
        lambda: run_steps(reference, 1),
    )
    steps, sweep, theirs = harness.timings(runs, repeats)
    step = Timing(steps.median_ms / STEPS + sweep.median_ms / steps_between, steps.spread_ms / STEPS)
    rate, reference_rate = n_rays / step.median_ms * 1e3, n_reference / theirs.median_ms * 1e3
    per_ray = {
        name: sum(float(s[name]) for s in seen) / len(seen) for name in ("samples_per_ray", "dynamic_samples_per_ray")
    }
    return harness.row(
        "train_step",
        f"a ray; {preset}, {n_rays} rays a step, reference {n_reference}",
        (step, theirs),
        scenes.REFERENCE,
        units=(n_rays, n_reference),
        figures=per_ray
        | {
            "rays_per_s": rate,
            "samples_per_s": rate * per_ray["samples_per_ray"],
            "reference_rays_per_s": reference_rate,
            "reference_samples_per_s": reference_rate * reference.model.occupancy.n_steps,
            "sweep_ms": sweep.median_ms,
        },
    )


def best_batch(trainer: Trainer, sizes: tuple[int, ...], n_steps: int) -> int:
    """The number of rays of which most pass a second, at which the trainer is left."""
    resize = resizer(trainer)

    def trial(n_rays: int) -> None:
        resize(n_rays)
        run_steps(trainer, n_steps)

    best = harness.best_size(sizes, trial)
    resize(best)
    return best


def resizer(trainer: Trainer) -> Callable[[int], None]:
    """Sets the trainer's batch size, leaving the share of moving rays; looks around are no longer due by themselves."""
    share = trainer.config.train.moving_rays / trainer.config.train.rays

    def resize(n_rays: int) -> None:
        keys = f"train.rays={n_rays}", f"train.moving_rays={round(n_rays * share)}", "train.first_sweep=1000000000"
        trainer.config = override(trainer.config, keys)

    return resize


def run_steps(trainer: Trainer, n: int) -> list[dict[str, torch.Tensor]]:
    """Train on for `n` steps; the statistics of each."""
    return [trainer.train_step()[1] for _ in range(n)]


if __name__ == "__main__":
    main()
