"""Training: from a scene folder to a checkpoint."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from saff_fast.backends import resolve_device
from saff_fast.errors import UserError
from saff_fast.fields.scene_field import FieldKind
from saff_fast.geometry.rays import every_few_pixels, pixel_rays
from saff_fast.geometry.spaces import NdcSpace
from saff_fast.render.occupancy import SeenSamples
from saff_fast.scene.reader import read_scene
from saff_fast.scene.sampler import PixelSampler, Targets
from saff_fast.scene.scene import Scene
from saff_fast.train.budget import SampleBudget
from saff_fast.train.checkpoint import (
    Checkpoint,
    load_checkpoint,
    optimiser_tensors,
    restore_optimiser,
    save_checkpoint,
)
from saff_fast.train.config import ExperimentConfig, TrainConfig
from saff_fast.train.depth_prior import aligned_inverse_depths, depth_parameters, nearest_plane
from saff_fast.train.interrupt import between_steps
from saff_fast.train.memory import keep_freed_memory
from saff_fast.train.model import KINDS, SceneModel, build_model, restore_model
from saff_fast.train.objective import losses_off, objective_for
from saff_fast.train.published_config import Moment
from saff_fast.train.run_folder import environment, open_run, sole_writer
from saff_fast.train.seeding import seed_occupancy


@dataclass(frozen=True)
class Progress:
    """What a training run tells whoever watches it."""

    step: int
    steps: int
    rays_per_second: float
    psnr: float
    samples_per_ray: float


Report = Callable[[Progress], None]


def train(
    scene_folder: Path,
    run: Path,
    config: ExperimentConfig,
    report: Report = lambda _: None,
    say: Callable[[str], None] = print,
    notes: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Train on a scene folder until `config.train.steps`, resuming what `run` already holds.

    On one CPU machine the result depends on the configuration and the seed alone: interrupted and resumed, the run ends
    in the state of an uninterrupted one, bit for bit.

    Args:
        scene_folder: The prepared scene.
        run: The run folder, made if it is not there.
        config: The resolved configuration.
        report: Called after every logged step.
        say: Called with a sentence on what of the configuration this scene cannot use.
        notes: Texts to leave beside the configuration, by file name.

    Raises:
        UserError: if the scene, the run folder, the device or a backend cannot be used.
    """
    keep_freed_memory()
    device = resolve_device(config.train.device)
    backend = config.backend.resolved(device.type)
    scene = read_scene(scene_folder, config.train.height)
    _check(scene, config.train)
    open_run(run, scene_folder, config, environment(device, backend))
    for sentence in losses_off(config, scene):
        say(sentence)
    for name, text in notes.items():
        (run / name).write_text(text, encoding="utf-8")
    with sole_writer(run):
        Trainer(scene.to(device), run, config).run(report)


def space_around(
    scene: Scene, inverse_depths: Float[Tensor, "n_frames height width"], kind: FieldKind = "hash"
) -> NdcSpace:
    """The space that fields of a scene live in; UserError where its cameras face several ways."""
    try:
        return KINDS[kind].space(scene.cameras, nearest_plane(inverse_depths))
    except ValueError as error:
        raise UserError(
            f"{scene.name}: the cameras must all face one way (a forward-facing capture), but some look "
            "backwards; use a part of the video in which the camera does not turn around"
        ) from error


