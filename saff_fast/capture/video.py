"""Frames of a video file, decoded in order and never held together."""

import os
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from saff_fast.capture.frames import Frames, Picture
from saff_fast.capture.selection import Selection
from saff_fast.errors import UserError

SUFFIXES = (".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".3gp", ".mts", ".m2ts")
"""Endings by which a folder of videos is told from one of pictures; a file of any ending is tried."""
KEPT = 8
"""Frames kept decoded, so that going to and fro between neighbours does not start over."""


def video_frames(path: Path, selection: Selection) -> Frames:
    """The chosen frames of a video; those that do not decode at its end are left out and counted in a note.

    Raises:
        UserError: No frame decodes, or there are too few or too many.
    """
    with _Reader(path) as reader:
        _check_length(reader, selection)
        times = reader.times(selection.end)
        lost = max(reader.promised - len(times), 0) if reader.next == len(times) else 0
    if not times:
        raise UserError(
            f"{path} must be a video, but no frame of it decodes; convert it to MP4 (H.264) or pass a folder of images."
        )
    chosen = selection.of_video(times, path)
    stream = _Stream(path)
    notes = (f"The last {lost} of {len(times) + lost} frames of {path} do not decode and are left out.",)
    return Frames(
        tuple(f"frame {i}" for i in chosen),
        lru_cache(KEPT)(lambda index: stream.read(chosen[index])),
        notes if lost else (),
    )


def _check_length(reader: "_Reader", selection: Selection) -> None:
    """Refuses a video that is far too long before all of it is decoded."""
    seconds = reader.promised / reader.rate
    begin, end = selection.start or 0.0, min(selection.end or np.inf, seconds)
    rate = reader.rate if selection.fps is None else min(selection.fps, reader.rate)
    selection.check_count(int((end - begin) * rate), reader.path)


class _Reader:
    """An open video: its frames one after another."""

    def __init__(self, path: Path):
        self.path, self.next = path, 0
        os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # what fails to decode is counted and said here
        self.capture = cv2.VideoCapture(str(path))
        self.rate = self._property(cv2.CAP_PROP_FPS) or 30.0
        self.promised = int(self._property(cv2.CAP_PROP_FRAME_COUNT))
        """Frames that the file says it has; 0 where it does not say."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.capture.release()

    def _property(self, key: int) -> float:
        value = self.capture.get(key)
        return value if np.isfinite(value) and value > 0 else 0.0

    def skip(self) -> bool:
        """Go one frame on; False at the end of what decodes."""
        found = self.capture.grab()
        self.next += found
        return found

    def times(self, end: float | None) -> list[float]:
        """Second at which each frame is shown, up to `end`. Where the file's clock stands still, its rate counts on."""
        times: list[float] = []
        while self.skip():
            time = self.capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            if times and not time > times[-1]:
                time = times[-1] + 1 / self.rate
            if end is not None and time >= end:
                break
            times.append(time)
        return times


class _Stream:
    """Frames by number; cheap in ascending order, from the start again otherwise."""

    def __init__(self, path: Path):
        self.path, self.reader = path, _Reader(path)

    def read(self, number: int) -> Picture:
        if number < self.reader.next:
            self.reader.capture.release()
            self.reader = _Reader(self.path)
        while self.reader.next <= number:
            if not self.reader.skip():
                raise UserError(f"{self.path} must not change while it is read, but frame {number} is gone; try again.")
        found, image = self.reader.capture.retrieve()
        if not found:
            raise UserError(f"{self.path} must be readable, but frame {number} does not decode; leave it out.")
        return np.ascontiguousarray(image[..., ::-1])
