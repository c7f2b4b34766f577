"""Time and memory of a training step against rays, samples, frames, table size and semantic channels.

    python benchmarks/scaling.py --json scaling.json

One quantity at a time is doubled, the others stay at `BASE`. Cameras, pictures and occupancy are made up: a slab of
static cells and a moving block, so that a ray has a sixth of its steps as samples. The reference of a row is the
smallest size; where work grows with the size (rays, samples) times are compared by the unit. Memory is that of a first
step with its model and optimiser. `report.py` draws both.
"""

import dataclasses
from dataclasses import dataclass

import harness
import torch
from harness import DEVICE
from memory import peak_mib

from saff_fast.fields.dynamic_field import DynamicFieldConfig
from saff_fast.fields.scene_field import FieldConfig
from saff_fast.fields.static_field import StaticFieldConfig
from saff_fast.geometry.cameras import Cameras
from saff_fast.geometry.spaces import NdcSpace
from saff_fast.render.occupancy import OccupancyConfig
from saff_fast.scene.sampler import Targets
from saff_fast.train.config import LossConfig
from saff_fast.train.model import SceneModel, build_model
from saff_fast.train.step import batch_losses

HEIGHT, WIDTH = 144, 256
OCCUPANCY = 64


@dataclass(frozen=True)
class Size:
    """What is scaled."""

    rays: int = 2048
    steps: int = 96
    frames: int = 24
    log2_table_size: int = 16
    semantic_channels: int = 64


BASE = Size()
SWEEPS = {
    "rays": (512, 1024, 2048, 4096, 8192),
    "steps": (24, 48, 96, 192),
    "frames": (12, 24, 48, 96, 192),
    "log2_table_size": (12, 14, 16, 18, 20),
    "semantic_channels": (16, 32, 64, 128, 256),
}
GROWS = {"rays", "steps"}
"""Where twice the size is twice the work."""


def main() -> None:
    options = harness.parser(__doc__).parse_args()
    report = harness.Report(options)
    for quantity, sizes in SWEEPS.items():
        report.add(*sweep(quantity, sizes[::2] if options.quick else sizes, report.repeats))
    report.finish()


def sweep(quantity: str, sizes: tuple[int, ...], repeats: int) -> list[harness.Row]:
    """A row a size."""
    timings = harness.timings([Step(scaled(quantity, size)) for size in sizes], repeats)
    units = [float(size) if quantity in GROWS else 1.0 for size in sizes]
    return [
        harness.row(
            f"scaling.{quantity}.{size}",
            f"of {quantity}" if quantity in GROWS else "a step",
            (timing, timings[0]),
            f"scaling.{quantity}.{sizes[0]}",
            units=(unit, units[0]),
            figures={quantity: size, "peak_mib": peak_mib(lambda size=size: Step(scaled(quantity, size))())},
        )
        for size, unit, timing in zip(sizes, units, timings, strict=True)
    ]


def scaled(quantity: str, size: int) -> Size:
    """`BASE` with one quantity changed."""
    return dataclasses.replace(BASE, **{quantity: size})


class Step:
    """A training step of a model and a batch of some size."""

    def __init__(self, size: Size) -> None:
        self._size = size
        self._model = made_up_model(size)
        self._targets = made_up_targets(size)
        self._optimiser = torch.optim.Adam(self._model.field.parameters(), fused=True)

    def __call__(self) -> None:
        """Losses, gradients, update."""
        jitter = torch.rand(len(self._targets), device=self._targets.rgb.device)
        half = torch.full((), 0.5, device=jitter.device)
        terms, _ = batch_losses(self._model, self._targets, jitter, self._size.rays // 4, LossConfig(), half)
        self._optimiser.zero_grad(set_to_none=True)
        torch.stack(list(terms.values())).sum().backward()
        self._optimiser.step()


def made_up_model(size: Size) -> SceneModel:
    """An untrained model with a slab and a block occupied."""
    table = {"log2_table_size": size.log2_table_size}
    field = FieldConfig(static=StaticFieldConfig(**table), dynamic=DynamicFieldConfig(**table))
    occupancy = OccupancyConfig(resolution=OCCUPANCY, n_steps=size.steps)
    cameras = made_up_cameras(size.frames)
    model = build_model(field, occupancy, cameras, NdcSpace.around(cameras, 1.0), size.semantic_channels)
    cells = torch.zeros(OCCUPANCY, OCCUPANCY, OCCUPANCY, dtype=torch.bool)
    cells[:, :, OCCUPANCY // 2 : OCCUPANCY // 2 + OCCUPANCY // 6] = True
    moving = torch.zeros(size.frames, *cells.shape, dtype=torch.bool)
    middle = slice(OCCUPANCY // 3, 2 * OCCUPANCY // 3)
    moving[:, middle, middle, OCCUPANCY // 4 : OCCUPANCY // 3] = True
    model.occupancy.seed(cells, moving, torch.ones(size.frames, dtype=torch.bool))
    model.field.to(DEVICE)
    model.occupancy.to(DEVICE)
    return model


def made_up_cameras(n_frames: int) -> Cameras:
    """Cameras side by side that look along world -z."""
    c2w = torch.zeros(n_frames, 3, 4)
    c2w[:, 0, 0], c2w[:, 1, 1], c2w[:, 2, 2] = 1.0, -1.0, -1.0
    c2w[:, 0, 3] = torch.linspace(-0.2, 0.2, n_frames)
    intrinsics = torch.tensor([float(WIDTH), float(WIDTH), WIDTH / 2, HEIGHT / 2]).expand(n_frames, 4)
    return Cameras(c2w.to(DEVICE), intrinsics.to(DEVICE), HEIGHT, WIDTH)


def made_up_targets(size: Size) -> Targets:
    """A batch of random pixels and random targets."""
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int) -> torch.Tensor:
        return torch.rand(size.rays, *shape, generator=generator)

    pixels = random(2) * torch.tensor([WIDTH, HEIGHT])
    return Targets(
        frames=torch.randint(size.frames, (size.rays,), generator=generator),
        pixels=pixels,
        rgb=random(3),
        depth=random(),
        depth_confidence=random(),
        motion=random().round(),
        next_pixels=pixels + random(2),
        next_valid=random().round(),
        previous_pixels=pixels + random(2),
        previous_valid=random().round(),
        semantic=random(size.semantic_channels),
        saliency=random(),
    ).to(DEVICE)


if __name__ == "__main__":
    main()