class Trainer:
    """A run in progress, on the device of its scene."""

    def __init__(self, scene: Scene, run: Path, config: ExperimentConfig) -> None:
        self.config = config
        self._folder = run / "checkpoints"
        self._log = run / "metrics.jsonl"
        device = scene.images.device
        inverse_depths = aligned_inverse_depths(scene)
        checkpoint = load_checkpoint(self._folder)
        if checkpoint is None:
            self.step, self.seconds = 0, 0.0
            space = space_around(scene, inverse_depths, config.field.kind)
            torch.manual_seed(config.train.seed)
            n_semantic = scene.semantics.shape[-1]
            self.model = build_model(config.field, config.occupancy, scene.cameras, space, n_semantic, config.backend)
        else:
            self.step, self.seconds = checkpoint.step, checkpoint.seconds
            self.model = restore_model(
                config.field, config.occupancy, checkpoint.tensors, self._folder, config.backend, device
            )
        self.objective = objective_for(config, scene)
        frames = [k for k in range(len(scene)) if k not in config.train.hold_out]
        self._frames = frames
        depth = depth_parameters(scene, self.model.space, inverse_depths)
        if checkpoint is None:
            seed_occupancy(self.model, depth, scene.depth_confidences, frames)
        self.sampler = PixelSampler(scene, depth, frames, config.train.seed)
        self.optimiser = _optimiser(self.model, config.train)
        self._counted: SampleBudget | None = None
        if checkpoint is not None:
            restore_optimiser(self.optimiser, checkpoint.tensors)
        backend = asdict(config.backend.resolved(device.type))
        self._facts = {"config": asdict(config), "scene": scene.name, "device": str(device), "backend": backend}

    def run(self, report: Report) -> None:
        """Train to the last step, checkpointing on the way and when interrupted."""
        config = self.config.train
        _truncate_log(self._log, self.step)
        began, done_before = time.monotonic(), self.step
        with between_steps() as stop_if_interrupted:
            try:
                while self.step < config.steps:
                    terms, statistics = self.train_step()
                    if self.step % config.log_every == 0 or self.step == config.steps:
                        rate = (self.step - done_before) * config.rays / (time.monotonic() - began)
                        entry = self._write_log(terms, statistics, rate)
                        report(Progress(self.step, config.steps, rate, entry["psnr"], entry["samples_per_ray"]))
                    if self.step % config.checkpoint_every == 0 or self.step == config.steps:
                        self._save(time.monotonic() - began)
                    stop_if_interrupted()
            except KeyboardInterrupt:
                self._save(time.monotonic() - began)
                raise

    @property
    def moment(self) -> Moment:
        """When in the run the next step is."""
        return Moment(self.step, self.step / self.config.train.steps)

    def train_step(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """One step, with the look around that may be due after it: loss terms by name, and statistics for the log."""
        config, step, moment = self.config, self.step, self.moment
        targets, generator = self.sampler.sample(step, config.train.rays, self.objective.moving_rays(moment))
        device = targets.rgb.device
        shape = self.model.occupancy.jitter_shape
        jitter = torch.rand(len(targets), *shape, generator=generator).to(device, non_blocking=True)
        for group in self.optimiser.param_groups:
            group["lr"].fill_(learning_rate(config, step))
        share = torch.full((), moment.progress, device=device)
        terms, statistics = self.update(targets, jitter, share, self._budget(targets, jitter))
        self.step += 1
        if self.model.occupancy.learns and sweeps_after(config.train, self.step):
            self.sweep(generator)
            self._counted = None
        return terms, statistics

    def update(
        self, targets: Targets, jitter: Tensor, progress: Tensor, budget: SampleBudget | None
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Losses, gradients, optimiser: what of `train_step` a CUDA graph can hold, given a budget."""
        terms, statistics = self.objective.losses(self.model, targets, jitter, self.moment, progress, budget)
        self.optimiser.zero_grad(set_to_none=True)
        torch.stack(list(terms.values())).sum().backward()
        self.optimiser.step()
        return {name: term.detach() for name, term in terms.items()}, statistics

    def _budget(self, targets: Targets, jitter: Tensor) -> SampleBudget | None:
        """Lengths of the sample buffers, counted anew whenever the occupancy has changed; none on the CPU.

        There waiting costs nothing, and buffers that are exactly as long as needed cost least.
        """
        if targets.rgb.device.type == "cpu" or not self.model.occupancy.takes_capacity:
            return None
        if self._counted is None:
            model = self.model
            rays = pixel_rays(model.space, model.cameras, targets.frames, targets.pixels, targets.frames.float())
            self._counted = SampleBudget.of(model.occupancy.march(rays, jitter), self.config.train.moving_rays)
        return self._counted

    @torch.no_grad()
    def sweep(self, generator: torch.Generator) -> None:
        """Let the occupancy grid look at every trained frame; part of `train_step` when it is due."""
        model, occupancy = self.model, self.model.occupancy
        occupancy.forget()
        for frame in self._frames:
            pixels = every_few_pixels(model.cameras, self.config.train.sweep_rays, generator)
            poses = torch.full((len(pixels),), frame, device=pixels.device)
            rays = pixel_rays(model.space, model.cameras, poses, pixels, poses.float())
            jitter = torch.rand(len(pixels), generator=generator).to(pixels.device, non_blocking=True)
            batch = model.renderer(rays, jitter)
            occupancy.observe_static(SeenSamples(batch.positions, batch.static_weights))
            here = batch.positions[batch.samples.dynamic_indices]
            occupancy.observe_dynamic(frame, SeenSamples(here, batch.dynamic_weights))
        occupancy.refresh()

    def _save(self, seconds: float) -> None:
        tensors = self.model.tensors() | optimiser_tensors(self.optimiser)
        save_checkpoint(self._folder, Checkpoint(self.step, self.seconds + seconds, self._facts, tensors))

    def _write_log(self, terms: dict[str, Tensor], statistics: dict[str, Tensor], rate: float) -> dict[str, Any]:
        """Append to metrics.jsonl what steps leave on the device; returns the entry."""
        read = [{name: float(value) for name, value in values.items()} for values in (statistics, terms)]
        entry = {"step": self.step, "rays_per_second": rate, **read[0], "loss": read[1]}
        with self._log.open("a") as file:
            file.write(json.dumps(entry) + "\n")
        return entry


def sweeps_after(config: TrainConfig, step: int) -> bool:
    """Whether the occupancy grid looks around after `step` steps: half as often once the scene has taken shape."""
    every = config.sweep_every if step <= 10 * config.sweep_every else 2 * config.sweep_every
    return step >= config.first_sweep and step % every == 0


def learning_rate(config: ExperimentConfig, step: int) -> float:
    """A short linear warm-up, then exponential decay to `learning_rate_end` of the start."""
    train, warmup = config.train, min(1.0, (step + 1) / max(1, config.train.warmup_steps))
    start = KINDS[config.field.kind].learning_rate(config.field, train.learning_rate)
    return start * warmup * train.learning_rate_end ** (step / train.steps)


def _optimiser(model: SceneModel, config: TrainConfig) -> torch.optim.Adam:
    # Rate and step count are tensors on the device.
    device = model.cameras.c2w.device
    return torch.optim.Adam(
        model.field.parameters(),
        lr=torch.tensor(config.learning_rate, device=device),
        betas=config.adam_betas,
        eps=config.adam_eps,
        fused=True,
        capturable=device.type == "cuda",
    )


def _check(scene: Scene, config: TrainConfig) -> None:
    unknown = [k for k in config.hold_out if not 0 <= k < len(scene)]
    if unknown:
        raise UserError(f"--hold-out must name frames 0 to {len(scene) - 1}, got {unknown[0]}; correct the list")
    if len(scene) - len(set(config.hold_out)) < 4:
        raise UserError(f"--hold-out leaves fewer than 4 of {len(scene)} frames to train on; hold out fewer")


def _truncate_log(path: Path, step: int) -> None:
    """Drop what was logged after the checkpoint that the run resumes from."""
    if path.is_file():
        lines = [line for line in path.read_text().splitlines() if _logged_step(line) <= step]
        path.write_text("".join(line + "\n" for line in lines))


def _logged_step(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return float("inf")  # a line cut short by a crash
