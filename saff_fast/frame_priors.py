"""What is computed of one frame or one pair of frames at a time: tasks that may be spread over processes.

A task reads what it needs from the scene folder and writes its own files there, so what is sent between processes is
the folder and a frame's index.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Generic, TypeVar, overload

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8

from saff_fast import files
from saff_fast.geometry.cameras import Cameras
from saff_fast.priors.depth import NEIGHBOURS, add_points, densify, fuse, triangulate
from saff_fast.priors.flow import FrameFlows
from saff_fast.priors.motion import MotionEvidence
from saff_fast.priors.network_depth import on_scale_of_points
from saff_fast.priors.networks.depth import DepthNetwork
from saff_fast.priors.plane_sweep import sweep
from saff_fast.priors.poses import Reconstruction
from saff_fast.priors.steady_movers import steady_movers
from saff_fast.scene import layout, writer
from saff_fast.scene.reader import read_flow

INTERVALS = tuple(sorted({abs(step) for step in NEIGHBOURS}))
"""Frames are matched with those so many earlier and later."""

Pair = tuple[int, int]
"""Two frames, the earlier first."""
Value = TypeVar("Value")


class LazySequence(Sequence[Value], Generic[Value]):
    """A sequence whose items are read when asked for and not kept."""

    def __init__(self, read: Callable[[int], Value], length: int):
        self._read, self._length = read, length

    def __len__(self) -> int:
        """Number of items."""
        return self._length

    @overload
    def __getitem__(self, index: int) -> Value: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Value]: ...
    def __getitem__(self, index: int | slice) -> Value | Sequence[Value]:
        """Read one item, or those of a slice."""
        positions = range(self._length)[index]
        return [self._read(i) for i in positions] if isinstance(positions, range) else self._read(positions)

    def __iter__(self) -> Iterator[Value]:
        """Read one item after another."""
        return (self._read(i) for i in range(self._length))


class PreparedFrames:
    """What the earlier stages wrote, read when asked for; nothing that grows with the video is held but the points.

    Args:
        folder: Scene folder with cameras.
        height: Rows of the training pictures.
    """

    def __init__(self, folder: Path, height: int):
        self.folder, self.height = folder, height

    @cached_property
    def reconstruction(self) -> Reconstruction:
        """Cameras and points, in pixels of the original pictures."""
        found = files.read_npz(self.folder / layout.SPARSE, *Reconstruction.__dataclass_fields__)
        scalars = {name: value.item() for name, value in found.items() if value.ndim == 0}
        return Reconstruction(**(found | scalars))

    @cached_property
    def names(self) -> list[str]:
        """File stem of each frame."""
        return [f"{frame:05d}" for frame in range(len(self.reconstruction.c2w))]

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of the training pictures."""
        found = self.reconstruction
        return self.height, layout.resized_width(found.height, found.width, self.height)

    @property
    def images(self) -> Sequence[UInt8[np.ndarray, "height width 3"]]:
        """Pictures at training size."""
        return LazySequence(lambda frame: files.read_image(self.image_file(frame)), len(self.names))

    def image_file(self, frame: int) -> Path:
        """Picture of a frame at training size."""
        return self.folder / layout.training_images(*self.size) / f"{self.names[frame]}.png"

    @cached_property
    def cameras(self) -> Cameras:
        """Cameras at training size."""
        return self.reconstruction.cameras().resized(*self.size)

    @cached_property
    def max_inverse_depth(self) -> float:
        """Beyond it nothing is looked for: twice that of the nearest of the frames' near bounds."""
        return 2 / float(self.reconstruction.bounds()[:, 0].min())

    @cached_property
    def flows(self) -> FrameFlows:
        """Optical flow between frames."""
        return _StoredFlows(self.folder, self.names, self.images)

    @cached_property
    def motion_evidence(self) -> MotionEvidence:
        """What moves."""
        return MotionEvidence(self.images, self.cameras, self.reconstruction.inverse_depths())

    @property
    def first_motion(self) -> Sequence[Float[np.ndarray, "height width"]]:
        """Evidence of motion at first sight, 0 to 1."""
        return LazySequence(lambda frame: self._mask(layout.FIRST_MOTION, frame), len(self.names))

    @property
    def first_inverse_depths(self) -> Sequence[Float[np.ndarray, "height width"]]:
        """Inverse depths as each frame alone tells them."""
        folder = self.folder / layout.FIRST_DISPARITY
        return LazySequence(lambda frame: files.read_npy(folder / f"{self.names[frame]}.npy"), len(self.names))

    def moving(self, frame: int, size: tuple[int, int] | None = None) -> Float[np.ndarray, "rows columns"]:
        """Evidence of motion, 0 to 1, averaged over the pixels of another size if one is given."""
        mask = self._mask(layout.MOTION_MASKS, frame)
        return mask if size is None else cv2.resize(mask, size[::-1], interpolation=cv2.INTER_AREA)

    def _mask(self, part: str, frame: int) -> Float[np.ndarray, "height width"]:
        return files.read_labels(self.folder / part / f"{self.names[frame]}.png").astype(np.float32) / 255


