"""`saff-fast train`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from saff_fast.cli.quantities import gibibytes, seconds
from saff_fast.errors import UserError

if TYPE_CHECKING:
    from saff_fast.train.config import ExperimentConfig

_OF_PRESET = "(default: the preset's)"


def train(
    scene: Annotated[Path, tyro.conf.arg(metavar="SCENE")],
    /,
    out: Annotated[Path, tyro.conf.arg(metavar="RUN")],
    preset: Annotated[str, tyro.conf.arg(metavar="NAME")] = "cpu-preview",
    hold_out: Annotated[str, tyro.conf.arg(metavar="FRAMES", help_behavior_hint="(default: none)")] = "",
    steps: Annotated[int | None, tyro.conf.arg(metavar="INT", help_behavior_hint=_OF_PRESET)] = None,
    seed: Annotated[int | None, tyro.conf.arg(metavar="INT", help_behavior_hint=_OF_PRESET)] = None,
    device: Annotated[
        Literal["auto", "cpu", "cuda"] | None,
        tyro.conf.arg(metavar="{auto,cpu,cuda}", help_behavior_hint=_OF_PRESET),
    ] = None,
    time_budget: Annotated[str | None, tyro.conf.arg(metavar="TIME", help_behavior_hint="(default: none)")] = None,
    max_memory: Annotated[str | None, tyro.conf.arg(metavar="SIZE", help_behavior_hint="(default: none)")] = None,
    tensorboard: bool = False,
    config: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="(default: none)")] = None,
    assignments: Annotated[
        tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(name="set", metavar="SECTION.KEY=VALUE")
    ] = (),
) -> None:
    """Train the fields of a scene. The same command again goes on from the last checkpoint.

    Later wins: preset, --config, the options here, --set. RUN/config.toml lists all keys.

    Args:
        scene: Scene folder of `saff-fast prepare`.
        out: Run folder to write or to go on with.
        preset: Named configuration: demo, cpu-preview or nvidia.
        hold_out: Frames kept from training, to be scored [indices, such as 4,10,16].
        steps: Training steps.
        seed: Seed of initial values and batches.
        device: Where to train; auto is CUDA where it can be used.
        time_budget: Train this long instead, annealed to the end; not reproducible [90s, 10m, 1h30m].
        max_memory: Fewer rays a step if need be, to stay within this memory [8G, 500M].
        tensorboard: Write RUN/tensorboard too.
        config: TOML file with the keys that differ from the preset.
        assignments: One key, such as field.static.n_levels=14.
    """
    flags = {
        "hold_out": _frames(hold_out) if hold_out else None,
        "steps": steps,
        "seed": seed,
        "device": device,
        "time_budget": seconds("--time-budget", time_budget) if time_budget is not None else None,
        "max_memory": gibibytes("--max-memory", max_memory) if max_memory is not None else None,
    }
    given = [f"train.{key}={value}" for key, value in flags.items() if value is not None]
    resolved = resolve(preset, config, [*given, *assignments])

    from saff_fast.cli.progress import ProgressLine, describe
    from saff_fast.distributed import joined, rank
    from saff_fast.train.trainer import train as run_train

    with joined(resolved.train.device), ProgressLine() as line:
        run_train(scene, out, resolved, lambda progress: line.show(describe(progress)), line.note, tensorboard)
        if rank() == 0:
            line.note(f"Trained: {out}")


def resolve(preset: str, file: Path | None, assignments: list[str]) -> "ExperimentConfig":
    """The configuration of a run from its layers: defaults, preset, file, single keys."""
    from saff_fast.config import load_config, override, preset_path
    from saff_fast.train.config import ExperimentConfig

    config = load_config(ExperimentConfig, preset_path(preset))
    if file is not None:
        config = load_config(ExperimentConfig, file, config)
    return override(config, assignments)


def _frames(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise UserError(f"--hold-out must be frame indices with commas, such as 4,10,16,22, got {text!r}") from None
