"""Pictures as moving pictures: MP4 (H.264) and GIF."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from saff_fast.errors import UserError
from saff_fast.files import atomic_path, read_image

_CRF = "18"
"""Constant rate factor: visually lossless."""


def write_mp4(path: Path, pictures: Sequence[Path], fps: float) -> None:
    """Write picture files, all of one size, as H.264, 4:2:0, which every player knows.

    Its sizes must be even: an odd row or column is repeated.

    Raises:
        UserError: if PyAV or its H.264 encoder lacks.
    """
    try:
        import av
    except ImportError as error:
        raise UserError(f"{path} needs PyAV to be written ({error}); run `pip install 'saff-fast[video]'`") from error
    height, width = read_image(pictures[0]).shape[:2]
    with atomic_path(path) as partial, av.open(str(partial), "w") as container:
        try:
            stream = container.add_stream("libx264", Fraction(fps).limit_denominator(1000), {"crf": _CRF})
        except (av.error.FFmpegError, ValueError) as error:
            raise UserError(
                f"{path} needs a PyAV with libx264 to be written ({error}); install av from PyPI"
            ) from error
        stream.height, stream.width, stream.pix_fmt = height + height % 2, width + width % 2, "yuv420p"
        for image in map(read_image, pictures):
            even = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
            container.mux(stream.encode(av.VideoFrame.from_ndarray(even, format="rgb24")))
        container.mux(stream.encode())


def write_gif(path: Path, pictures: Sequence[Path], fps: float) -> None:
    """Write picture files as an endless animation; a GIF counts hundredths of a second, so the rate is approximate."""

    def images() -> Iterator[Image.Image]:
        for picture in pictures:
            with Image.open(picture) as image:
                yield image.convert("RGB")

    frames = images()
    with atomic_path(path) as partial:
        next(frames).save(partial, save_all=True, append_images=frames, duration=max(round(1000 / fps), 20), loop=0)