class _StoredFlows(FrameFlows):
    """Flows as the folder holds them; any others are computed when asked for."""

    def __init__(self, folder: Path, names: Sequence[str], images: Sequence[UInt8[np.ndarray, "h w 3"]]):
        super().__init__(images)
        self._folder, self._names, self._size = folder, names, images[0].shape[:2]
        self._kept = lru_cache(maxsize=16)(self._read)

    def _read(self, source: int, target: int) -> tuple[Float[np.ndarray, "h w 2"], Bool[np.ndarray, "h w"]]:
        direction = "fwd" if target > source else "bwd"
        path = layout.flow_file(self._folder, self._names[source], direction, abs(target - source))
        return read_flow(path, self._size)

    def between(self, source: int, target: int) -> tuple[Float[np.ndarray, "h w 2"], Bool[np.ndarray, "h w"]]:
        """See `FrameFlows.between`."""
        stored = abs(target - source) in INTERVALS
        return self._kept(source, target) if stored else super().between(source, target)


def frame_pairs(n_frames: int, intervals: Sequence[int] = INTERVALS) -> list[Pair]:
    """All pairs of frames that lie one of the intervals apart."""
    return [(first, first + step) for first in range(n_frames) for step in intervals if first + step < n_frames]


def write_image(frames: PreparedFrames, frame: int) -> None:
    """The picture of a frame at training size."""
    name = frames.names[frame]
    original = files.read_image(frames.folder / layout.IMAGES / f"{name}.png")
    writer.write_training_images(frames.folder, [name], [original], frames.height)


def write_flows(frames: PreparedFrames, pair: Pair) -> None:
    """Optical flow of a pair of frames in both directions, with its consistency."""
    write_flow_pair(frames.folder, frames.names, FrameFlows(frames.images), pair)


def write_flow_pair(folder: Path, names: Sequence[str], flows: FrameFlows, pair: Pair) -> None:
    """The same, of flows at hand."""
    first, second = pair
    for source, target, direction in ((first, second, "fwd"), (second, first, "bwd")):
        writer.write_flow(folder, names[source], direction, *flows.between(source, target), interval=second - first)


def flow_files(frames: PreparedFrames, pair: Pair) -> list[Path]:
    """What `write_flows` writes."""
    ends = ((pair[0], "fwd"), (pair[1], "bwd"))
    return [layout.flow_file(frames.folder, frames.names[i], direction, pair[1] - pair[0]) for i, direction in ends]


def write_first_motion(frames: PreparedFrames, frame: int) -> None:
    """What seems to move in a frame at first sight."""
    mask = frames.motion_evidence(frame)
    writer.write_motion_mask(frames.folder, frames.names[frame], mask, layout.FIRST_MOTION)


def first_motion_files(frames: PreparedFrames, frame: int) -> list[Path]:
    """What `write_first_motion` writes."""
    return [frames.folder / layout.FIRST_MOTION / f"{frames.names[frame]}.png"]


def write_motion(frames: PreparedFrames, frame: int) -> None:
    """The motion mask of a frame, once all frames have been looked at."""
    mask = frames.motion_evidence(frame, frames.first_motion)
    writer.write_motion_mask(frames.folder, frames.names[frame], mask)


