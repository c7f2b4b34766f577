"""Training and rendering with the published networks: dense samples, every sample in both networks.

Batches, losses, compositing and optimiser are those of `saff_fast.train`; only the fields and the sampling differ.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from saff_fast.fields.reference_field import ReferenceDynamicField, ReferenceField, ReferenceFieldConfig
from saff_fast.geometry.rays import pixel_rays
from saff_fast.ops import FlowSamples
from saff_fast.render.occupancy import OccupancyConfig, OccupancyGrid
from saff_fast.render.renderer import RenderedBatch, Renderer
from saff_fast.train.model import SceneModel
from saff_fast.train.step import batch_losses
from saff_fast.train.trainer import Trainer
from saff_fast.types import DynamicOutputs, Rays

N_SAMPLES = 128
LEARNING_RATE = 5e-4  # as published


@dataclass(frozen=True)
class _SeenAlong:
    """The dynamic network with the viewing directions of a batch bound to it, as fields without them are called.

    Samples lie ray after ray, `N_SAMPLES` each, so the first of them belong to the first rays.
    """

    network: ReferenceDynamicField
    viewdirs: Tensor

    @property
    def flow_scale(self) -> float:
        return self.network.flow_scale

    def __call__(self, positions: Tensor, frames: Tensor) -> DynamicOutputs:
        return self.network(positions, self.viewdirs[: len(positions)], frames)

    def displaced(self, positions: Tensor, flows: Tensor, frames: Tensor) -> tuple[list[DynamicOutputs], FlowSamples]:
        return self.network.displaced(positions, flows, self.viewdirs[: len(positions)], frames)


@dataclass(frozen=True)
class _SeenField:
    """`ReferenceField` with the viewing directions of a batch bound to it."""

    static: torch.nn.Module
    dynamic: _SeenAlong
    static_semantics: torch.nn.Linear
    dynamic_semantics: torch.nn.Linear


class ReferenceModel:
    """The published networks in the place of a model's fields, on its cameras and in its space."""

    def __init__(self, model: SceneModel) -> None:
        self._like = model
        device, n_semantic = model.cameras.c2w.device, model.field.static_semantics.out_features
        self.field = ReferenceField(ReferenceFieldConfig(), model.n_frames, n_semantic).to(device)
        # Nothing was seeded, so every cell is occupied and every step is a sample.
        self._everywhere = OccupancyGrid(OccupancyConfig(resolution=8, n_steps=N_SAMPLES), model.n_frames).to(device)

    def along(self, rays: Rays) -> SceneModel:
        """The model for these rays."""
        dynamic = _SeenAlong(self.field.dynamic, rays.viewdirs.repeat_interleave(N_SAMPLES, 0))
        semantics = self.field.static_semantics, self.field.dynamic_semantics
        field = _SeenField(self.field.static, dynamic, *semantics)
        return SceneModel(field, self._everywhere, self._like.cameras, self._like.space)

    @torch.no_grad()
    def render(self, rays: Rays) -> RenderedBatch:
        """Everything that a ray shows."""
        renderer: Renderer = self.along(rays).renderer
        batch = renderer(rays)
        if len(batch.samples.dynamic_indices) != len(rays) * N_SAMPLES:
            raise AssertionError(f"every ray must have {N_SAMPLES} samples of both networks")
        return batch


class ReferenceTraining:
    """Training steps of the published networks on the batches of a trainer."""

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer
        self.model = ReferenceModel(trainer.model)
        trained = [p for p in self.model.field.parameters() if p.requires_grad]
        self._optimiser = torch.optim.Adam(trained, lr=LEARNING_RATE, fused=True)
        self._step = 0

    def train_step(self, n_rays: int) -> None:
        """One step with so many rays, as many of them moving as in the trainer's batches."""
        trainer, config = self._trainer, self._trainer.config
        n_moving = n_rays * config.train.moving_rays // config.train.rays
        targets, generator = trainer.sampler.sample(self._step, n_rays, n_moving)
        scene = trainer.model
        rays = pixel_rays(scene.space, scene.cameras, targets.frames, targets.pixels, targets.frames.float())
        losses, progress = config.loss, torch.full((), trainer.step / config.train.steps, device=targets.rgb.device)
        jitter = torch.rand(n_rays, generator=generator).to(targets.rgb.device)
        model = self.model.along(rays)
        terms, statistics = batch_losses(model, targets, jitter, n_moving, losses, progress)
        if statistics["dynamic_samples_per_ray"] != N_SAMPLES:
            raise AssertionError(f"every ray must have {N_SAMPLES} samples of both networks")
        self._optimiser.zero_grad(set_to_none=True)
        torch.stack(list(terms.values())).sum().backward()
        self._optimiser.step()
        self._step += 1
