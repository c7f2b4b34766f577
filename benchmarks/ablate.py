"""What each lever of training is worth: held-out quality with and without it, over several seeds.

    python benchmarks/ablate.py --json FILE [--rows NAME...] [--seeds 0 1 2] [--steps N] [--scene DIR --truth DIR]

Every row is the preset with a few keys changed, trained, rendered, segmented and scored once a seed. Without `--scene`
that is on the demo's scene, whose novel views have truth; a real scene is trained without the frames of the `holdout`
protocol, on which it is scored. Runs are kept under `runs/ablate/`, by commit, so that a table can be interrupted and
completed. A figure is marked where it is farther from that of the first row than both spread together.
"""

import argparse
import json
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path

import scenes
from command import command
from rich.console import Console
from rich.table import Table

from saff_fast.backends import BackendConfig, resolve_device
from saff_fast.cli.evaluate import score
from saff_fast.config import load_config, override, preset_names
from saff_fast.files import save_json
from saff_fast.playback.views import render_run
from saff_fast.segment.config import SegmentConfig
from saff_fast.segment.pipeline import segment_run
from saff_fast.train.config import ExperimentConfig
from saff_fast.train.run import train
from saff_fast.train.run_folder import commit, environment

COLUMNS = ("input", "static", "moving", "dynamic", "blend_iou", "fg_iou", "seconds")
"""PSNR of input views; of the still and of the moving part of what was held out; of the moving pixels of input views;
overlap of the dynamic share and of the masks with truth; seconds of training."""

ROWS: dict[str, tuple[str, ...]] = {
    "base": (),
    "no warp": ("loss.warp=0",),
    "no optical flow": ("loss.optical_flow=0",),
    "no depth prior": ("loss.depth=0",),
    "depth prior to the end": ("loss.depth_end=1",),
    "no motion evidence": ("loss.motion_missing=0", "loss.motion_present=0", "loss.motion_unfounded=0"),
    "no free dynamic share": ("loss.motion_free=0",),
    "no static render": ("loss.static=0",),
    "static only where nothing moved": ("loss.static_doubtful=0",),
    "static may be clear": ("loss.static_opaque=0",),
    "static may be thick": ("loss.static_spread=0",),
    "no semantics": ("loss.semantic=0", "loss.saliency=0"),
    "no flow regularisers": ("loss.kinetic=0", "loss.flow_smoothness=0", "loss.flow_magnitude=0"),
    "all levels at once": ("field.coarse_to_fine=0",),
    "depth as fine as width": ("field.static.finest_depth=4096", "field.dynamic.finest_depth=4096"),
    "half the time cells": ("field.dynamic.time_cells_per_frame=0.5",),
    "time axis shared": ("field.dynamic.time_axis='shared'",),
    "no sweeps": ("train.first_sweep=1000000",),
    "fewer moving rays": ("train.moving_rays=192",),
    "rays drawn evenly": ("train.detail_share=0",),
}


@dataclass(frozen=True)
class Setting:
    """What all runs of a table have in common."""

    scene: Path
    truth: Path | None
    folder: Path
    """Where the runs are kept."""
    config: ExperimentConfig


def main() -> None:
    options = _parser().parse_args()
    unknown = set(options.rows) - set(ROWS)
    if unknown:
        sys.exit(f"--rows must name rows, got {', '.join(unknown)}; there are {', '.join(ROWS)}")
    setting = _setting(options)
    table = {name: [figures(setting, name, seed) for seed in options.seeds] for name in options.rows}
    print_table(table)
    if options.json is not None:
        device = resolve_device(setting.config.train.device)
        levers = [
            {"name": name, "keys": ROWS[name], "seeds": options.seeds, "runs": runs} for name, runs in table.items()
        ]
        about = {"command": command(), "scene": setting.scene.name, "levers": levers}
        save_json(options.json, environment(device, BackendConfig().resolved(device.type)) | about)


