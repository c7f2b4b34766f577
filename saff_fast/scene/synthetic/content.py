"""What the synthetic scene holds: its parts, their motions, and the camera rig.

World axes are those of a camera at the middle of the rig: x right, y down, z forward; lengths in world units. Sizes and
speeds are chosen for the nominal size of 160 x 90 pixels, where a unit at depth z is `NOMINAL_FOCAL / z` pixels.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from saff_fast.scene.synthetic.shapes import Box, Capsule, Ellipsoid, Shape, Vector
from saff_fast.scene.synthetic.textures import Colour, Texture

NOMINAL_WIDTH = 160
NOMINAL_FOCAL = 136.0
N_CAMERAS = 12
TURN_BACK = 23.0
"""Frame at which every path turns back, so that a longer video keeps its movers in view."""

RIG_SPACING = 0.14
RIG_TILT = np.deg2rad(30)
"""Roll of the rig's grid: no step between cameras is parallel to the movers' paths along the ground, where the epipolar
distance would not see them."""
RIG_TARGET = np.array([0.0, 0.0, 5.5])
"""Where all cameras look."""
RIG_ORDER = ((2, 0), (1, 0), (0, 0), (0, 1), (0, 2), (0, 3), (1, 3), (2, 3), (2, 2), (1, 2), (1, 1), (2, 1))
"""Row and column of each camera: a closed tour of the 3 x 4 grid by steps to a neighbour, from a corner."""

Time = float | int
"""In frames, fractional allowed."""
Rigid = tuple[Float[ndarray, "3 3"], Float[ndarray, " 3"]]
Motion = Callable[[Time], Rigid]
"""Rotation and translation from a part's own coordinates to the world, at a time in frames."""


@dataclass(frozen=True)
class Part:
    """One rigid piece of the scene."""

    kind: str
    """What it is: parts of one kind share a descriptor."""
    instance: int
    """Object it belongs to, 1, 2, ...; 0 for all that stands still."""
    shape: Shape
    texture: Texture
    motion: Motion


def rig() -> Float[ndarray, "n_cameras 3 4"]:
    """Camera-to-world matrices of the rig, OpenCV axes: a grid in the plane z = 0, toed in."""
    rows, columns = np.array(RIG_ORDER, float).T
    across, down = (columns - 1.5) * RIG_SPACING, (rows - 1.0) * RIG_SPACING
    cos, sin = np.cos(RIG_TILT), np.sin(RIG_TILT)
    centres = np.stack([cos * across - sin * down, sin * across + cos * down, np.zeros(N_CAMERAS)], axis=-1)
    return np.stack([_look_at(centre) for centre in centres])


def _look_at(centre: Float[ndarray, " 3"]) -> Float[ndarray, "3 4"]:
    forward = RIG_TARGET - centre
    forward /= np.linalg.norm(forward)
    right = np.cross([0.0, 1.0, 0.0], forward)
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(forward, right), forward, centre], axis=-1)


def build_parts() -> tuple[Part, ...]:
    """All parts, those that stand still first."""
    return (*_background(), *_statue(), *_crate(), *_balloon(), *_walker())


def _background() -> tuple[Part, ...]:
    """A wall, a floor that rises towards it, and three props."""
    slope = np.arctan(FLOOR_SLOPE)
    wall = ((0.52, 0.57, 0.62), (0.80, 0.74, 0.62), (0.28, 0.36, 0.46))
    floor = ((0.42, 0.40, 0.33), (0.62, 0.56, 0.40), (0.24, 0.30, 0.24))
    stone = ((0.46, 0.45, 0.47), (0.66, 0.62, 0.58), (0.25, 0.25, 0.30))
    wood = ((0.45, 0.33, 0.24), (0.62, 0.48, 0.34), (0.27, 0.20, 0.16))
    return (
        Part("wall", 0, Box((40.0, 40.0, 0.5)), _painted(1, wall, 9.0, 34.0), _still((0.0, 0.0, 12.5))),
        Part(
            "floor",
            0,
            Box((40.0, 0.5, 40.0)),
            _painted(2, floor, 8.0, 26.0),
            _still((0.0, FLOOR_HEIGHT + 0.5 / np.cos(slope), 0.0), _turn((1.0, 0.0, 0.0), slope)),
        ),
        Part("rock", 0, Ellipsoid((1.15, 0.75, 0.8)), _painted(3, stone, 7.0, 18.0), _still((-0.6, 0.0, 8.0))),
        Part(
            "pillar",
            0,
            Box((0.32, 1.9, 0.32)),
            _painted(4, wood, 7.0, 18.0),
            _still((2.1, -1.6, 8.6), _turn((0.0, 1.0, 0.0), 0.5)),
        ),
        Part("rock", 0, Ellipsoid((0.9, 0.5, 0.7)), _painted(5, stone, 7.0, 18.0), _still((-3.4, -0.15, 9.0))),
    )


FLOOR_HEIGHT = 0.9
FLOOR_SLOPE = 0.1


def _on_floor(x: float, z: float, above: float) -> Vector:
    """A point at a height above the floor."""
    return (x, FLOOR_HEIGHT - FLOOR_SLOPE * z - above, z)


