"""Pictures after the video codec of a web page."""

import io
from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import Any

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from saff_fast.errors import UserError

CRF = 23
"""Constant rate factor of libx264: its default, and about what the published videos were written with."""
FRAMES_PER_SECOND = 10
BLOCK = 16
"""H.264 codes blocks of so many pixels; writers of videos round sizes up to a multiple of it."""


def through_codec(pictures: UInt8[ndarray, "n height width 3"]) -> UInt8[ndarray, "n height width 3"]:
    """The pictures as frames of one H.264 video, in this order, after decoding.

    libx264 with its default preset, CRF 23, 4:2:0, 10 frames a second; in one thread, since the stream depends on their
    number.

    Args:
        pictures: RGB; height and width must be even.

    Raises:
        UserError: if PyAV or its libx264 is missing.
    """
    av = _pyav()
    with io.BytesIO() as file:
        with av.open(file, "w", format="mp4") as video:
            for packet in _packets(av, video, pictures):
                video.mux(packet)
        file.seek(0)
        with av.open(file) as video:
            return np.stack([frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)])


def _packets(av: ModuleType, video: Any, pictures: Iterable[UInt8[ndarray, "height width 3"]]) -> Iterator[Any]:
    stream = video.add_stream("libx264", rate=FRAMES_PER_SECOND, options={"crf": str(CRF), "threads": "1"})
    stream.height, stream.width = pictures[0].shape[:2]
    stream.pix_fmt = "yuv420p"
    for picture in pictures:
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        # Bicubic as ffmpeg's own scaler: PyAV's default, bilinear, blurs the chroma more.
        yield from stream.encode(frame.reformat(format="yuv420p", interpolation="BICUBIC"))
    yield from stream.encode()


def _pyav() -> ModuleType:
    try:
        import av
    except ImportError as error:
        raise UserError(
            "the video codec must be there for this protocol, but PyAV is not installed; "
            "run `pip install 'saff-fast[video]'`"
        ) from error
    if "libx264" not in av.codecs_available:
        raise UserError("PyAV must be built with libx264 for this protocol, but is not; install its wheel from PyPI.")
    return av
