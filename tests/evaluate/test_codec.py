import builtins
import io

import numpy as np
import pytest

from saff_fast.errors import UserError
from saff_fast.evaluate.codec import through_codec
from saff_fast.evaluate.image_metrics import psnr

pytest.importorskip("av", reason="PyAV is not installed")


@pytest.fixture
def pictures():
    """Three ramps under noise, so that a lossy codec must lose something."""
    ramp = np.linspace(40, 200, 48)[None, :, None] + np.zeros((32, 48, 3))
    noise = np.random.default_rng(0).normal(0, 6, (3, 32, 48, 1))
    return np.clip(ramp + noise, 0, 255).astype(np.uint8)


def test_frames_come_back_in_order_alike_but_not_the_same(pictures):
    pictures = pictures // np.array([1, 2, 4], np.uint8)[:, None, None, None]
    coded = through_codec(pictures)
    assert coded.shape == pictures.shape
    assert coded.dtype == np.uint8
    for k in range(3):
        assert 25 < psnr(coded[k], pictures[k]) < 50


def test_the_same_stream_every_time(pictures):
    np.testing.assert_array_equal(through_codec(pictures), through_codec(pictures))


def test_settings_are_written_into_the_stream(pictures, monkeypatch):
    kept = []

    class Kept(io.BytesIO):
        def close(self):
            kept.append(self.getvalue())
            super().close()

    monkeypatch.setattr("saff_fast.evaluate.codec.io.BytesIO", Kept)
    through_codec(np.tile(pictures, (1, 5, 1, 1)))  # tall enough for several threads
    # x264 describes itself in the stream's first message.
    for setting in (b"rc=crf", b"crf=23.0", b" threads=1 ", b"subme=7"):
        assert setting in kept[0]


def test_without_pyav_it_says_what_to_install(pictures, monkeypatch):
    imported = builtins.__import__

    def without_av(name, *rest, **options):
        if name == "av":
            raise ImportError(name)
        return imported(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", without_av)
    with pytest.raises(UserError, match=r"pip install 'saff-fast\[video\]'"):
        through_codec(pictures)


def test_without_libx264_it_says_so(pictures, monkeypatch):
    monkeypatch.setattr("av.codecs_available", {"mpeg4"})
    with pytest.raises(UserError, match="PyAV must be built with libx264"):
        through_codec(pictures)
