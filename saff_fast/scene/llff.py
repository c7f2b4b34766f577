"""Published pose files (LLFF) to and from OpenCV cameras; the only place where axes and units change.

A row of `poses_bounds.npy` is a 3 x 5 matrix, row by row, then near and far depth. Its columns are the camera's down,
right and backward axes and its centre, in world coordinates, and (height, width, focal) in pixels (01-inputs 4.1).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

NEAR_MARGIN = 0.9
"""`bd_factor` of the published loader: near depths end at its inverse (01-inputs 4.2, step 3)."""


@dataclass(frozen=True)
class WorldTransform:
    """From the world of `poses_bounds.npy` to the scene's: scaled, then recentred on the mean camera.

    A depth along a camera's z is only scaled: `depth_scene = scale * depth_file`.
    """

    scale: float
    rotation: Float[ndarray, "3 3"]
    """Axes of the mean camera in the file's world: right, up, backward."""
    centre: Float[ndarray, " 3"]
    """Mean camera centre in the file's world, already scaled."""

    def points(self, points: Float[ndarray, "*n 3"]) -> Float[ndarray, "*n 3"]:
        """World points of the file in the scene's world."""
        return (self.scale * points - self.centre) @ self.rotation

    def vectors(self, vectors: Float[ndarray, "*n 3"]) -> Float[ndarray, "*n 3"]:
        """Displacements of the file's world, such as scene flow, in the scene's."""
        return self.scale * vectors @ self.rotation


@dataclass(frozen=True)
class LlffCameras:
    """What a pose file says, as OpenCV camera-to-world matrices in the scene's world."""

    c2w: Float[ndarray, "n_frames 3 4"]
    bounds: Float[ndarray, "n_frames 2"]
    """Near and far depth, scene units."""
    height: int
    width: int
    focal: float
    """Pixels of a `height` x `width` picture."""
    transform: WorldTransform


def to_llff(
    c2w: Float[ndarray, "n_frames 3 4"], hwf: tuple[int, int, float], bounds: Float[ndarray, "n_frames 2"]
) -> Float[ndarray, "n_frames 17"]:
    """Rows of `poses_bounds.npy` for OpenCV cameras in any world."""
    right, down, forward, centre = np.moveaxis(c2w, -1, 0)
    size = np.broadcast_to(np.asarray(hwf, float), centre.shape)
    poses = np.stack([down, right, -forward, centre, size], axis=-1)
    return np.concatenate([poses.reshape(-1, 15), bounds], axis=-1)


def opencv_poses(poses_bounds: Float[ndarray, "n_frames 17"]) -> Float[ndarray, "n_frames 3 4"]:
    """Camera to world with OpenCV axes, in the file's own world; the inverse of `to_llff`."""
    down, right, backward, centre = np.moveaxis(poses_bounds[:, :15].reshape(-1, 3, 5)[..., :4], -1, 0)
    return np.stack([right, down, -backward, centre], axis=-1)


def from_llff(poses_bounds: Float[ndarray, "n_frames 17"]) -> LlffCameras:
    """The published load-time transforms (01-inputs 4.2, steps 2 to 4), then camera axes from OpenGL to OpenCV."""
    poses, bounds = opencv_poses(poses_bounds), poses_bounds[:, 15:]
    axes, centre = poses[:, :, :3], poses[:, :, 3]
    scale = 1 / (NEAR_MARGIN * float(np.percentile(bounds[:, 0], 5)))
    transform = WorldTransform(scale, _mean_axes(-axes[:, :, 1], -axes[:, :, 2]), (scale * centre).mean(0))
    c2w = np.concatenate(
        [np.einsum("ji,njk->nik", transform.rotation, axes), transform.points(centre)[..., None]], axis=-1
    )
    height, width, focal = poses_bounds[0, [4, 9, 14]]
    return LlffCameras(c2w, scale * bounds, int(height), int(width), float(focal), transform)


def _mean_axes(up: Float[ndarray, "n_frames 3"], backward: Float[ndarray, "n_frames 3"]) -> Float[ndarray, "3 3"]:
    """Right, up and backward axes of the mean camera, as columns (01-inputs 4.2, step 4)."""
    z = _normalise(backward.sum(0))
    x = _normalise(np.cross(up.sum(0), z))
    return np.stack([x, _normalise(np.cross(z, x)), z], axis=-1)


def _normalise(vector: Float[ndarray, " 3"]) -> Float[ndarray, " 3"]:
    return vector / np.linalg.norm(vector)
