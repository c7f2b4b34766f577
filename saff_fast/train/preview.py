"""A picture of how far a run is: one frame, small, as seen and as rendered."""

import cv2
import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from saff_fast.geometry.rays import parameter_to_depth, pixel_rays
from saff_fast.render.colours import Picture, depth_colours, share_colours
from saff_fast.train.model import SceneModel

_MAX_HEIGHT = 72
_CHUNK = 1 << 12  # rays rendered at once, if not fewer


@torch.no_grad()
def preview(
    model: SceneModel, frame: int, seen: UInt8[Tensor, "height width 3"], bounds: tuple[float, float]
) -> Picture:
    """Input, render, depth, blend and saliency of a frame side by side. Draws no random number.

    Args:
        model: What has been trained so far.
        frame: Whose camera and time.
        seen: Its picture.
        bounds: Near and far depth, for the colours of depth.
    """
    cameras = model.cameras.at_most(_MAX_HEIGHT)
    parts = []
    for pixels in cameras.pixel_grid().split(min(_CHUNK, model.occupancy.rays_at_once)):
        poses = torch.full((len(pixels),), frame, device=pixels.device)
        outputs = model.renderer(pixel_rays(model.space, cameras, poses, pixels, poses.float())).outputs
        depth = parameter_to_depth(model.space, cameras, poses, pixels, outputs.filled_depth)
        shares = torch.stack([depth, outputs.blend, outputs.saliency], dim=1)
        parts.append(torch.cat([outputs.rgb.clamp(0, 1), shares], dim=1))
    maps = torch.cat(parts).view(cameras.height, cameras.width, 6).cpu().numpy()
    here = cv2.resize(seen.cpu().numpy(), (cameras.width, cameras.height), interpolation=cv2.INTER_AREA)
    rendered = np.round(maps[..., :3] * 255).astype(np.uint8)
    shares = [share_colours(maps[..., channel]) for channel in (4, 5)]
    return np.concatenate([here, rendered, depth_colours(maps[..., 3], *bounds), *shares], axis=1)
