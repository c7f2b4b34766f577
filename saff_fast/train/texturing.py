"""What is kept of the trained frames at the end of a run, for the views that they come near (`render.textures`)."""

from collections.abc import Container

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor
from torch.nn.functional import max_pool2d

from saff_fast.distributed import keep_largest
from saff_fast.geometry.rays import parameter_to_depth, pixel_rays
from saff_fast.losses.geometry import LEAST_OPACITY
from saff_fast.ops import accumulate
from saff_fast.render.textures import FrameTextures
from saff_fast.train.model import SceneModel


@torch.no_grad()
def textures_of(
    model: SceneModel,
    images: UInt8[Tensor, "n_frames h w 3"],
    motion_masks: Float[Tensor, "n_frames h w"],
    own_frames: Container[int],
) -> FrameTextures:
    """Textures of the trained frames, from their pictures and what the fields make of their views.

    Args:
        model: At the end of its training.
        images: All frames.
        motion_masks: Evidence of motion in them.
        own_frames: Trained frames that this process renders.
    """
    maps = images.new_full((len(model.trained), 2, 5, *images.shape[1:3]), -torch.inf, dtype=torch.float32)
    for row, frame in enumerate(model.trained):
        if frame in own_frames:
            maps[row] = _maps(model, images[frame], motion_masks[frame], frame)
    keep_largest([maps])
    static, dynamic = maps.half().unbind(1)
    return FrameTextures(tuple(model.trained), model.cameras[model.trained], static, dynamic)


def _maps(
    model: SceneModel, image: UInt8[Tensor, "h w 3"], moved: Float[Tensor, "h w"], frame: int
) -> Float[Tensor, "2 5 h w"]:
    """Those of the static and of the dynamic surfaces of a frame."""
    cameras, parts = model.cameras, []
    for pixels in cameras.pixel_grid().split(model.occupancy.rays_at_once):
        poses = torch.full((len(pixels),), frame, device=pixels.device)
        batch = model.renderer(pixel_rays(model.space, cameras, poses, pixels, poses.float()))
        samples, (_, centres) = batch.samples, batch.lengths
        here = samples.dynamic_indices
        for surface in (
            _surface(batch.static_weights, batch.static.rgbs, centres, samples.packed_info),
            _surface(batch.dynamic_weights, batch.dynamic.rgbs, centres[here], samples.dynamic_packed_info),
        ):
            depth = parameter_to_depth(model.space, cameras, poses, pixels, surface[:, 3])
            parts.append(torch.cat([surface[:, :3], 1 / depth.unsqueeze(1), surface[:, 4:]], dim=1))
    static, dynamic = (torch.cat(parts[which::2]).T.unflatten(1, (cameras.height, cameras.width)) for which in (0, 1))
    static[4] = torch.minimum(static[4], 1 - moved)
    maps = torch.stack([static, dynamic])
    maps[:, :3] = image.permute(2, 0, 1) / 255 - maps[:, :3] / 2
    maps[:, 4] = _seen(maps[:, 4])
    return maps


def _surface(
    weights: Float[Tensor, " n"], colours: Float[Tensor, "n 3"], t: Float[Tensor, " n"], packed_info: Int[Tensor, "r 2"]
) -> Float[Tensor, "r 5"]:
    """Mean colour and place along each ray of what one field shows, and its opacity."""
    values = torch.cat([colours, t.unsqueeze(1), torch.ones_like(colours[:, :1])], dim=1)
    sums = accumulate(weights, values, packed_info)
    opacity = sums[:, 4:]
    return torch.cat([sums[:, :4] / opacity.clamp_min(LEAST_OPACITY), opacity], dim=1)


def _seen(opacity: Float[Tensor, "2 h w"]) -> Float[Tensor, "2 h w"]:
    """From the opacity of a surface, whether a pixel and those beside it show it and nothing else."""
    least = -max_pool2d(-opacity, 3, stride=1, padding=1)
    return (4 * least - 2).clamp(0, 1)
