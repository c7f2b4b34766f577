"""Camera paths that no frame was taken from."""

import math
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from scipy.spatial.transform import Rotation, Slerp
from torch import Tensor

from saff_fast.geometry.cameras import Cameras


def sway(cameras: Cameras, n_cameras: int, radius: float = 0.5) -> Cameras:
    """A closed ellipse about the mean of forward-facing cameras, all looking the mean way.

    The ellipse lies along the two directions in which the camera centres spread most.

    Args:
        cameras: The cameras that a scene was taken from.
        n_cameras: Cameras of the path.
        radius: Half axes of the ellipse, in standard deviations of the centres times the square root of two (1 would
            be the circle that cameras on a circle stand on).
    """
    centres = cameras.c2w[:, :, 3]
    mean = centres.mean(0)
    _, spread, directions = torch.linalg.svd(centres - mean, full_matrices=False)
    half_axes = radius * spread[:2] * math.sqrt(2 / len(cameras))
    angles = torch.linspace(0, 2 * math.pi, n_cameras + 1, dtype=centres.dtype, device=centres.device)[:-1]
    offsets = torch.stack([angles.cos(), angles.sin()], dim=1) * half_axes
    positions = mean + offsets @ directions[:2]
    left, _, right = torch.linalg.svd(cameras.c2w[:, :, :3].mean(0))
    rotation = left @ right
    c2w = torch.cat([rotation.expand(n_cameras, 3, 3), positions.unsqueeze(-1)], dim=-1)
    return replace(cameras, c2w=c2w, intrinsics=cameras.intrinsics.mean(0).expand(n_cameras, 4))


def between(
    c2w: Float[Tensor, "n_keys 3 4"], places: Float[ndarray, " n_keys"], at: Float[ndarray, " n"]
) -> Float[Tensor, "n 3 4"]:
    """Cameras between key cameras: straight lines from centre to centre, rotations along great arcs (slerp).

    Args:
        c2w: The key cameras.
        places: Where each key stands, ascending, in any unit.
        at: Where cameras are wanted; before the first and after the last key they stand at that key.

    Example:
        >>> keys = torch.eye(4)[:3].repeat(2, 1, 1)
        >>> keys[1, 0, 3] = 4
        >>> between(keys, np.array([0.0, 2.0]), np.array([0.5]))[0, :, 3]
        tensor([1., 0., 0.])
    """
    if len(c2w) == 1:
        return c2w.expand(len(at), 3, 4)
    at = np.clip(at, places[0], places[-1])
    matrices = c2w.double().cpu().numpy()
    rotations = Slerp(places, Rotation.from_matrix(matrices[:, :, :3]))(at).as_matrix()
    centres = np.stack([np.interp(at, places, matrices[:, axis, 3]) for axis in range(3)], axis=-1)
    return torch.from_numpy(np.concatenate([rotations, centres[..., None]], axis=-1)).to(c2w)


def smoothed(c2w: Float[Tensor, "n 3 4"], sigma: float) -> Float[Tensor, "n 3 4"]:
    """Cameras of a steadier hand: each is the mean of its neighbours in time, weighted by a Gaussian.

    The mean of rotations is the rotation nearest to the mean of their matrices (chordal mean). At the ends the path is
    continued by its mirror image in the end point, so that a camera in steady motion keeps its way.

    Args:
        c2w: The cameras, one a frame.
        sigma: Standard deviation in frames; 0 leaves them as they are.
    """
    if sigma == 0 or len(c2w) == 1:
        return c2w
    n, reach = len(c2w), min(math.ceil(3 * sigma), len(c2w) - 1)
    matrices = c2w.double()
    offsets = torch.arange(-reach, reach + 1, device=c2w.device)
    weights = torch.exp(-offsets.double().square() / (2 * sigma**2))
    weights = weights / weights.sum()
    frames = torch.arange(n, device=c2w.device).unsqueeze(1) + offsets
    ends = frames.clamp(0, n - 1)
    mirrored = (2 * ends - frames).clamp(0, n - 1)
    around = torch.where((ends == frames)[..., None, None], matrices[ends], 2 * matrices[ends] - matrices[mirrored])
    mean = torch.einsum("j,njrc->nrc", weights, around)
    left, _, right = torch.linalg.svd(mean[:, :, :3])
    turned = torch.linalg.det(left @ right).sign()
    left = torch.cat([left[:, :, :2], left[:, :, 2:] * turned[:, None, None]], dim=2)
    return torch.cat([left @ right, mean[:, :, 3:]], dim=2).to(c2w)


def circling(n_cameras: int, half_axes: tuple[float, float, float]) -> Float[ndarray, "n_cameras 3"]:
    """Shifts of a camera along its own axes (x right, y down, z forward) that go once round, starting sideways of it.

    The published wander path (method section 8.1): `(M sin phi, M cos phi / 3, M cos phi / 3)` with OpenGL axes,
    inverted; and with thirds as half and zero, that of the published slow motion.
    """
    phi = 2 * np.pi * np.arange(n_cameras) / n_cameras
    x, y, z = half_axes
    return np.stack([-x * np.sin(phi), y * np.cos(phi), z * np.cos(phi)], axis=-1)


def shifted(c2w: Float[Tensor, "n 3 4"], shifts: Float[ndarray, "n 3"]) -> Float[Tensor, "n 3 4"]:
    """Cameras moved along their own axes."""
    local = torch.from_numpy(np.asarray(shifts)).to(c2w)
    return torch.cat([c2w[:, :, :3], c2w[:, :, 3:] + c2w[:, :, :3] @ local.unsqueeze(-1)], dim=2)
