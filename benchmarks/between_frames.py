"""Times between frames, on the demo scene: the field itself against both neighbours splatted along scene flow; flicker.

    python benchmarks/between_frames.py --run RUN [--json between_frames.json]

PSNR of all pixels and of those that move, at times k and k + 1/2, against what the scene truly looks like then: from
camera 0, which filmed none of these times but a few, and from the camera that filmed frame k. Flicker: PSNR between
neighbouring pictures of a video from camera 0, of pixels that truly show nothing that moves in either; at the frames,
and in slow motion with a picture between any two. RUN is the run of `saff-fast demo`.
"""

import statistics
from pathlib import Path

import cv2
import harness
import numpy as np
from command import command
from numpy import ndarray
from rich.console import Console
from rich.table import Table

from saff_fast.cli.demo import HEIGHT, N_FRAMES, WIDTH
from saff_fast.evaluate.image_metrics import psnr
from saff_fast.files import save_json
from saff_fast.playback.renderer import ShotRenderer
from saff_fast.playback.shot import shot_of
from saff_fast.scene.synthetic.content import N_CAMERAS
from saff_fast.scene.synthetic.generator import SyntheticScene
from saff_fast.train.rendering import load_run
from saff_fast.train.run_folder import commit

Looks = list[tuple[int, float]]


def main() -> None:
    parser = harness.parser(__doc__)
    parser.add_argument("--run", type=Path, metavar="RUN", required=True, help="the run of `saff-fast demo`")
    options = parser.parse_args()
    model = load_run(options.run)
    scene = SyntheticScene(HEIGHT, WIDTH, N_FRAMES)
    frames = range(1, N_FRAMES - 1, 4 if options.quick else 1)
    ways = {
        "frames": (ShotRenderer(model), 0.0),
        "field": (ShotRenderer(model, between="field"), 0.5),
        "splat": (ShotRenderer(model, between="splat"), 0.5),
    }
    report = {
        camera: {
            name: scores(scene, way, [(camera_of(k), k + later) for k in frames]) for name, (way, later) in ways.items()
        }
        for camera, camera_of in {"camera 0": lambda k: 0, "camera of the frame": lambda k: k}.items()
    }
    show(report)
    steady = {
        f"a picture every {step:g} frames": flicker(scene, ShotRenderer(model), step, options.quick)
        for step in (1.0, 0.5)
    }
    for speed, values in steady.items():
        print(f"Still pixels of neighbouring pictures, {speed}: {values['mean']:.1f} dB, least {values['least']:.1f}")
    if options.json is not None:
        about = {"commit": commit(), "command": command()}
        save_json(options.json, about | {"psnr": report, "flicker_psnr": steady})


def scores(scene: SyntheticScene, renderer: ShotRenderer, looks: Looks) -> dict[str, float]:
    """Mean PSNR of these cameras at these times."""
    truths = [scene.render(camera % N_CAMERAS, time) for camera, time in looks]
    images = [shown(renderer, camera, time) for camera, time in looks]
    pairs = list(zip(images, truths, strict=True))
    return {
        "all": statistics.mean(psnr(image, truth.rgb) for image, truth in pairs),
        "moving": statistics.mean(psnr(image, truth.rgb, truth.motion) for image, truth in pairs),
    }


def flicker(scene: SyntheticScene, renderer: ShotRenderer, step: float, quick: bool) -> dict[str, float]:
    """Mean and least PSNR between neighbouring pictures from camera 0, of pixels that are still in both."""
    times = np.arange(0, 3 if quick else N_FRAMES - 1 + step / 2, step).tolist()
    images = [shown(renderer, 0, time) for time in times]
    # A pixel beside a mover shows some of it.
    still = [cv2.dilate(scene.render(0, time).motion.astype(np.uint8), np.ones((3, 3))) == 0 for time in times]
    values = [
        psnr(image, following, here & there)
        for image, following, here, there in zip(images, images[1:], still, still[1:], strict=False)
    ]
    return {"mean": statistics.mean(values), "least": min(values)}


def shown(renderer: ShotRenderer, camera: int, time: float) -> ndarray:
    rgb = renderer.render(shot_of(renderer.model, camera, time), ["rgb"])["rgb"]
    return np.round(rgb.cpu().numpy() * 255).astype(np.uint8)


def show(report: dict[str, dict[str, dict[str, float]]]) -> None:
    table = Table("camera", "pixels", "at frames", "between: field", "between: splat")
    for camera, ways in report.items():
        for pixels in ("all", "moving"):
            table.add_row(camera, pixels, *(f"{ways[way][pixels]:.2f}" for way in ("frames", "field", "splat")))
    Console().print(table)


if __name__ == "__main__":
    main()