def motion_files(frames: PreparedFrames, frame: int) -> list[Path]:
    """What `write_motion` writes."""
    return [frames.folder / layout.MOTION_MASKS / f"{frames.names[frame]}.png"]


def dense_depth(
    frames: PreparedFrames, frame: int, left_out: Bool[np.ndarray, " n_points"] | None = None
) -> tuple[Float[np.ndarray, "height width"], Float[np.ndarray, "height width"]]:
    """Inverse depth of a frame, and the trust in it, 0 to 1.

    Args:
        frames: What the earlier stages wrote.
        frame: Which frame.
        left_out: Matched points that must not be used, so that depth can be measured at them; none if not given.
    """
    moving = frames.moving(frame, frames.size)
    flow = triangulate(frames.flows, frames.cameras, frame, moving, frames.max_inverse_depth)
    inverse_depths = (frames.reconstruction.inverse_depths()[0], frames.max_inverse_depth)
    support = fuse(flow, sweep(frames.images, frames.moving, frames.cameras, frame, inverse_depths))
    support = add_points(support, *seen_points(frames, frame, None if left_out is None else ~left_out))
    return densify(support, frames.images[frame], moving)


def write_first_depth(frames: PreparedFrames, frame: int) -> None:
    """Disparity of a frame as it alone tells, and the trust in it."""
    disparity, confidence = dense_depth(frames, frame)
    name = frames.names[frame]
    writer.write_disparity(frames.folder, name, disparity, layout.FIRST_DISPARITY)
    writer.write_confidence(frames.folder, name, confidence)


def first_depth_files(frames: PreparedFrames, frame: int) -> list[Path]:
    """What `write_first_depth` writes."""
    parts = layout.FIRST_DISPARITY, layout.CONFIDENCE
    return [frames.folder / part / f"{frames.names[frame]}.npy" for part in parts]


def write_depth(frames: PreparedFrames, frame: int) -> None:
    """Disparity of a frame, once all frames have been looked at."""
    disparity = steady_movers(frames.first_inverse_depths, frames.moving, frames.flows, frame)
    writer.write_disparity(frames.folder, frames.names[frame], disparity)


def depth_files(frames: PreparedFrames, frame: int) -> list[Path]:
    """What `write_depth` writes."""
    return [frames.folder / layout.DISPARITY / f"{frames.names[frame]}.npy"]


def seen_points(
    frames: PreparedFrames, frame: int, chosen: Bool[np.ndarray, " n_points"] | None = None
) -> tuple[Float[np.ndarray, "n 2"], Float[np.ndarray, " n"]]:
    """Pixels (x, y) and depths of the matched points that a frame sees, of all or of the chosen ones.

    What is matched on a mover, or nearer than anything is looked for, is a wrong match and left out.
    """
    found = frames.reconstruction
    visible = found.visible[frame] if chosen is None else found.visible[frame] & chosen
    points = torch.from_numpy(found.points[visible])
    pixels, depths = (x.numpy() for x in frames.cameras.project(torch.full((len(points),), frame), points))
    height, width = frames.size
    x, y = np.floor(pixels).astype(int).T
    right = (x >= 0) & (x < width) & (y >= 0) & (y < height) & (depths * frames.max_inverse_depth >= 1)
    right[right] = frames.moving(frame, frames.size)[y[right], x[right]] <= 0.5
    return pixels[right], depths[right]


def write_network_depth(frames: PreparedFrames, frame: int, network: DepthNetwork) -> None:
    """What `write_first_depth` writes, from a network, which sees the picture at its original size."""
    name, found = frames.names[frame], frames.reconstruction
    relative = network(files.read_image(frames.folder / layout.IMAGES / f"{name}.png"))
    relative = cv2.resize(relative, frames.size[::-1], interpolation=cv2.INTER_LINEAR)
    pixels, depths = seen_points(frames, frame)
    disparity, confidence = on_scale_of_points(relative, pixels, depths, found.bounds()[frame])
    writer.write_disparity(frames.folder, name, disparity, layout.FIRST_DISPARITY)
    writer.write_confidence(frames.folder, name, confidence)
