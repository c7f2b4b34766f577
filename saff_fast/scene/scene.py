"""A scene in memory: what training reads."""

from dataclasses import dataclass, fields, replace
from typing import Self

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from saff_fast.geometry.cameras import Cameras


@dataclass(frozen=True)
class Scene:
    """Frames of one video with their cameras and priors, all at one image size.

    The world is the published loader's: scaled so that the 5th percentile of near depths is 1/0.9, and recentred on the
    mean camera, which looks along world -z with world y up (so an OpenCV camera there is diag(1, -1, -1)).
    """

    name: str
    names: tuple[str, ...]
    """File stem of each frame."""
    images: UInt8[Tensor, "n_frames height width 3"]
    cameras: Cameras
    bounds: Float[Tensor, "n_frames 2"]
    """Near and far depth along each camera's z."""
    disparities: Float[Tensor, "n_frames height width"]
    """Inverse depth up to one unknown scale and shift a frame; larger is nearer."""
    depth_confidences: Float[Tensor, "n_frames height width"]
    """Trust in `disparities`, 0 to 1; all ones where the folder has none."""
    flows_fw: Float[Tensor, "n_frames height width 2"]
    """Optical flow (x, y) in pixels to the next frame; zero for the last."""
    flows_bw: Float[Tensor, "n_frames height width 2"]
    flow_masks_fw: Bool[Tensor, "n_frames height width"]
    """Where forward and backward flow agree."""
    flow_masks_bw: Bool[Tensor, "n_frames height width"]
    motion_masks: Float[Tensor, "n_frames height width"]
    """Evidence of motion, 0 (static or unknown) to 1."""
    semantics: Float[Tensor, "n_frames feature_height feature_width n_semantic"]
    """PCA features, float16; possibly coarser than the images."""
    saliencies: Float[Tensor, "n_frames feature_height feature_width"]

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.names)

    def to(self, device: torch.device | str) -> Self:
        """The same scene on `device`."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(self, **{name: v.to(device) for name, v in values.items() if isinstance(v, Tensor | Cameras)})
