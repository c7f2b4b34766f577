"""Convex analytic shapes in their own coordinates: where a ray enters them, and their normals.

A ray is `origin + t * direction`; `t` does not change under the rigid motion that takes a ray into a shape's
coordinates, so with directions of unit length along a camera's z it is the depth in every frame of reference.

Every shape has `bound`, the radius of a sphere around its origin that holds it; `enter`, the ray parameter where rays
that start outside enter it (inf where they miss or it lies behind); and `normals`, unit and outward, at surface points.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

Vector = tuple[float, float, float]
TINY = 1e-200
"""Stands for a zero component of a direction: quotients stay finite."""


@dataclass(frozen=True)
class Ellipsoid:
    """Axis-aligned ellipsoid."""

    radii: Vector

    @property
    def bound(self) -> float:
        """Largest radius."""
        return max(self.radii)

    def enter(
        self, origins: Float[ndarray, "#n_rays 3"], directions: Float[ndarray, "n_rays 3"]
    ) -> Float[ndarray, " n_rays"]:
        """Smaller root of |(o + t d) / r| = 1."""
        o, d = origins / self.radii, directions / self.radii
        return _smaller_root(_dot(d, d), _dot(o, d), _dot(o, o) - 1.0)

    def normals(self, points: Float[ndarray, "n_points 3"]) -> Float[ndarray, "n_points 3"]:
        """Gradient of the implicit function."""
        return _normalise(points / np.square(self.radii))


@dataclass(frozen=True)
class Box:
    """Axis-aligned box."""

    half: Vector

    @property
    def bound(self) -> float:
        """Half the diagonal."""
        return float(np.linalg.norm(self.half))

    def enter(
        self, origins: Float[ndarray, "#n_rays 3"], directions: Float[ndarray, "n_rays 3"]
    ) -> Float[ndarray, " n_rays"]:
        """Latest entry into the three slabs, if before the first exit."""
        steep = np.where(directions == 0, TINY, directions)
        first, last = np.full(len(directions), -np.inf), np.full(len(directions), np.inf)
        for axis, half in enumerate(self.half):
            inverse = 1 / steep[:, axis]
            centre, reach = -origins[:, axis] * inverse, np.abs(half * inverse)
            np.maximum(first, centre - reach, out=first)
            np.minimum(last, centre + reach, out=last)
        return np.where((first < last) & (first > 0), first, np.inf)

    def normals(self, points: Float[ndarray, "n_points 3"]) -> Float[ndarray, "n_points 3"]:
        """The axis of the nearest face."""
        relative = points / self.half
        axis = np.abs(relative).argmax(-1)
        normals = np.zeros_like(points)
        rows = np.arange(len(points))
        normals[rows, axis] = np.sign(relative[rows, axis])
        return normals


@dataclass(frozen=True)
class Capsule:
    """Cylinder along y with half balls at both ends."""

    radius: float
    half_length: float
    """Half the distance between the balls' centres."""

    @property
    def bound(self) -> float:
        """Half the length over all."""
        return self.radius + self.half_length

    def enter(
        self, origins: Float[ndarray, "#n_rays 3"], directions: Float[ndarray, "n_rays 3"]
    ) -> Float[ndarray, " n_rays"]:
        """First of the entries into the side and the two balls."""
        o, d = origins[..., [0, 2]], directions[..., [0, 2]]
        side = _smaller_root(_dot(d, d), _dot(o, d), _dot(o, o) - self.radius**2)
        with np.errstate(invalid="ignore"):
            height = np.abs(origins[..., 1] + side * directions[..., 1])
        first = np.where(height <= self.half_length, side, np.inf)
        square = _dot(directions, directions)
        for end in (-self.half_length, self.half_length):
            o = origins - np.array([0.0, end, 0.0])
            ball = _smaller_root(square, _dot(o, directions), _dot(o, o) - self.radius**2)
            first = np.minimum(first, ball)
        return first

    def normals(self, points: Float[ndarray, "n_points 3"]) -> Float[ndarray, "n_points 3"]:
        """Away from the nearest point of the axis."""
        axis = np.zeros_like(points)
        axis[:, 1] = points[:, 1].clip(-self.half_length, self.half_length)
        return _normalise(points - axis)


Shape = Ellipsoid | Box | Capsule


def _dot(a: ndarray, b: ndarray) -> ndarray:
    return np.einsum("ni,ni->n", *np.broadcast_arrays(a, b))


def _smaller_root(a: ndarray, b: ndarray, c: ndarray) -> ndarray:
    """Smaller root of a t^2 + 2 b t + c = 0 where it is real and positive, else inf."""
    with np.errstate(divide="ignore", invalid="ignore"):
        root = (-b - np.sqrt(b * b - a * c)) / a
    return np.where(np.isfinite(root) & (root > 0), root, np.inf)


def _normalise(vectors: ndarray) -> ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
