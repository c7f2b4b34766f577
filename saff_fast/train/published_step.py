"""One training step of the published objective (method section 5); `losses.published` has its terms."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from saff_fast.distributed import largest
from saff_fast.losses import published
from saff_fast.losses.geometry import LEAST_OPACITY
from saff_fast.losses.reconstruction import reconstruction
from saff_fast.ops import accumulate
from saff_fast.render.compositing import DynamicRays, composite_dynamic
from saff_fast.render.density_noise import DensityNoise
from saff_fast.render.renderer import RenderedBatch
from saff_fast.scene.sampler import Targets
from saff_fast.train.dynamic_part import (
    DynamicPart,
    batch_statistics,
    carry,
    dynamic_part,
    expected_points,
    flow_pixels,
    in_sequence,
)
from saff_fast.train.model import SceneModel
from saff_fast.train.published_config import Moment, Phase, PublishedLossConfig
from saff_fast.types import DynamicOutputs, RenderOutputs

_CUBE_EDGE = 2.0  # of the unit cube along z, in NDC
_JOINT, _DYNAMIC, _NEXT, _PREVIOUS, _CHAIN = range(5)
"""The composites of a step, each with noise of its own."""


def batch_losses(
    model: SceneModel,
    targets: Targets,
    jitter: Float[Tensor, "n_rays ..."],
    n_mined: int,
    config: PublishedLossConfig,
    moment: Moment,
    capacity: tuple[int, int] | None = None,
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Weighted published losses of a batch by name, and statistics for the log; terms whose weight is 0 are left out.

    Args:
        model: Fields, renderer, cameras.
        targets: The batch.
        jitter: What moves the samples of each ray, in [0, 1).
        n_mined: Its first rays, drawn where motion is (`num_extra_sample`); the joint render's loss leaves them out.
        config: Weights and schedule.
        moment: When in the run this is.
        capacity: Lengths of the sample buffers, as `ops.march` takes them; without it they are as long as needed.
    """
    phase = config.phase(moment)
    rays = model.frame_rays(targets.frames, targets.pixels)
    samples = model.occupancy.march(rays, jitter, capacity)
    noise = DensityNoise.of(jitter, moment.step, samples, _CUBE_EDGE * config.noise_std)
    batch = model.renderer.render(rays, samples, noise.draw(_JOINT))
    errors = [_errors(batch.outputs[n_mined:], targets[n_mined:])]
    losses: dict[str, Tensor] = {}
    if largest(len(samples.dynamic_indices)):  # processes reduce the same sums: all of them or none
        part = dynamic_part(batch, samples.dynamic_packed_info, len(samples.dynamic_indices))
        step = _Step(model, targets, batch, part, noise.at(samples.dynamic_indices), config, phase)
        carried = _carried(step)
        alone = _alone(step)
        errors += _dynamic_errors(step, carried, alone.outputs)
        losses = _ray_losses(step, alone) | _sample_losses(step, carried) | _motion_losses(step, carried)
    names = {"render_loss": "rgb", "render_loss_dino": "semantic", "render_loss_sal": "saliency"}
    totals = {name: [error[key] for error in errors if key in error] for name, key in names.items()}
    losses |= {name: torch.stack(parts).sum() for name, parts in totals.items() if parts}
    weights = _weights(config, phase)
    terms = {name: weight * losses[name] for name, weight in weights.items() if weight > 0 and name in losses}
    if not terms:  # without colours, and nothing in the batch is in a cell where something moves
        terms = {"nothing": 0 * batch.outputs.opacity.sum()}
    return terms, batch_statistics(errors[0]["rgb"], samples)


@dataclass(frozen=True)
class _Step:
    """What the losses of the dynamic field are computed from."""

    model: SceneModel
    targets: Targets
    batch: RenderedBatch
    part: DynamicPart
    noise: DensityNoise
    """Of the dynamic samples."""
    config: PublishedLossConfig
    phase: Phase

    def exists(self, step: int) -> Float[Tensor, " n_samples"]:
        """1 for samples of frames that have a frame `step` frames on; literally, warps leave the sequence."""
        frames = self.part.frames
        return torch.ones_like(frames) if self.config.literal else in_sequence(self.model, frames, step)


@dataclass(frozen=True)
class _Carried:
    """The dynamic samples in the next (first) and the previous frame (second), and one frame further on the chain."""

    flows: Float[Tensor, "2 n_samples 3"]
    fields: list[DynamicOutputs]
    positions: Float[Tensor, "2 n_samples 3"]
    chain: int
    """Index of the frame over which the chain leads."""
    further_flow: Float[Tensor, "n_samples 3"]
    """Scene flow from there to two frames away."""


