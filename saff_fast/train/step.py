"""One training step: the renders of a batch and their losses."""

import dataclasses
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from saff_fast.distributed import largest
from saff_fast.losses import geometry, motion, separation
from saff_fast.losses.reconstruction import reconstruction
from saff_fast.losses.reductions import masked_mean, mean
from saff_fast.ops import accumulate
from saff_fast.render.compositing import composite_dynamic, static_alone
from saff_fast.render.renderer import RenderedBatch
from saff_fast.scene.sampler import Targets
from saff_fast.train.budget import SampleBudget
from saff_fast.train.config import LossConfig
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

_EXPLAINS_FROM, _EXPLAINS_FULLY = 0.1, 0.3
"""Shares of the run: before the first the static field is too young to say what it can explain."""


@dataclass(frozen=True)
class MovingPart:
    """The first rays of a batch, those that carry scene-flow losses, with their dynamic samples only."""

    targets: Targets
    samples: DynamicPart
    attention: Float[Tensor, " n_rays"]
    """How much each ray is believed to show something that moves; carries no gradient."""


def batch_losses(
    model: SceneModel,
    targets: Targets,
    jitter: Float[Tensor, "n_rays ..."],
    n_moving: int,
    config: LossConfig,
    progress: Float[Tensor, ""],
    budget: SampleBudget | None = None,
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Weighted loss terms of a batch by name, and statistics for the log; reading either waits for the device.

    With a budget nothing else does, and all shapes are known beforehand: a CUDA graph can hold the step.

    Args:
        model: Fields, renderer, cameras.
        targets: The batch.
        jitter: What moves each ray's samples, in [0, 1).
        n_moving: Its first rays carry the scene-flow losses.
        config: Weights.
        progress: Share of the run that is done, 0 to 1.
        budget: Lengths of the sample buffers; without one they are as long as needed.
    """
    rays = model.frame_rays(targets.frames, targets.pixels)
    batch = model.renderer(rays, jitter, budget.capacity if budget else None)
    depth_weight = config.depth * config.depth_end**progress
    squares = batch.lengths[1].square().unsqueeze(1)
    alone = static_alone(batch.static, batch.samples, batch.lengths, [squares])
    static_error = (alone.rgb - targets.rgb).square().mean(-1)
    fit = separation.static_fit(static_error.detach(), targets.motion)
    grown_up = ((progress - _EXPLAINS_FROM) / (_EXPLAINS_FULLY - _EXPLAINS_FROM)).clamp(0, 1)
    explained = fit.explained * grown_up
    # Flow bleeds over the edges of movers and takes its evidence of motion along: the picture itself knows better.
    targets = dataclasses.replace(targets, motion=targets.motion * (1 - explained))
    terms = _joint_terms(batch, targets, explained, config, depth_weight)
    still = 1 - targets.motion
    trust = still * fit.explained + config.static_doubtful * (1 - still) * fit.pull
    terms["static_rgb"] = config.static * mean(static_error * trust)
    terms["static_opaque"] = config.static_opaque * grown_up * mean((1 - alone.opacity).clamp_min(0))
    terms["static_spread"] = config.static_spread * geometry.spread(alone.depth, alone.extras[:, 0], alone.opacity)
    moving = _moving_part(batch, targets, n_moving, budget)
    # Processes reduce the same sums: either all of them have these terms or none.
    if largest(len(moving.samples.positions)):
        terms |= _dynamic_terms(model, moving, config, depth_weight)
        terms |= _warp_terms(model, moving, config)
    return terms, batch_statistics(terms["rgb"], batch.samples)


def _weighted_reconstruction(
    terms: dict[str, Tensor], prefix: str, factor: float, config: LossConfig
) -> dict[str, Tensor]:
    weights = {"rgb": 1.0, "semantic": config.semantic, "saliency": config.saliency}
    return {f"{prefix}{name}": factor * weights[name] * term for name, term in terms.items()}


def _joint_terms(
    batch: RenderedBatch, targets: Targets, explained: Tensor, config: LossConfig, depth_weight: Tensor
) -> dict[str, Tensor]:
    outputs = batch.outputs
    errors = reconstruction(outputs, targets.rgb, targets.semantic, targets.saliency)
    depth = geometry.depth(outputs.depth, outputs.opacity, targets.depth, targets.depth_confidence)
    where = batch.samples.dynamic_indices
    seen = batch.dynamic_weights
    weights = batch.static_weights.index_add(0, where, seen)
    known = torch.maximum(explained, targets.depth_confidence)
    missing, present = separation.motion_evidence(outputs.blend, targets.motion, known, config.motion_free)
    unfounded = separation.motion_unfounded(
        batch.static.blends, weights, targets.motion[batch.samples.ray_indices], len(targets), config.motion_free
    )
    return _weighted_reconstruction(errors, "", 1.0, config) | {
        "depth": depth_weight * depth,
        "motion_missing": config.motion_missing * missing,
        "motion_present": config.motion_present * present,
        "motion_unfounded": config.motion_unfounded * unfounded,
        "blend_entropy": config.blend_entropy * separation.blend_entropy(batch.static.blends[where], seen),
    }


def _moving_part(batch: RenderedBatch, targets: Targets, n_moving: int, budget: SampleBudget | None) -> MovingPart:
    info = batch.samples.dynamic_packed_info[:n_moving]
    if budget is not None:
        info = budget.fitting(info)
    return MovingPart(
        targets=targets[:n_moving],
        samples=dynamic_part(batch, info, None if budget is None else budget.n_moving),
        attention=torch.maximum(batch.outputs.blend[:n_moving].detach(), targets.motion[:n_moving]),
    )


def _dynamic_terms(
    model: SceneModel, moving: MovingPart, config: LossConfig, depth_weight: Tensor
) -> dict[str, Tensor]:
    """The dynamic field alone: pictures, depth, projected flow, flow regularisers."""
    targets, part, samples = moving.targets, moving.samples, moving.samples.outputs
    semantics = model.field.dynamic_semantics
    moved = [part.positions + flows for flows in (samples.flows_fw, samples.flows_bw)]
    rays = composite_dynamic(samples, part.lengths, part.packed_info, semantics, moved)
    outputs, seen = rays.outputs, rays.weights
    errors = reconstruction(outputs, targets.rgb, targets.semantic, targets.saliency, moving.attention)
    trusted = moving.attention * targets.depth_confidence
    depth = geometry.depth(outputs.depth, outputs.opacity, targets.depth, trusted)
    terms = {
        "dynamic_depth": depth_weight * depth,
        "flow_magnitude": config.flow_magnitude
        * (motion.magnitude(samples.flows_fw, seen) + motion.magnitude(samples.flows_bw, seen)),
        "kinetic": config.kinetic
        * motion.kinetic(samples.flows_fw, samples.flows_bw, seen)
        / model.field.dynamic.flow_scale,
        "flow_smoothness": config.flow_smoothness
        * (
            motion.smoothness(samples.flows_fw, part.ray_indices, seen)
            + motion.smoothness(samples.flows_bw, part.ray_indices, seen)
        ),
        "occlusion": config.occlusion * masked_mean(samples.occlusions_fw + samples.occlusions_bw, part.owned),
    }
    for sign, sums, pixels, valid in (
        (1, rays.extras[:, :3], targets.next_pixels, targets.next_valid),
        (-1, rays.extras[:, 3:], targets.previous_pixels, targets.previous_valid),
    ):
        projected = flow_pixels(model, targets.frames, expected_points(sums, outputs.opacity), sign)
        mask = valid * moving.attention
        term = motion.optical_flow(projected, pixels, mask, model.cameras.width)
        terms["flow_next" if sign > 0 else "flow_previous"] = config.optical_flow * term
    return _weighted_reconstruction(errors, "dynamic_", config.dynamic, config) | terms


def _warp_terms(model: SceneModel, moving: MovingPart, config: LossConfig) -> dict[str, Tensor]:
    """The picture of this frame, rendered from the dynamic field of both neighbour frames through scene flow."""
    part, targets, semantics = moving.samples, moving.targets, model.field.dynamic_semantics
    samples = part.outputs
    flows = torch.stack([samples.flows_fw, samples.flows_bw])
    exists = torch.stack([in_sequence(model, part.frames, step) for step in (1, -1)])
    fields, there = carry(model, part, part.positions, flows, (1, -1))
    backs = fields[0].flows_bw, fields[1].flows_fw
    terms = {"pull_back": config.pull_back * motion.pull_back(there.outside, exists * part.owned)}
    for i, (prefix, occlusions) in enumerate((("next_", samples.occlusions_fw), ("previous_", samples.occlusions_bw))):
        rays = composite_dynamic(fields[i], part.lengths, part.packed_info, semantics)
        outputs, seen = rays.outputs, rays.weights
        trust = (1 - occlusions) * there.inside[i] * exists[i]
        trusted = accumulate(seen, trust.unsqueeze(1), part.packed_info)[:, 0]
        errors = reconstruction(outputs, targets.rgb, targets.semantic, targets.saliency, trusted * moving.attention)
        terms |= _weighted_reconstruction(errors, prefix, config.warp, config) | {
            f"{prefix}cycle": config.cycle * motion.cycle(flows[i], backs[i], occlusions, seen * exists[i]),
        }
    return terms
