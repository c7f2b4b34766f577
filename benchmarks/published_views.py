"""A run at the published resolution against the published renders, as it trains.

    python benchmarks/published_views.py SCENE --out RUN [--json FILE] [--preset cpu] [--every 300]

Trains RUN with the frames of the `holdout` protocol held out, or goes on with it, and keeps a snapshot of it every so
many seconds of training. Each is scored on the ten training views of the `page-codec` protocol, all of which the run
trains on, and on the frames that it does not: a point of the curve in FILE and in an SVG beside it. A snapshot is a run
on its way, whose step size has not come down: a run that ends there would score more.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import scenes
from command import command
from jaxtyping import UInt8
from numpy import ndarray
from svg import Line, plot

from saff_fast.backends import BackendConfig, resolve_device
from saff_fast.evaluate.protocols.holdout import score_held_out
from saff_fast.evaluate.protocols.page_codec import PAGE_VIEWS, published_figures, score_page_codec
from saff_fast.files import save_json, save_text
from saff_fast.playback.renderer import ShotRenderer
from saff_fast.playback.shot import shot_of
from saff_fast.scene.layout import scene_name
from saff_fast.scene.reader import read_scene
from saff_fast.scene.scene import Scene
from saff_fast.train.checkpoint import load_checkpoint
from saff_fast.train.rendering import load_run
from saff_fast.train.run_folder import environment, read_config
from saff_fast.train.texturing import textures_of

COLOURS = {
    "trained views": "#1f77b4",
    "the same after the codec": "#17becf",
    "SAFF after the codec": "#000000",
    "held out, still": "#2ca02c",
    "held out, moving": "#d62728",
}


@dataclass(frozen=True)
class Point:
    """What a run scores after some training; PSNR in dB, means over views."""

    step: int
    seconds: float
    codec_psnr: float
    """Of the ten views, after the codec that the published renders went through."""
    codec_ssim: float
    direct_psnr: float
    """Of the same, without it."""
    static_psnr: float
    """Of what stands still in held-out frames."""
    moving_psnr: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scene", type=Path, metavar="SCENE", help="one of the published scenes, prepared")
    parser.add_argument("--out", type=Path, required=True, metavar="RUN", help="the run folder")
    parser.add_argument("--preset", default="cpu", metavar="NAME")
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="keys of the configuration")
    parser.add_argument("--every", type=float, default=300.0, metavar="S", help="seconds between two points")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the curve goes, and as a picture beside it")
    options = parser.parse_args()
    assignments = [part for assignment in options.set for part in ("--set", assignment)]
    train(options.scene, options.out, ["--preset", options.preset, *assignments], options.every)
    scene = read_scene(options.scene, read_config(options.out).train.height)
    curve = []
    for snapshot in sorted((options.out / "snapshots").iterdir()):
        curve.append(point(snapshot, scene))
        print(", ".join(f"{name} {value:.4g}" for name, value in asdict(curve[-1]).items()))
    if options.json is not None:
        save(options.json, options.scene, options.out, curve)


def train(scene: Path, run: Path, settings: list[str], every: float) -> None:
    """Train a run in a process of its own, keeping a link to a checkpoint every so many seconds, and to the last."""
    held_out = ",".join(str(frame) for frame in scenes.HELD_OUT)
    arguments = ["train", f"{scene}", "--out", f"{run}", "--hold-out", held_out, *settings]
    with subprocess.Popen([sys.executable, "-P", "-m", "saff_fast", *arguments]) as training:
        kept = time.monotonic()
        while training.poll() is None:
            time.sleep(1)
            checkpoint = run / "checkpoints" / "latest"
            if checkpoint.is_file() and time.monotonic() - kept >= every:
                keep(run)
                kept = time.monotonic()
    if training.returncode:
        sys.exit(training.returncode)
    keep(run)


def keep(run: Path) -> None:
    """Make a run of its own of the newest checkpoint, without a copy of it."""
    name = (run / "checkpoints" / "latest").read_text().strip()
    snapshot = run / "snapshots" / Path(name).stem
    if snapshot.is_dir():
        return
    (snapshot / "checkpoints").mkdir(parents=True)
    os.link(run / "checkpoints" / name, snapshot / "checkpoints" / name)
    for file in ("config.toml", "meta.json"):
        (snapshot / file).write_bytes((run / file).read_bytes())
    # Not copied: the run may have written the next one meanwhile.
    (snapshot / "checkpoints" / "latest").write_text(f"{name}\n")


def point(run: Path, scene: Scene) -> Point:
    """Score a run on the published views, and on the frames that it was not trained on."""
    checkpoint, config = load_checkpoint(run / "checkpoints"), read_config(run).train
    assert checkpoint is not None
    model, frames = load_run(run), scene.images.numpy()
    if config.textures and model.textures is None:  # a run on its way has none of its own
        scene = scene.to(model.cameras.c2w.device)
        model = replace(model, textures=textures_of(model, scene.images, scene.motion_masks, model.trained))
    renderer = ShotRenderer(model)
    learned = replace(renderer, textures=False)  # a trained view with textures would be its frame
    published = score_page_codec(
        np.stack([picture for picture, _ in renders(learned, PAGE_VIEWS)]), frames[list(PAGE_VIEWS)]
    )
    unseen = [
        score_held_out(picture, opacity, frames, frame)
        for frame, (picture, opacity) in zip(config.hold_out, renders(renderer, config.hold_out), strict=True)
    ]
    return Point(
        step=checkpoint.step,
        seconds=checkpoint.seconds,
        codec_psnr=published["psnr"],
        codec_ssim=published["ssim"],
        direct_psnr=published["direct_psnr"],
        static_psnr=float(np.mean([scores["static_psnr"] for scores in unseen])),
        moving_psnr=float(np.mean([scores["moving_psnr"] for scores in unseen])),
    )


def renders(renderer: ShotRenderer, frames: tuple[int, ...]) -> Iterator[tuple[UInt8[ndarray, "h w 3"], ndarray]]:
    """What the cameras of these frames see at their times, and how opaque it is."""
    for frame in frames:
        maps = renderer.render(shot_of(renderer.model, frame, frame), ["rgb", "opacity"])
        yield np.round(maps["rgb"].clamp(0, 1).cpu().numpy() * 255).astype(np.uint8), maps["opacity"].cpu().numpy()


def save(path: Path, scene: Path, run: Path, curve: list[Point]) -> None:
    """The curve as JSON, and as an SVG beside it."""
    name, config = scene_name(scene), read_config(run)
    published = published_figures(name)
    device = resolve_device(config.train.device)
    about = {"command": command(), "scene": name, "published": published}
    about |= {"steps": config.train.steps, "curve": [asdict(one) for one in curve]}
    save_json(path, environment(device, BackendConfig().resolved(device.type)) | about)
    minutes = [float(f"{one.seconds / 60:.2g}") for one in curve]
    lines = {
        "trained views": [one.direct_psnr for one in curve],
        "the same after the codec": [one.codec_psnr for one in curve],
        "held out, still": [one.static_psnr for one in curve],
        "held out, moving": [one.moving_psnr for one in curve],
    }
    if "SAFF" in published:
        lines["SAFF after the codec"] = [published["SAFF"]["psnr"]] * len(curve)
    drawn = [Line(label, COLOURS[label], list(zip(minutes, values, strict=True))) for label, values in lines.items()]
    save_text(path.with_suffix(".svg"), plot(f"{name}: PSNR [dB]", "minutes of training", drawn, linear_y=True))


if __name__ == "__main__":
    main()