def _weights(config: PublishedLossConfig, phase: Phase) -> dict[str, float]:
    """Weight of each loss, in the order of the published table."""
    extra = phase.decay if config.decay_extra else 1.0
    return {
        "render_loss": config.w_render,
        "render_loss_dino": config.dino_coe * extra,
        "render_loss_sal": config.sal_coe * extra,
        "prob_reg_loss": config.w_prob_reg,
        "sf_cycle_loss": config.w_cycle,
        "sf_reg_loss": config.w_sf_reg,
        "depth_loss": config.w_depth * (phase.decay if config.decay_depth else 1.0),
        "flow_loss": config.w_optical_flow * (phase.decay if config.decay_optical_flow else 1.0),
        "sf_sm_loss_spatial": config.w_sm,
        "sf_sm_loss_kinetic": config.w_sm * (2 if config.literal else 1),  # the program adds it twice
        "sf_sm_loss_chain": config.w_sm,
        "entropy_loss": config.w_entropy,
    }


def _errors(rendered: RenderOutputs, targets: Targets, mask: Tensor | None = None) -> dict[str, Tensor]:
    return reconstruction(rendered, targets.rgb, targets.semantic, targets.saliency, mask)


def _carried(step: _Step) -> _Carried:
    outputs, part = step.part.outputs, step.part
    flows = torch.stack([outputs.flows_fw, outputs.flows_bw])
    fields, _ = carry(step.model, part, part.positions, flows, (1, -1), step.config.literal)
    forwards = step.phase.direction > 0
    further_flow = fields[0].flows_fw if forwards else fields[1].flows_bw
    return _Carried(flows, fields, part.positions + flows, 0 if forwards else 1, further_flow)


def _alone(step: _Step) -> DynamicRays:
    """The dynamic field alone, and its expected position and scene flows; then what `sf_reg_loss_literal` takes."""
    part, outputs = step.part, step.part.outputs
    extras = [part.positions, outputs.flows_fw, outputs.flows_bw]
    if step.config.literal:
        size = step.model.space.size
        extras += [(flows * size).sum(1, keepdim=True).abs() for flows in extras[1:]]
    semantics = step.model.field.dynamic_semantics
    return composite_dynamic(outputs, part.lengths, part.packed_info, semantics, extras, step.noise.draw(_DYNAMIC))


def _dynamic_errors(step: _Step, carried: _Carried, alone: RenderOutputs) -> list[dict[str, Tensor]]:
    """Errors of the pictures of the dynamic field alone: at its own time, and from one and two frames away.

    The confidence in a neighbour carries gradients to the occlusion probabilities alone: it is learnt by trading the
    error against `prob_reg_loss`.
    """
    part, targets, semantics = step.part, step.targets, step.model.field.dynamic_semantics
    seen = (part.packed_info[:, 1] > 0).to(alone.blend)
    moving = step.batch.outputs.blend.detach() if step.phase.masked else seen
    errors = [_errors(alone, targets, moving)]
    occlusions = part.outputs.occlusions_fw, part.outputs.occlusions_bw
    for i, (field, frames_on, number) in enumerate(zip(carried.fields, (1, -1), (_NEXT, _PREVIOUS), strict=True)):
        rays = composite_dynamic(field, part.lengths, part.packed_info, semantics, noise=step.noise.draw(number))
        trust = ((1 - occlusions[i]) * step.exists(frames_on)).unsqueeze(1)
        confidence = accumulate(rays.weights, trust, part.packed_info).squeeze(1)
        errors.append(_errors(rays.outputs, targets, confidence * moving))
    if step.phase.chained:
        errors.append(_chain_errors(step, carried, moving))
    return errors


def _chain_errors(step: _Step, carried: _Carried, moving: Float[Tensor, " n_rays"]) -> dict[str, Tensor]:
    part, targets, frames_on = step.part, step.targets, 2 * step.phase.direction
    start, flow = carried.positions[carried.chain], carried.further_flow.unsqueeze(0)
    fields, _ = carry(step.model, part, start, flow, (frames_on,), step.config.literal)
    semantics, noise = step.model.field.dynamic_semantics, step.noise.draw(_CHAIN)
    rays = composite_dynamic(fields[0], part.lengths, part.packed_info, semantics, noise=noise)
    exists = 1.0 if step.config.literal else in_sequence(step.model, step.batch.rays.frames, frames_on)
    return _errors(rays.outputs, targets, moving * exists)


