"""A run in progress: steps, what is due between them, and the way back when losses are not finite."""

from dataclasses import asdict, replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from saff_fast.distributed import (
    add_gradients,
    by_first,
    check_same,
    largest,
    n_ranks,
    rank,
    together,
)
from saff_fast.geometry.spaces import NdcSpace
from saff_fast.scene.sampler import PixelSampler
from saff_fast.scene.scene import Scene
from saff_fast.train.batch import Batch, draw_batch
from saff_fast.train.budget import SampleBudget
from saff_fast.train.checkpoint import (
    Checkpoint,
    load_checkpoint,
    optimiser_tensors,
    restore_optimiser,
    save_checkpoint,
)
from saff_fast.train.config import ExperimentConfig, TrainConfig
from saff_fast.train.depth_prior import aligned_inverse_depths, depth_parameters
from saff_fast.train.frames import trained_frames
from saff_fast.train.guard import FiniteGuard, smaller
from saff_fast.train.interrupt import between_steps
from saff_fast.train.memory_limit import beside_a_step, fitting_rays
from saff_fast.train.metrics import read_values
from saff_fast.train.missing import has_depth
from saff_fast.train.model import SceneModel, build_model, restore_model
from saff_fast.train.objective import objective_for
from saff_fast.train.preview import preview
from saff_fast.train.published_config import Moment
from saff_fast.train.record import Progress, Record
from saff_fast.train.schedule import Stopwatch, learning_rate, share_done, sweeps_after
from saff_fast.train.seeding import seed_everywhere, seed_occupancy
from saff_fast.train.space import space_around
from saff_fast.train.sweep import look_around, settle
from saff_fast.train.texturing import textures_of


