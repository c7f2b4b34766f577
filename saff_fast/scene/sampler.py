"""Pixels to train on, with everything the priors say of them."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from saff_fast.scene.scene import Scene
from saff_fast.types import PerRow

DETAIL_PIXELS = 7
"""Side of the square over which detail is measured."""


@dataclass(frozen=True)
class Targets(PerRow):
    """What the pictures and priors say of a batch of pixels."""

    frames: Int[Tensor, " n_rays"]
    pixels: Float[Tensor, "n_rays 2"]
    """Pixel centres (x, y)."""
    rgb: Float[Tensor, "n_rays 3"]
    depth: Float[Tensor, " n_rays"]
    """Depth prior as a ray parameter `t`."""
    depth_confidence: Float[Tensor, " n_rays"]
    motion: Float[Tensor, " n_rays"]
    """Evidence of motion in [0, 1]; 0 is static or unknown."""
    next_pixels: Float[Tensor, "n_rays 2"]
    """Where optical flow takes the pixel in the next frame."""
    next_valid: Float[Tensor, " n_rays"]
    """1 where that flow is consistent."""
    previous_pixels: Float[Tensor, "n_rays 2"]
    previous_valid: Float[Tensor, " n_rays"]
    semantic: Float[Tensor, "n_rays n_semantic"]
    saliency: Float[Tensor, " n_rays"]


class PixelSampler:
    """Draws batches from the training frames, all frames mixed.

    A batch depends on the seed and the step alone, so a resumed run sees the batches it would have seen. The first
    `n_moving` pixels of a batch are drawn where there is evidence of motion and beside it. Of the others a share is
    drawn in proportion to the detail around them, which takes longer to learn than a sky, and the rest evenly. Pixels
    are drawn on the CPU, so that they are the same for scenes on any device, and looked up where the scene is.

    Args:
        scene: Pictures and priors.
        depth: The depth prior as a ray parameter `t`.
        frames: Those to draw from.
        seed: What batches depend on beside the step.
        detail_share: That share, 0 to 1.
    """

    def __init__(
        self, scene: Scene, depth: Float[Tensor, "n_frames h w"], frames: list[int], seed: int, detail_share: float
    ) -> None:
        self._scene = scene
        self._depth = depth
        self._seed = seed
        self._pixels_per_frame = scene.cameras.height * scene.cameras.width
        self._frames = torch.tensor(frames)
        # What is beside a mover tells where it ends.
        reach = 2 * (scene.cameras.height // 32) + 1
        masks = scene.motion_masks.cpu()[self._frames]
        beside = torch.nn.functional.max_pool2d(masks.unsqueeze(1), reach, stride=1, padding=reach // 2).squeeze(1)
        self._moving = _cumulative(masks + beside / 2)
        detail = torch.stack([_detail(scene.images[frame].cpu()) for frame in frames])
        self._everywhere = _cumulative(detail.mean().lerp(detail, detail_share))

    def sample(self, step: int, n_rays: int, n_moving: int) -> tuple[Targets, torch.Generator]:
        """The batch of training step `step`, and the generator for whatever else is random in that step."""
        drawn, generator = self.draw(step, n_rays, n_moving)
        return self.targets(*drawn), generator

    def draw(self, step: int, n_rays: int, n_moving: int) -> tuple[Int[Tensor, "2 n_rays"], torch.Generator]:
        """Frames of that batch's pixels and their row-major indices, on the CPU; the generator as above."""
        generator = torch.Generator().manual_seed((self._seed << 32) + step)
        moving = _draw(self._moving, n_moving, generator)
        chosen = torch.cat([moving, _draw(self._everywhere, n_rays - n_moving, generator)])
        frames, flat = self._frames[chosen // self._pixels_per_frame], chosen % self._pixels_per_frame
        return torch.stack([frames, flat]), generator

    def targets(self, frames: Int[Tensor, " n_rays"], flat: Int[Tensor, " n_rays"]) -> Targets:
        """Targets of the pixels with row-major index `flat` in their frames, on the scene's device."""
        scene = self._scene
        frames, flat = torch.stack([frames, flat]).to(scene.images.device, non_blocking=True)
        h, w = scene.cameras.height, scene.cameras.width
        y, x = flat // w, flat % w
        here = frames, y, x
        pixels = torch.stack([x, y], dim=-1) + 0.5
        feature_h, feature_w = scene.semantics.shape[1:3]
        feature = frames, y * feature_h // h, x * feature_w // w
        return Targets(
            frames=frames,
            pixels=pixels,
            rgb=scene.images[here].float() / 255,
            depth=self._depth[here],
            depth_confidence=scene.depth_confidences[here],
            motion=scene.motion_masks[here],
            next_pixels=pixels + scene.flows_fw[here],
            next_valid=scene.flow_masks_fw[here].float(),
            previous_pixels=pixels + scene.flows_bw[here],
            previous_valid=scene.flow_masks_bw[here].float(),
            semantic=scene.semantics[feature].float(),
            saliency=scene.saliencies[feature].float(),
        )


def _detail(image: UInt8[Tensor, "h w 3"]) -> Float[Tensor, "h w"]:
    """Standard deviation of the brightness around each pixel."""
    gray = image.float().mean(-1)
    around = torch.nn.functional.avg_pool2d(
        torch.stack([gray, gray.square()]), DETAIL_PIXELS, 1, DETAIL_PIXELS // 2, count_include_pad=False
    )
    return (around[1] - around[0].square()).clamp_min(0).sqrt()


def _cumulative(weights: Float[Tensor, "n_frames h w"]) -> Float[Tensor, " n_pixels"]:
    """Sums of the weights of all pixels up to each; of ones where all are zero."""
    flat = weights.reshape(-1).double()
    return (flat if float(flat.sum()) > 0 else torch.ones_like(flat)).cumsum(0)


def _draw(cumulative: Float[Tensor, " n_pixels"], n: int, generator: torch.Generator) -> Int[Tensor, " n"]:
    """Indices, each as likely as its weight says."""
    draws = torch.rand(n, generator=generator, dtype=torch.float64) * cumulative[-1]
    return torch.searchsorted(cumulative, draws, right=True).clamp_max(len(cumulative) - 1)
