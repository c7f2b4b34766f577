"""`saff-fast train`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from saff_fast.cli.quantities import gibibytes, seconds
from saff_fast.cli.view import beside_training, check_viser
from saff_fast.errors import UserError

if TYPE_CHECKING:
    from saff_fast.saff.options import Translation
    from saff_fast.train.config import ExperimentConfig
    from saff_fast.train.record import Progress

_OF_PRESET = "(default: the preset's)"
_ODD_EVEN = ("even", "odd")


def train(
    scene: Annotated[
        Path | None, tyro.conf.arg(metavar="SCENE", help_behavior_hint="(default: datadir of --saff-config)")
    ] = None,
    /,
    *,
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
    view: bool = False,
    saff_config: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="(default: none)")] = None,
    config: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="(default: none)")] = None,
    assignments: Annotated[
        tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(name="set", metavar="SECTION.KEY=VALUE")
    ] = (),
) -> None:
    """Train the fields of a scene. The same command again goes on from the last checkpoint.

    Later wins: preset, --saff-config, --config, the options here, --set. RUN/config.toml lists all keys.

    Args:
        scene: Scene folder of `saff-fast prepare`.
        out: Run folder to write or to go on with.
        preset: Named configuration: demo, cpu-preview, cpu, nvidia or published.
        hold_out: Frames kept from training, to be scored [indices, such as 4,10,16; odd; even].
        steps: Training steps.
        seed: Seed of initial values and batches.
        device: Where to train; auto is CUDA where it can be used.
        time_budget: Train this long instead, annealed to the end; not reproducible [90s, 10m, 1h30m].
        max_memory: Fewer rays a step if need be, to stay within this memory [8G, 500M].
        tensorboard: Write RUN/tensorboard too.
        view: Show the newest checkpoint in the browser meanwhile, as `saff-fast view RUN` does.
        saff_config: Configuration file of SAFF, such as config_balloon1-2_4.txt.
        config: TOML file with the keys that differ from the preset.
        assignments: One key, such as field.static.n_levels=14.
    """
    from saff_fast.saff.options import read_saff_config

    flags = {
        "steps": steps,
        "seed": seed,
        "device": device,
        "time_budget": seconds("--time-budget", time_budget) if time_budget is not None else None,
        "max_memory": gibibytes("--max-memory", max_memory) if max_memory is not None else None,
    }
    given = [f"train.{key}={value}" for key, value in flags.items() if value is not None]
    resolved = resolve(preset, config, [*given, *assignments])
    published = None if saff_config is None else read_saff_config(saff_config, resolved.field.kind)
    scene = _scene(scene, published)
    if hold_out:
        given.append(f"train.hold_out={_frames(hold_out, scene)}")
    resolved = resolve(preset, config, [*given, *assignments], published)

    from saff_fast.cli.progress import ProgressLine, describe
    from saff_fast.distributed import joined, rank
    from saff_fast.train.run import train as run_train

    if view:
        check_viser()

    notes = {} if published is None else {"saff_config.txt": f"{published}\n"}
    with joined(resolved.train.device), ProgressLine() as line, beside_training(out) as start_view:

        def report(progress: "Progress") -> None:
            line.show(describe(progress))
            if view:
                start_view()

        if rank() == 0 and published is not None:
            line.note(str(published))
        run_train(
            scene,
            out,
            resolved,
            report=report,
            notice=line.note,
            tensorboard=tensorboard,
            notes=notes,
        )
        if rank() == 0:
            line.note(f"Trained: {out}")


def resolve(
    preset: str, file: Path | None, assignments: list[str], published: "Translation | None" = None
) -> "ExperimentConfig":
    """The configuration of a run from its layers: defaults, preset, SAFF's file, our file, single keys."""
    from saff_fast.config import load_config, override, preset_path
    from saff_fast.train.config import ExperimentConfig

    config = load_config(ExperimentConfig, preset_path(preset))
    if published is not None:
        config = override(config, published.assignments, str(published.source))
    if file is not None:
        config = load_config(ExperimentConfig, file, config)
    return override(config, assignments)


def _scene(given: Path | None, published: "Translation | None") -> Path:
    """The scene folder, by any name of the same scene."""
    from saff_fast.scene.nvidia import existing_folder

    scene = published.datadir if given is None and published is not None else given
    if scene is None:
        raise UserError("train: SCENE must be given, or a --saff-config that has datadir, but neither is")
    return existing_folder(scene)


def _frames(text: str, scene: Path) -> list[int]:
    if text in _ODD_EVEN:
        from saff_fast.scene.reader import read_frames

        return list(range(_ODD_EVEN.index(text), len(read_frames(scene).names), 2))
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise UserError(
            f"--hold-out must be odd, even or frame indices with commas, such as 4,10,16,22, got {text!r}"
        ) from None
