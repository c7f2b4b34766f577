"""Small pictures of every prior of a frame, as the page shows them."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8
from numpy import ndarray

from saff_fast.render.colours import depth_colours, flow_colours, share_colours
from saff_fast.scene.scene import Scene

WIDTH = 240
"""Columns of a thumbnail."""
SAMPLES_PER_FRAME = 2000

Picture = UInt8[ndarray, "height width 3"]


@dataclass(frozen=True)
class Scales:
    """What colours mean, the same in all frames."""

    nearest: float
    farthest: float
    largest_flow: float
    """Pixels at training size at which a flow's colour is full."""
    features: Float[ndarray, "2 3"]
    """Least and largest shown value of the first three feature channels."""


def measure(scene: Scene) -> Scales:
    """Ranges that hold all but the extremes of a sample of pixels."""
    random = np.random.default_rng(0)
    disparity = np.quantile(_sample(scene.disparities.numpy(), random), [0.01, 0.99]).clip(1e-6)
    flows = np.concatenate([_sample(flow.numpy(), random) for flow in (scene.flows_fw, scene.flows_bw)])
    features = np.zeros((1, 3), np.float32)
    if scene.semantics.shape[-1] >= 3:
        features = _sample(scene.semantics[..., :3].numpy(), random).astype(np.float32)
    return Scales(
        nearest=1 / float(disparity[1]),
        farthest=1 / float(disparity[0]),
        largest_flow=float(np.quantile(np.linalg.norm(flows, axis=-1), 0.98)),
        features=np.quantile(features, [0.02, 0.98], axis=0),
    )


def _sample(maps: Float[ndarray, "n_frames height width *channels"], random: np.random.Generator) -> ndarray:
    """Values of some pixels of every frame."""
    n_frames, height, width = maps.shape[:3]
    rows = random.integers(height, size=(n_frames, SAMPLES_PER_FRAME))
    columns = random.integers(width, size=(n_frames, SAMPLES_PER_FRAME))
    found = maps[np.arange(n_frames)[:, None], rows, columns]
    return found.reshape(-1, *maps.shape[3:])


PANELS: dict[str, Callable[[Scene, int, Scales], Picture | None]] = {
    "picture": lambda scene, frame, scales: scene.images[frame].numpy(),
    "motion": lambda scene, frame, scales: _motion(scene, frame),
    "depth": lambda scene, frame, scales: _depth(scene, frame, scales),
    "depth confidence": lambda scene, frame, scales: share_colours(scene.depth_confidences[frame].numpy()),
    "flow to the next frame": lambda scene, frame, scales: (
        _flow(scene.flows_fw[frame].numpy(), scene.flow_masks_fw[frame].numpy(), scales)
        if frame + 1 < len(scene)
        else None
    ),
    "flow to the previous frame": lambda scene, frame, scales: (
        _flow(scene.flows_bw[frame].numpy(), scene.flow_masks_bw[frame].numpy(), scales) if frame > 0 else None
    ),
    "features": lambda scene, frame, scales: _features(scene, frame, scales),
    "saliency": lambda scene, frame, scales: share_colours(scene.saliencies[frame].float().numpy()),
}
"""Title and maker of each small picture of a frame; None where the scene has no such thing."""


def thumbnail(picture: Picture) -> Picture:
    """The picture at the width of the page's columns."""
    height, width = picture.shape[:2]
    interpolation = cv2.INTER_AREA if width > WIDTH else cv2.INTER_LINEAR
    return cv2.resize(picture, (WIDTH, max(round(height * WIDTH / width), 1)), interpolation=interpolation)


def _motion(scene: Scene, frame: int) -> Picture:
    """Evidence of motion as red over a dimmed picture."""
    evidence = scene.motion_masks[frame].numpy()[..., None]
    dimmed = 0.6 * cv2.cvtColor(scene.images[frame].numpy(), cv2.COLOR_RGB2GRAY)[..., None].repeat(3, axis=-1)
    return np.round(dimmed * (1 - 0.75 * evidence) + 0.75 * evidence * (255, 40, 40)).astype(np.uint8)


def _depth(scene: Scene, frame: int, scales: Scales) -> Picture:
    return depth_colours(1 / scene.disparities[frame].numpy().clip(1e-9), scales.nearest, scales.farthest)


def _flow(flow: Float[ndarray, "h w 2"], consistent: Bool[ndarray, "h w"], scales: Scales) -> Picture:
    """The colour wheel where the flow is consistent, darkened where it is not."""
    colours = flow_colours(flow, scales.largest_flow)
    return np.where(consistent[..., None], colours, colours // 4)


def _features(scene: Scene, frame: int, scales: Scales) -> Picture | None:
    """The first three principal components as red, green, blue."""
    if scene.semantics.shape[-1] < 3:
        return None
    low, high = scales.features
    shares = (scene.semantics[frame, ..., :3].float().numpy() - low) / np.maximum(high - low, 1e-9)
    return np.round(shares.clip(0, 1) * 255).astype(np.uint8)
