"""Errors of estimated camera poses, whose world is one's own choice up to a similarity."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray


@dataclass(frozen=True)
class PoseErrors:
    """What is left of each camera's error after one similarity has laid the estimated world over the true one."""

    centres: Float[ndarray, " n_frames"]
    """Distance of the centres, as a share of the largest distance between two true centres."""
    rotations: Float[ndarray, " n_frames"]
    """Angle between the orientations, in degrees."""


def pose_errors(c2w: Float[ndarray, "n_frames 3 4"], truth: Float[ndarray, "n_frames 3 4"]) -> PoseErrors:
    """Errors of camera-to-world poses after the similarity that fits the centres best (Umeyama, PAMI 1991).

    Args:
        c2w: Estimated poses; their centres must not lie on one line, which would leave a turn about it open.
        truth: True ones, of the same camera axes.
    """
    centres, true_centres = c2w[:, :, 3], truth[:, :, 3]
    offsets, true_offsets = centres - centres.mean(0), true_centres - true_centres.mean(0)
    u, singular, vt = np.linalg.svd(true_offsets.T @ offsets)
    signs = np.array([1.0, 1.0, np.linalg.det(u @ vt)])
    rotation = (u * signs) @ vt
    scale = (singular * signs).sum() / np.square(offsets).sum()
    missed = np.linalg.norm(scale * offsets @ rotation.T - true_offsets, axis=-1)
    extent = np.linalg.norm(true_centres[:, None] - true_centres[None], axis=-1).max()
    turns = np.einsum("nji,jk,nkl->nil", truth[:, :, :3], rotation, c2w[:, :, :3])
    return PoseErrors(missed / extent, np.degrees(_angles(turns)))


def _angles(rotations: Float[ndarray, "n 3 3"]) -> Float[ndarray, " n"]:
    """Angles of rotations, by sine and cosine: the cosine alone is flat at small ones."""
    axis = np.stack([rotations[:, i, j] - rotations[:, j, i] for i, j in ((2, 1), (0, 2), (1, 0))], -1)
    return np.arctan2(np.linalg.norm(axis, axis=-1), np.trace(rotations, axis1=1, axis2=2) - 1)
