"""Frames a second of a trained scene, against the published networks.

    python benchmarks/render_fps.py --json render_fps.json [--run RUN]

At 136 x 72 and 546 x 288 pixels: `rgb` is the picture alone, `all` every modality that needs no segmentation. The
reference renders a strip of pixels, 128 samples of both networks each, and is compared by the pixel.
"""

import dataclasses

import harness
import scenes
import torch
from harness import DEVICE
from torch import Tensor

from saff_fast.fields.scene_field import FieldConfig
from saff_fast.playback.modalities import MODALITIES
from saff_fast.playback.renderer import ShotRenderer
from saff_fast.playback.shot import shot_of
from saff_fast.render.occupancy import OccupancyConfig
from saff_fast.train.model import SceneModel, build_model
from saff_fast.train.rendering import load_run

SIZES = ((72, 136), (288, 546))
EVERYTHING = [name for name in MODALITIES if name != "labels"]
STRIP = 1 << 14 if DEVICE.type == "cuda" else 256


def main() -> None:
    parser = harness.parser(__doc__)
    scenes.add_run_options(parser)
    options = parser.parse_args()
    report = harness.Report(options)
    with scenes.trained_run(options) as run:
        model = load_run(run)
    for height, width in SIZES:
        report.add(*rows(resized(model, height, width), report.repeats))
    report.finish()


def resized(model: SceneModel, height: int, width: int) -> SceneModel:
    return dataclasses.replace(model, cameras=model.cameras.resized(height, width))


def published_networks(model: SceneModel) -> SceneModel:
    """Untrained, on the cameras and in the space of a model."""
    n_semantic = model.field.static_semantics.out_features
    return build_model(FieldConfig(kind="reference"), OccupancyConfig(), model.cameras, model.space, n_semantic)


def rows(model: SceneModel, repeats: int) -> list[harness.Row]:
    """Colour alone and everything, at the model's size, of the middle frame."""
    frame, size = model.n_frames // 2, (model.cameras.height, model.cameras.width)
    pixels = model.cameras.pixel_grid()
    reference = published_networks(model)
    middle = (len(pixels) - min(STRIP, len(pixels))) // 2
    strip = pixels[middle : middle + STRIP]
    renderer, shot = ShotRenderer(model), shot_of(model, frame, frame)
    runs = (
        lambda: renderer.render(shot, ["rgb"]),
        lambda: renderer.render(shot, EVERYTHING),
        lambda: rgb(reference, strip, frame),
    )
    *ours, theirs = harness.timings(runs, repeats)
    return [
        harness.row(
            f"render_{size[1]}x{size[0]}.{what}",
            f"a pixel, {len(pixels)} a frame",
            (timing, theirs),
            scenes.REFERENCE,
            units=(len(pixels), len(strip)),
            figures={"frames_per_s": 1e3 / timing.median_ms},
        )
        for what, timing in zip(("rgb", "all"), ours, strict=True)
    ]


@torch.no_grad()
def rgb(model: SceneModel, pixels: Tensor, frame: int) -> Tensor:
    """Some pixels of the picture alone."""
    chunk = model.occupancy.rays_at_once
    parts = [model.renderer(model.frame_rays(frame, part)).outputs.rgb for part in pixels.split(chunk)]
    return torch.cat(parts)


if __name__ == "__main__":
    main()