class Trainer:
    """A run in progress, on the device of its scene; of several processes each has frames of its own."""

    def __init__(self, scene: Scene, run: Path, config: ExperimentConfig) -> None:
        self.config = config
        self._folder = run / "checkpoints"
        self._record: Record | None = None
        device = scene.images.device
        self._has_depth = has_depth(scene)
        if not self._has_depth:
            scene = replace(scene, depth_confidences=torch.zeros_like(scene.depth_confidences))
        self._scene = scene
        self._frames = trained_frames(len(scene), config.train.hold_out)
        self._own_frames = self._frames[rank() :: n_ranks()]
        backend = asdict(config.backend.resolved(device.type))
        self._facts = {"config": asdict(config), "scene": scene.name, "device": str(device), "backend": backend}
        self._step_size, self._good_step, seconds = 1.0, 0, 0.0
        inverse_depths = aligned_inverse_depths(scene)
        checkpoint = load_checkpoint(self._folder)
        if checkpoint is None:
            self._build(space_around(scene, inverse_depths, config.field.kind))
        else:
            self._restore(checkpoint)
            self._step_size, seconds = checkpoint.step_size, checkpoint.seconds
            self._good_step = checkpoint.step if checkpoint.good_step is None else checkpoint.good_step
            if "rays" in checkpoint.facts:
                self._limit_rays(checkpoint.facts["rays"])
        self.objective = objective_for(config, scene)
        self._depth = depth_parameters(scene, self.model.space, inverse_depths)
        if checkpoint is None:
            self._seed_occupancy()
        self.sampler = PixelSampler(scene, self._depth, self._frames, config.train.seed, config.train.detail_share)
        self._clock, self._session_steps = Stopwatch(seconds), 0
        self._guard = FiniteGuard(device)
        self._counted: SampleBudget | None = None

    def run(self, record: Record | None) -> None:
        """Train to the end, checkpointing on the way and when interrupted.

        Args:
            record: Where to log; None in all processes but the first.
        """
        self._record, config = record, self.config.train
        check_same(self._tensors().values())
        if config.max_memory and "rays" not in self._facts:
            self._fit_memory()
        if record is not None:
            record.begin(self.step)
        self._clock.start()
        with between_steps() as stop_if_interrupted:
            try:
                done = self._is_done()
                while not done:
                    done = self._advance()
                    stop_if_interrupted()
            except KeyboardInterrupt:
                if self.is_sound():
                    self._save()
                raise
        if config.time_budget and self.step == 1:
            self._say(f"The time budget of {config.time_budget:g} s was over after one step.")

    def _advance(self) -> bool:
        """One step, and what is due after it; whether it was the last."""
        config = self.config.train
        terms, statistics = self.train_step()
        self._session_steps += 1
        done = self._is_done()
        logs, saves = (done or self.step % every == 0 for every in (config.log_every, config.checkpoint_every))
        if (logs or saves) and not self.is_sound():
            self._go_back()
            return self._is_done()
        if done:
            self._finish()
        if logs:
            self._log(terms, statistics)
        if saves:
            self._save()
        if config.preview_every and self.step % config.preview_every == 0:
            self._show()
        return done

    def _finish(self) -> None:
        """What is made of the trained fields for those who render them."""
        config, scene = self.config.train, self._scene
        if self.model.occupancy.learns and self.step >= config.first_sweep:
            settle(self.model, self._own_frames, config)
        if config.textures:
            textures = textures_of(self.model, scene.images, scene.motion_masks, self._own_frames)
            self.model = replace(self.model, textures=textures)

    @property
    def moment(self) -> Moment:
        """When in the run the next step is."""
        return Moment(self.step, self._share())

    def train_step(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """One step, with the look around that may be due after it: loss terms by name, and statistics for the log."""
        config, train, moment = self.config, self.config.train, self.moment
        batch, generator = self.batch(moment.step, train.rays, self.objective.moving_rays(moment, train.moving_rays))
        for group in self.optimiser.param_groups:
            group["lr"].fill_(self._step_size * learning_rate(config, moment))
        self.model.field.advance(moment.progress)
        share = torch.full((), moment.progress, device=batch.jitter.device)
        terms, statistics = self.update(batch, moment, share, self._budget(batch))
        self.step += 1
        if self.model.occupancy.learns and sweeps_after(train, self.step):
            self.sweep(generator)
            self._counted = None
        return terms, statistics

    def batch(self, step: int, n_rays: int, n_moving: int) -> tuple[Batch, torch.Generator]:
        """This process's rays of a step (`draw_batch`), and the generator for what else is random in it."""
        return draw_batch(self.sampler, step, (n_rays, n_moving), self._own_frames, self.model.occupancy.jitter_shape)

    def update(
        self, batch: Batch, moment: Moment, share: Float[Tensor, ""], budget: SampleBudget | None
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Losses, gradients, optimiser: what of `train_step` a CUDA graph can hold, given a budget."""
        terms, statistics = self._losses(batch, moment, share, budget)
        loss = torch.stack(list(terms.values())).sum()
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        add_gradients(self.model.field.parameters())
        self.optimiser.step()
        self._guard.watch(loss)
        return {name: term.detach() for name, term in terms.items()}, statistics

    def sweep(self, generator: torch.Generator) -> None:
        """Let the occupancy grid look at every trained frame; part of `train_step` when it is due."""
        look_around(self.model, self._frames, self._own_frames, self.config.train, generator)

    def is_sound(self) -> bool:
        """Whether all losses so far and all parameters are finite; waits for the device."""
        return self._guard.is_sound(self.model.field.parameters())

    def _losses(
        self, batch: Batch, moment: Moment, share: Float[Tensor, ""], budget: SampleBudget | None
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        return self.objective.losses(self.model, batch, moment, share, budget)

    def _budget(self, batch: Batch) -> SampleBudget | None:
        """Lengths of the sample buffers, counted anew whenever the occupancy has changed; none on the CPU.

        There waiting costs nothing, and buffers that are exactly as long as needed cost least.
        """
        if batch.jitter.device.type == "cpu" or not self.model.occupancy.takes_capacity:
            return None
        if self._counted is None:
            model, targets = self.model, batch.targets
            rays = model.frame_rays(targets.frames, targets.pixels)
            self._counted = SampleBudget.of(model.occupancy.march(rays, batch.jitter), batch.n_moving)
        return self._counted

    def _share(self) -> float:
        """How much of the run is done."""
        share = share_done(self.config.train, self.step, self._clock.seconds)
        return largest(share) if self.config.train.time_budget else share

    def _is_done(self) -> bool:
        return self.step > 0 and self._share() >= 1

    def _build(self, space: NdcSpace) -> None:
        """The state before the first step, drawn from the seed, but for the occupancy."""
        config, scene = self.config, self._scene
        torch.manual_seed(config.train.seed)
        n_semantic = scene.semantics.shape[-1]
        held_out = config.train.hold_out
        self.model = build_model(
            config.field, config.occupancy, scene.cameras, space, n_semantic, config.backend, held_out
        )
        self.optimiser, self.step = _optimiser(self.model, config.train), 0

    def _seed_occupancy(self) -> None:
        if not self.model.occupancy.learns:
            return
        if self._has_depth:
            seed_occupancy(self.model, self._depth, self._scene.depth_confidences, self._frames)
        else:
            seed_everywhere(self.model, self._frames)

    def _restore(self, checkpoint: Checkpoint) -> None:
        """The state of a checkpoint."""
        config, device, held_out = self.config, self._scene.images.device, self.config.train.hold_out
        model = restore_model(
            config.field, config.occupancy, checkpoint.tensors, self._folder, config.backend, device, held_out
        )
        self.model = replace(model, textures=None)  # of what was trained until then
        self.optimiser, self.step = _optimiser(self.model, config.train), checkpoint.step
        restore_optimiser(self.optimiser, checkpoint.tensors)

    def _go_back(self) -> None:
        """To the last state known to be good, with a smaller step size from there on.

        That state is the one at a regular checkpoint, which does not depend on where a run was interrupted.
        """
        failed = self.step
        self._step_size = together(lambda: smaller(self._step_size, failed))
        together(self._restore_good)
        self._guard, self._counted = FiniteGuard(self._scene.images.device), None
        if self._record is not None:
            self._record.begin(self.step)
        self._say(
            f"Step {failed}: the losses are not finite. Training goes on from step {self.step}, "
            f"with {self._step_size:g} of the learning rate."
        )

    def _restore_good(self) -> None:
        checkpoint = load_checkpoint(self._folder, self._good_step) if self._good_step else None
        if checkpoint is not None:
            self._restore(checkpoint)
        else:
            self._build(self.model.space)
            self._seed_occupancy()

    def _fit_memory(self) -> None:
        """As many rays a step as `max_memory` allows; written into the checkpoints, since trying again may differ."""
        config = self.config.train
        n_rays = fitting_rays(config.max_memory, config.rays, beside_a_step(self.model), self._try_step)
        self._limit_rays(n_rays)
        if n_rays < config.rays:
            self._say(f"A step has {n_rays} rays in place of {config.rays}, to stay within --max-memory.")

    def _try_step(self, n_rays: int) -> None:
        """Losses and gradients of so many rays, without consequences."""
        config = self.config.train
        batch, _ = self.batch(0, n_rays, n_rays * config.moving_rays // config.rays)
        share = torch.ones((), device=batch.jitter.device)
        terms, _ = self._losses(batch, Moment(0, 1.0), share, self._budget(batch))
        torch.stack(list(terms.values())).sum().backward()
        self.optimiser.zero_grad(set_to_none=True)
        self._counted = None

    def _limit_rays(self, n_rays: int) -> None:
        train = self.config.train
        moving = n_rays * train.moving_rays // train.rays
        self.config = replace(self.config, train=replace(train, rays=n_rays, moving_rays=moving))
        self._facts["rays"] = n_rays

    def _tensors(self) -> dict[str, Tensor]:
        return self.model.tensors() | optimiser_tensors(self.optimiser)

    def _save(self) -> None:
        if self.step % self.config.train.checkpoint_every == 0:
            self._good_step = self.step
        tensors, seconds = self._tensors(), self._clock.seconds
        check_same(tensors.values())
        checkpoint = Checkpoint(self.step, seconds, self._facts, tensors, self._step_size, self._good_step)
        by_first(lambda: save_checkpoint(self._folder, checkpoint))

    def _log(self, terms: dict[str, Tensor], statistics: dict[str, Tensor]) -> None:
        """What the last step left on the device, and how fast the session is."""
        if self._record is None:
            return
        config, seconds = self.config.train, self._clock.session_seconds
        rate = self._session_steps * config.rays / seconds
        values, step_size = read_values(statistics), float(self.optimiser.param_groups[0]["lr"])
        entry = {"step": self.step, "rays_per_second": rate, "learning_rate": step_size, **values}
        steps, left = config.steps, (config.steps - self.step) * seconds / self._session_steps
        if config.time_budget:
            steps, left = None, config.time_budget - self._clock.seconds
        progress = Progress(self.step, steps, max(left, 0.0), rate, values["psnr"], values["samples_per_ray"])
        self._record.log(entry | {"loss": read_values(terms)}, progress)

    def _show(self) -> None:
        """How far the run is, in a frame from its middle; takes no time of the run."""
        if self._record is None:
            return
        frame = self._frames[len(self._frames) // 2]
        near, far = self._scene.bounds[frame].tolist()
        with self._clock.paused():
            self._record.show(self.step, preview(self.model, frame, self._scene.images[frame], (near, far)))

    def _say(self, sentence: str) -> None:
        if self._record is not None:
            self._record.notice(sentence)


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
