"""`saff-fast train`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from saff_fast.errors import UserError

if TYPE_CHECKING:
    from saff_fast.train.config import ExperimentConfig


def train(
    scene: Annotated[Path, tyro.conf.arg(metavar="SCENE")],
    /,
    out: Path,
    preset: str = "cpu-preview",
    hold_out: Annotated[str, tyro.conf.arg(metavar="FRAMES")] = "",
    steps: int | None = None,
    seed: int | None = None,
    config: Path | None = None,
    set: Annotated[tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(metavar="SECTION.KEY=VALUE")] = (),
) -> None:
    """Train the fields of one scene. The same command again goes on from the last checkpoint.

    Later wins: preset, --config, --steps and --seed, --set. RUN/config.toml holds the outcome and lists every key.

    Args:
        scene: Scene folder of `saff-fast prepare`.
        out: Run folder to write or to go on with.
        preset: Named configuration.
        hold_out: Frames kept from training to be scored later [indices from 0, such as 4,10,16,22].
        steps: Training steps in place of the preset's [iterations].
        seed: Seed in place of the preset's.
        config: TOML file of keys that differ from the preset.
        set: One key, such as field.static.n_levels=14; may be repeated.
    """
    from saff_fast.train.trainer import train as run_train

    run_train(scene, out, resolve(preset, config, hold_out, steps, seed, set))


def resolve(
    preset: str, file: Path | None, hold_out: str, steps: int | None, seed: int | None, assignments: tuple[str, ...]
) -> "ExperimentConfig":
    """The configuration of a run from its layers: defaults, preset, file, flags, single keys."""
    from saff_fast.config import load_config, override
    from saff_fast.train.config import ExperimentConfig

    config = load_config(ExperimentConfig, preset)
    if file is not None:
        config = load_config(ExperimentConfig, file, config)
    flags = {"hold_out": _frames(hold_out) if hold_out else None, "steps": steps, "seed": seed}
    return override(config, [f"{key}={value}" for key, value in flags.items() if value is not None] + [*assignments])


def _frames(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise UserError(f"--hold-out must be frame indices with commas, such as 4,10,16,22, got {text!r}") from None