def figures(setting: Setting, name: str, seed: int) -> dict[str, float]:
    """The columns of one run, from its results where it has been made before."""
    run = setting.folder / f"{name.replace(' ', '_')}-{seed}"
    results = run / "results.json"
    if not results.is_file():
        print(f"{name}, seed {seed}", file=sys.stderr)
        train(setting.scene, run, override(setting.config, [*ROWS[name], f"train.seed={seed}"]))
        render_run(run)
        segment_run(run, SegmentConfig())
        save_json(results, score(run, setting.truth))
    return columns(json.loads(results.read_text()))


def columns(results: dict) -> dict[str, float]:
    """What of `evaluate`'s results stands in the table."""
    splits, extra, truth = results.get("splits", {}), results["extra"].get("splits", {}), results.get("truth", {})
    novel = [split for split in extra if split != "input"]
    found = {"input": splits["input"]["psnr"], "dynamic": extra.get("input", {}).get("moving_psnr")}
    for part in ("static", "moving"):
        scores = [extra[split][f"{part}_psnr"] for split in novel if f"{part}_psnr" in extra[split]]
        found[part] = results["held_out"][f"{part}_psnr"] if "held_out" in results else statistics.mean(scores)
    if truth:
        found |= {"blend_iou": truth["blend_iou"], "fg_iou": truth["fg_iou"]}
    else:
        found["blend_iou"] = statistics.mean(extra[split]["dynamic_motion_jaccard"] for split in novel)
        found["fg_iou"] = statistics.mean(splits[split]["fg_jaccard"] for split in novel)
    found["seconds"] = results["seconds"]
    return {name: found[name] for name in COLUMNS if found.get(name) is not None}


def print_table(table: dict[str, list[dict[str, float]]]) -> None:
    """Means and spreads (largest minus smallest); `*` marks what differs from the first row by more."""
    first = next(iter(table.values()))
    shown = Table("row", *(name for name in COLUMNS if name in first[0]))
    for name, runs in table.items():
        shown.add_row(name, *(_cell(runs, first, column) for column in COLUMNS if column in first[0]))
    Console(width=160).print(shown)


def _cell(runs: list[dict[str, float]], first: list[dict[str, float]], column: str) -> str:
    (mean, spread), (base, base_spread) = (_summary(side, column) for side in (runs, first))
    mark = "*" if abs(mean - base) > spread + base_spread and len(runs) > 1 else ""
    digits = 3 if column.endswith("iou") else 0 if column == "seconds" else 2
    return f"{mean:.{digits}f} ±{spread / 2:.{digits}f}{mark}"


def _summary(runs: list[dict[str, float]], column: str) -> tuple[float, float]:
    values = [run[column] for run in runs]
    return statistics.mean(values), max(values) - min(values)


def _setting(options: argparse.Namespace) -> Setting:
    preset = options.preset or ("demo" if options.scene is None else "cpu-preview")
    config = override(load_config(ExperimentConfig, preset), [f"train.steps={options.steps}"] if options.steps else [])
    if options.scene is not None:
        config = override(config, [f"train.hold_out={list(scenes.HELD_OUT)}"])
    scene = options.scene or scenes.demo_scene()
    name = f"{scene.name}-{preset}-{config.train.steps}-{commit()}"
    return Setting(scene, options.truth, Path("runs") / "ablate" / name, config)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write the outcome")
    parser.add_argument("--scene", type=Path, metavar="DIR", help="a prepared scene (default: the demo's)")
    parser.add_argument("--truth", type=Path, metavar="DIR", help="label maps of some frames of that scene")
    parser.add_argument("--preset", choices=preset_names(), help="default: demo, or cpu-preview for a real scene")
    parser.add_argument("--rows", nargs="+", default=list(ROWS), metavar="NAME", help="default: all")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], metavar="N")
    parser.add_argument("--steps", type=int, metavar="N", help="steps of each run (default: the preset's)")
    return parser


if __name__ == "__main__":
    main()
