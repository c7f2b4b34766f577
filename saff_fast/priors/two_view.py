"""Geometry of two views of one static scene."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from saff_fast.geometry.cameras import Cameras


@dataclass(frozen=True)
class RelativeView:
    """One neighbour seen from a reference frame: static pixel `p` at inverse depth `w` lies at `A p + w b` there."""

    infinite: Float[np.ndarray, "3 3"]
    """A = K' R K^-1, the homography of the plane at infinity."""
    epipole: Float[np.ndarray, " 3"]
    """b = K' t, where the reference camera's centre is seen (times depth)."""


def relative_view(cameras: Cameras, reference: int, neighbour: int) -> RelativeView:
    """The two-view geometry of frames `reference` and `neighbour`."""
    k = [_calibration(cameras.intrinsics[i].double().numpy()) for i in (reference, neighbour)]
    c2w = [cameras.c2w[i].double().numpy() for i in (reference, neighbour)]
    rotation = c2w[1][:, :3].T @ c2w[0][:, :3]
    translation = c2w[1][:, :3].T @ (c2w[0][:, 3] - c2w[1][:, 3])
    return RelativeView(k[1] @ rotation @ np.linalg.inv(k[0]), k[1] @ translation)


def reprojection(
    p: Float[np.ndarray, "h w 3"],
    view: RelativeView,
    inverse: Float[np.ndarray, "h w"],
    target: Float[np.ndarray, "h w 2"],
) -> tuple[Float[np.ndarray, "h w 2"], Float[np.ndarray, "h w 2"]]:
    """By how many pixels static points are seen off a target in the neighbour, and the derivative by inverse depth."""
    projected = p @ view.infinite.T + inverse[..., None] * view.epipole
    depth = np.maximum(projected[..., 2:], 1e-6)
    pixels = projected[..., :2] / depth
    return pixels - target, (view.epipole[:2] - pixels * view.epipole[2]) / depth


def through_plane(
    image: UInt8[np.ndarray, "h w 4"], view: RelativeView, inverse_depth: float
) -> UInt8[np.ndarray, "h w 4"]:
    """The neighbour's picture as the reference camera would see it on a plane across its axis; zero outside."""
    homography = view.infinite.copy()
    homography[:, 2] += inverse_depth * view.epipole
    # OpenCV counts pixel centres from 0.
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    homography = np.linalg.inv(half) @ homography @ half
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpPerspective(image, homography, image.shape[1::-1], flags=flags)


def _calibration(intrinsics: Float[np.ndarray, " 4"]) -> Float[np.ndarray, "3 3"]:
    fx, fy, cx, cy = intrinsics
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]])


def pixel_centres(height: int, width: int) -> Float[np.ndarray, "h w 3"]:
    """Homogeneous pixel centres, at +0.5."""
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    return np.stack([x, y, np.ones_like(x)], axis=-1)
