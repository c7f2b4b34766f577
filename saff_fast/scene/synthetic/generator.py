"""Renders the synthetic scene: colour, depth, parts, optical and scene flow, all exact."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from numpy import ndarray

from saff_fast.geometry.cameras import Cameras
from saff_fast.scene.synthetic.content import (
    N_CAMERAS,
    NOMINAL_FOCAL,
    NOMINAL_WIDTH,
    Part,
    Rigid,
    Time,
    build_parts,
    rig,
)

SUPERSAMPLING = 3
"""Colour samples along each side of a pixel; odd, so that one of them is the pixel's centre."""
LIGHT = np.array([-0.45, -0.75, -0.48])
"""Unit direction towards the light."""
AMBIENT = 0.55

Pose = Float[ndarray, "3 4"]


@dataclass(frozen=True)
class SyntheticView:
    """One rendered picture with its truth; all but the colour is that of the ray through the pixel's centre."""

    c2w: Pose
    """Camera to world, OpenCV axes."""
    time: Time
    rgb: UInt8[ndarray, "height width 3"]
    depth: Float[ndarray, "height width"]
    """Depth along the camera's z, world units."""
    parts: Int[ndarray, "height width"]
    """Index into the scene's `parts`."""
    instances: UInt8[ndarray, "height width"]
    """Moving object, 1, 2, ...; 0 for all that stands still."""

    @property
    def motion(self) -> Bool[ndarray, "height width"]:
        """Where something that moves is seen."""
        return self.instances > 0


@dataclass(frozen=True)
class SyntheticFlow:
    """Where each pixel's surface point goes from one view to another."""

    flow: Float[ndarray, "height width 2"]
    """Optical flow (x, y) in pixels."""
    occlusion: Bool[ndarray, "height width"]
    """Where the point is hidden in the other view or outside its picture."""
    scene_flow: Float[ndarray, "height width 3"]
    """Displacement of the point in the world, world units."""


@dataclass(frozen=True)
class _Samples:
    """Nearest hits of the rays through a picture's samples."""

    directions: Float[ndarray, "rows columns 3"]
    depth: Float[ndarray, "rows columns"]
    part: Int[ndarray, "rows columns"]
    colour: Float[ndarray, "rows columns 3"]