def _statue() -> tuple[Part, ...]:
    """As bright and busy as the movers, but it stands still."""
    red = ((0.78, 0.20, 0.16), (0.95, 0.62, 0.20), (0.45, 0.06, 0.12))
    z = 4.7
    texture = _solid(6, red, z, 6.0, 14.0)
    return (
        Part(
            "statue", 0, Box((0.27, 0.2, 0.22)), texture, _still(_on_floor(-1.95, z, 0.2), _turn((0.0, 1.0, 0.0), 0.4))
        ),
        Part("statue", 0, Ellipsoid((0.25, 0.3, 0.25)), texture, _still(_on_floor(-1.95, z, 0.66))),
    )


def _crate() -> tuple[Part, ...]:
    """Turns about a slanted axis while it circles."""

    def motion(time: Time) -> Rigid:
        phase = 2 * np.pi * time / 24
        centre = np.array([1.2 + 0.24 * np.sin(phase), -0.42 - 0.24 * np.cos(phase), 3.1])
        return _turn((0.35, 1.0, 0.2), 0.35 + 0.13 * time), centre

    yellow = ((0.88, 0.72, 0.18), (0.98, 0.92, 0.60), (0.55, 0.30, 0.08))
    return (Part("crate", 1, Box((0.25, 0.25, 0.25)), _solid(7, yellow, 3.1, 7.0, 14.0), motion),)


def _balloon() -> tuple[Part, ...]:
    """Drifts behind the walker from left to right."""

    def motion(time: Time) -> Rigid:
        along = _path(time)
        bob = 0.18 * np.sin(2 * np.pi * time / 9)
        return _turn((0.0, 0.0, 1.0), 0.25 * np.sin(time / 3)), np.array([-1.8 + 0.122 * along, -0.55 + bob, 4.8])

    violet = ((0.45, 0.24, 0.72), (0.80, 0.52, 0.92), (0.16, 0.20, 0.62))
    return (Part("balloon", 2, Ellipsoid((0.42, 0.46, 0.42)), _solid(8, violet, 4.8, 7.0, 14.0), motion),)


def _walker() -> tuple[Part, ...]:
    """A figure that walks from right to left and swings its limbs."""
    z = 3.4

    def body(time: Time) -> Rigid:
        along = _path(time)
        above = 0.62 + 0.05 * np.sin(2 * np.pi * time / 6)
        return np.eye(3), np.array(_on_floor(0.95 - 0.075 * along, z, above))

    def joined(offset: Vector, swing: float, reach: float) -> Motion:
        def motion(time: Time) -> Rigid:
            rotation, centre = body(time)
            angle = swing * np.sin(2 * np.pi * _path(time) / 11.5)
            limb = rotation @ _turn((0.0, 0.0, 1.0), angle)
            return limb, centre + rotation @ np.array(offset) + limb @ np.array([0.0, reach, 0.0])

        return motion

    green = ((0.10, 0.55, 0.38), (0.40, 0.85, 0.55), (0.05, 0.28, 0.30))
    skin = ((0.86, 0.58, 0.44), (0.97, 0.80, 0.66), (0.62, 0.34, 0.24))
    blue = ((0.15, 0.32, 0.66), (0.42, 0.66, 0.92), (0.08, 0.14, 0.36))
    trunk, head, arms, legs = (
        _solid(seed, c, z, 6.0, 12.0) for seed, c in ((9, green), (10, skin), (11, skin), (12, blue))
    )
    return (
        Part("body", 3, Capsule(0.15, 0.14), trunk, body),
        Part("body", 3, Ellipsoid((0.12, 0.135, 0.12)), head, joined((0.0, -0.41, 0.0), 0.1, 0.0)),
        Part("limb", 3, Capsule(0.062, 0.13), arms, joined((0.0, -0.16, -0.15), 0.7, 0.15)),
        Part("limb", 3, Capsule(0.062, 0.13), arms, joined((0.0, -0.16, 0.15), -0.7, 0.15)),
        Part("limb", 3, Capsule(0.085, 0.16), legs, joined((0.0, 0.2, -0.09), -0.55, 0.18)),
        Part("limb", 3, Capsule(0.085, 0.16), legs, joined((0.0, 0.2, 0.09), 0.55, 0.18)),
    )


def _path(time: Time) -> float:
    """Time that runs back and forth between 0 and `TURN_BACK`."""
    return TURN_BACK - abs(time % (2 * TURN_BACK) - TURN_BACK)


def _still(centre: Vector, rotation: Float[ndarray, "3 3"] | None = None) -> Motion:
    pose = (np.eye(3) if rotation is None else rotation, np.array(centre))
    return lambda time: pose


def _turn(axis: Vector, angle: float) -> Float[ndarray, "3 3"]:
    """Rotation by `angle` (radians) about `axis` (Rodrigues)."""
    x, y, z = np.array(axis) / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def _painted(seed: int, colours: tuple[Colour, Colour, Colour], shortest: float, longest: float) -> Texture:
    """Background texture with wavelengths in nominal pixels."""
    return Texture(seed, colours, (shortest / NOMINAL_FOCAL, longest / NOMINAL_FOCAL), projective=True)


def _solid(seed: int, colours: tuple[Colour, Colour, Colour], depth: float, shortest: float, longest: float) -> Texture:
    """Texture carried by a part, with wavelengths in nominal pixels at `depth`."""
    scale = depth / NOMINAL_FOCAL
    return Texture(seed, colours, (shortest * scale, longest * scale))