def _ray_losses(step: _Step, alone: DynamicRays) -> dict[str, Tensor]:
    """Losses of what the dynamic field composites to: depth, projected flow, size of the flow."""
    model, targets, info, literal = step.model, step.targets, step.part.packed_info, step.config.literal
    space, opacity = model.space, alone.outputs.opacity
    seen = (info[:, 1] > 0).to(opacity)
    rendered = step.batch.outputs.depth if step.config.depth_full else alone.outputs.depth
    known = torch.ones_like(seen) if literal else targets.depth_confidence * seen
    position, *flows = alone.extras[:, :9].split(3, dim=1)
    flow_loss, sf_reg_loss = torch.zeros_like(opacity[0]), torch.zeros_like(opacity[0])
    for i, (frames_on, pixels, valid) in enumerate(
        ((1, targets.next_pixels, targets.next_valid), (-1, targets.previous_pixels, targets.previous_valid))
    ):
        moved = position + flows[i]
        if literal:  # a sum of NDC, not a mean: what a ray lacks in weight pulls towards the middle of the picture
            points, mask = moved + (opacity - 1).unsqueeze(1) * space.low / space.size, valid
            counts = info[:, 1].to(opacity)
            sf_reg_loss = sf_reg_loss + published.sf_reg_loss_literal(alone.extras[:, 9 + i], counts)
        else:
            points, mask = expected_points(moved, opacity), valid * (opacity >= LEAST_OPACITY)
            sf_reg_loss = sf_reg_loss + published.sf_reg_loss(flows[i] * space.size)
        projected = flow_pixels(model, targets.frames, points, frames_on)
        flow_loss = flow_loss + published.flow_loss(projected, pixels, mask)
    return {
        "depth_loss": published.depth_loss(rendered, targets.depth, targets.frames, model.n_frames, known),
        "flow_loss": flow_loss,
        "sf_reg_loss": sf_reg_loss,
    }


def _sample_losses(step: _Step, carried: _Carried) -> dict[str, Tensor]:
    """Losses of samples whatever their weight: occlusion, flow there and back, entropy of the blend."""
    part, outputs, size = step.part, step.part.outputs, step.model.space.size
    there, back = carried.flows * size, (carried.fields[0].flows_bw * size, carried.fields[1].flows_fw * size)
    occlusions = outputs.occlusions_fw, outputs.occlusions_bw
    trust = [(1 - occlusions[i]) * step.exists(frames_on) * part.owned for i, frames_on in enumerate((1, -1))]
    entropy_loss = published.entropy_loss_literal if step.config.literal else published.entropy_loss
    return {
        "prob_reg_loss": published.prob_reg_loss(*occlusions, part.owned),
        "sf_cycle_loss": sum(published.sf_cycle_loss(there[i], back[i], trust[i]) for i in range(2)),
        "entropy_loss": entropy_loss(step.batch.static.blends[step.batch.samples.dynamic_indices], part.owned),
    }


def _motion_losses(step: _Step, carried: _Carried) -> dict[str, Tensor]:
    """`sf_sm_loss`: flow in the world that changes little along a ray and not at all in time."""
    part, to_world = step.part, step.model.space.to_world
    rows = part.ray_indices
    here, over = to_world(part.positions), to_world(carried.positions[carried.chain])
    displacements = [to_world(positions) - here for positions in carried.positions]
    smooth, slow = (part.owned * _near(step, share) for share in (published.NEAR_SMOOTH, published.NEAR_KINETIC))
    pairs = smooth[1:] * smooth[:-1] * (rows[1:] == rows[:-1])
    further = to_world(carried.positions[carried.chain] + carried.further_flow) - over
    exists = step.exists(1), step.exists(-1)
    spatial = [published.sf_sm_loss_spatial(u, pairs * e[1:]) for u, e in zip(displacements, exists, strict=True)]
    onward = slow * step.exists(2 * step.phase.direction)
    return {
        "sf_sm_loss_spatial": spatial[0] + spatial[1],
        "sf_sm_loss_kinetic": published.sf_sm_loss_kinetic(*displacements, slow * exists[0] * exists[1]),
        "sf_sm_loss_chain": published.sf_sm_loss_kinetic(here - over, further, onward),
    }


def _near(step: _Step, share: float) -> Bool[Tensor, " n_samples"]:
    """Which samples are among the first of their ray: so large a `share` of the published equal steps from 0 to 1."""
    n_steps = step.model.occupancy.n_steps
    return step.part.lengths[1] < (int(share * n_steps) - 0.5) / (n_steps - 1)