class SyntheticScene:
    """The scene at one picture size and length.

    Frame k is seen by camera k mod 12 of the rig at time k. Times are in frames, fractional allowed.

    Args:
        height: Picture height in pixels; the field of view across is fixed, so 16:9 frames it as intended.
        width: Picture width in pixels.
        n_frames: Length of the video; paths turn back after frame 23.
    """

    def __init__(self, height: int = 90, width: int = 160, n_frames: int = 24):
        if min(height, width) < 16 or n_frames < 1:
            raise ValueError(
                f"SyntheticScene: size must be at least 16 x 16 and n_frames 1, got {width} x {height} and {n_frames}"
            )
        self.height, self.width, self.n_frames = height, width, n_frames
        self.parts: tuple[Part, ...] = build_parts()
        self.rig: Float[ndarray, "n_cameras 3 4"] = rig()
        focal = NOMINAL_FOCAL * width / NOMINAL_WIDTH
        # The published files put the optical axis on an integer pixel, half a pixel off the middle (01-inputs 4.3).
        self.intrinsics: Float[ndarray, " 4"] = np.array([focal, focal, width / 2 + 0.5, height / 2 + 0.5])
        self._backdrop: tuple[bytes, _Samples] | None = None

    def cameras(self) -> Cameras:
        """The camera of each frame, in world units."""
        c2w = np.stack([self.pose(frame) for frame in range(self.n_frames)])
        intrinsics = np.broadcast_to(self.intrinsics, (self.n_frames, 4)).copy()
        return Cameras(torch.from_numpy(c2w), torch.from_numpy(intrinsics), self.height, self.width)

    def pose(self, frame: int) -> Pose:
        """Camera to world of a frame's camera."""
        return self.rig[frame % N_CAMERAS]

    def render(self, camera: int | Pose, time: Time) -> SyntheticView:
        """The picture a camera (of the rig by number, or anywhere by its pose) takes at a time."""
        c2w = self.pose(camera) if isinstance(camera, int) else camera
        samples = self._add_movers(c2w, time, self._static_samples(c2w))
        k, middle = SUPERSAMPLING, SUPERSAMPLING // 2
        colour = sum((samples.colour[i::k, j::k] for i in range(k) for j in range(k)), np.zeros(3)) / k**2
        part = samples.part[middle::k, middle::k]
        instances = np.array([p.instance for p in self.parts], np.uint8)[part]
        rgb = np.rint(colour.clip(0, 1) * 255).astype(np.uint8)
        return SyntheticView(c2w, time, rgb, samples.depth[middle::k, middle::k], part, instances)

    def flow(self, view: SyntheticView, camera: int | Pose, time: Time) -> SyntheticFlow:
        """Motion of what `view` shows to another camera and time."""
        c2w = self.pose(camera) if isinstance(camera, int) else camera
        points = view.c2w[:, 3] + self._directions(view.c2w, 1) * view.depth[..., None]
        moved = self._moved(points, view.parts, view.time, time)
        local = (moved - c2w[:, 3]) @ c2w[:, :3]
        depth = local[..., 2]
        pixels = local[..., :2] / depth[..., None] * self.intrinsics[:2] + self.intrinsics[2:]
        inside = ((pixels >= 0) & (pixels < (self.width, self.height))).all(-1)
        directions = (moved - c2w[:, 3]) / depth[..., None]
        nearest = self._nearest_depth(c2w[:, 3], directions.reshape(-1, 3), time).reshape(depth.shape)
        return SyntheticFlow(
            flow=pixels - self._pixel_centres(1),
            occlusion=~inside | (nearest < depth * (1 - 1e-6)),
            scene_flow=moved - points,
        )

    def _moved(self, points: ndarray, parts: ndarray, time: Time, other: Time) -> ndarray:
        """Surface points carried by their parts from one time to another."""
        moved = points.copy()
        for index in np.unique(parts):
            part = self.parts[index]
            if part.instance:
                mask = parts == index
                rotation, centre = part.motion(other)
                moved[mask] = _to_local(points[mask], part.motion(time)) @ rotation.T + centre
        return moved

    def _nearest_depth(self, origin: ndarray, directions: ndarray, time: Time) -> ndarray:
        nearest = np.full(len(directions), np.inf)
        for part in self.parts:
            nearest = np.minimum(nearest, _enter(part, part.motion(time), origin, directions))
        return nearest

    def _static_samples(self, c2w: Pose) -> _Samples:
        """What one camera sees of all that stands still; the last camera's is kept."""
        key = c2w.tobytes()
        if self._backdrop is None or self._backdrop[0] != key:
            directions = self._directions(c2w, SUPERSAMPLING)
            flat = directions.reshape(-1, 3)
            depths = np.stack([_enter(p, p.motion(0), c2w[:, 3], flat) for p in self.parts if not p.instance])
            part = depths.argmin(0)
            depth = depths[part, np.arange(len(flat))]
            colour = self._shade(c2w[:, 3] + flat * depth[:, None], part, 0.0)
            shape = directions.shape[:2]
            self._backdrop = (
                key,
                _Samples(directions, depth.reshape(shape), part.reshape(shape), colour.reshape(*shape, 3)),
            )
        return self._backdrop[1]

    def _add_movers(self, c2w: Pose, time: Time, static: _Samples) -> _Samples:
        """The static samples with all movers drawn over them where they are nearer."""
        depth, part, colour = static.depth.copy(), static.part.copy(), static.colour.copy()
        for index, mover in enumerate(self.parts):
            if not mover.instance:
                continue
            pose = mover.motion(time)
            window = self._window(c2w, pose[1], mover.shape.bound)
            block = static.directions[window]
            hit = _enter(mover, pose, c2w[:, 3], block.reshape(-1, 3)).reshape(block.shape[:2])
            nearer = hit < depth[window]
            depth[window][nearer] = hit[nearer]
            part[window][nearer] = index
        moving = part != static.part
        points = c2w[:, 3] + static.directions[moving] * depth[moving][:, None]
        colour[moving] = self._shade(points, part[moving], time)
        return _Samples(static.directions, depth, part, colour)

    def _window(self, c2w: Pose, centre: ndarray, radius: float) -> tuple[slice, slice]:
        """Block of samples that holds the picture of a ball."""
        x, y, z = (centre - c2w[:, 3]) @ c2w[:, :3]
        nearest = max(z - radius, 1e-3)
        spans = []
        for position, focal, middle, size in (
            (y, self.intrinsics[1], self.intrinsics[3], self.height),
            (x, self.intrinsics[0], self.intrinsics[2], self.width),
        ):
            # Corners of the ball's bounding box bound its projection; the smaller depth is the wider one outwards.
            edges = [(position + side * radius) / depth for side in (-1, 1) for depth in (nearest, z + radius)]
            first, last = np.floor(focal * min(edges) + middle), np.ceil(focal * max(edges) + middle)
            first, last = (int(np.clip(edge, 0, size)) for edge in (first, last))
            spans.append(slice(first * SUPERSAMPLING, last * SUPERSAMPLING))
        return spans[0], spans[1]

    def _shade(self, points: ndarray, part: ndarray, time: Time) -> ndarray:
        """Lambert shading of textured surface points under one distant light."""
        colour = np.empty_like(points)
        for index in np.unique(part):
            mask = part == index
            surface = self.parts[index]
            pose = surface.motion(time)
            local = _to_local(points[mask], pose)
            facing = (surface.shape.normals(local) @ (pose[0].T @ LIGHT)).clip(0)
            albedo = surface.texture.colour(local, points[mask])
            colour[mask] = albedo * (AMBIENT + (1 - AMBIENT) * facing)[:, None]
        return colour

    def _directions(self, c2w: Pose, samples: int) -> Float[ndarray, "rows columns 3"]:
        """World directions, of unit length along the camera's z, of `samples` x `samples` rays a pixel."""
        xy = (self._pixel_centres(samples) - self.intrinsics[2:]) / self.intrinsics[:2]
        return np.concatenate([xy, np.ones_like(xy[..., :1])], axis=-1) @ c2w[:, :3].T

    def _pixel_centres(self, samples: int) -> Float[ndarray, "rows columns 2"]:
        x, y = ((np.arange(size * samples) + 0.5) / samples for size in (self.width, self.height))
        return np.stack(np.meshgrid(x, y), axis=-1)


def _enter(part: Part, pose: Rigid, origin: ndarray, directions: ndarray) -> ndarray:
    """Depth at which rays from one origin enter a part at its pose."""
    return part.shape.enter(_to_local(origin, pose)[None], directions @ pose[0])


def _to_local(points: ndarray, pose: Rigid) -> ndarray:
    rotation, centre = pose
    return (points - centre) @ rotation
