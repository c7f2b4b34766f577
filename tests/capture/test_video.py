import cv2
import numpy as np
import pytest

from saff_fast.capture import video
from saff_fast.capture.capture import find_capture
from saff_fast.capture.selection import ALL_FRAMES, Selection
from saff_fast.errors import UserError


@pytest.fixture
def clip(tmp_path):
    """Twenty frames, ten a second; frame k has 10 k of red."""
    path = tmp_path / "ein Fílm.AVI"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 96))
    if not writer.isOpened():
        pytest.skip("this OpenCV writes no MJPG")
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    for value in range(0, 200, 10):
        writer.write(np.concatenate([np.full((48, 64, 3), (0, 0, value), np.uint8), noise]))
    writer.release()
    return path


def numbers(frames):
    return [round(int(image[20, 20, 0]) / 10) for image in frames]


def test_all_frames_upright(clip):
    frames = find_capture(clip, ALL_FRAMES).open()
    assert frames[0].shape == (96, 64, 3)
    assert numbers(frames) == list(range(20))
    assert frames.notes == ()


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (Selection(fps=5, start=0.4, end=1.4), [4, 6, 8, 10, 12]),
        (Selection(max_frames=4), [0, 6, 13, 19]),
        (Selection(start=1.6), [16, 17, 18, 19]),
    ],
)
def test_a_range_is_cut_out(clip, selection, expected):
    frames = find_capture(clip, selection).open()
    assert frames.names == tuple(f"frame {i}" for i in expected)
    assert numbers(frames) == expected
    assert numbers([frames[2], frames[0], frames[3]]) == [expected[i] for i in (2, 0, 3)]  # to and fro


def test_going_back_far_starts_over(clip, monkeypatch):
    monkeypatch.setattr(video, "KEPT", 1)
    frames = find_capture(clip, ALL_FRAMES).open()
    assert numbers([frames[19], frames[3], frames[4], frames[4], frames[0]]) == [19, 3, 4, 4, 0]


def test_few_frames_are_held_at_a_time(clip):
    """Each frame is an array of its own, and only the last of them stay alive."""
    import gc
    import weakref

    frames = find_capture(clip, ALL_FRAMES).open()
    alive = [weakref.ref(image) for image in frames]
    gc.collect()
    assert sum(reference() is not None for reference in alive) <= video.KEPT


def test_a_corrupt_tail_is_left_out_and_counted(clip):
    data = clip.read_bytes()
    clip.write_bytes(data[: int(len(data) * 0.6)])
    frames = find_capture(clip, ALL_FRAMES).open()
    n = len(frames)
    assert 8 <= n < 15
    assert numbers(frames) == list(range(n))
    assert frames.notes == (f"The last {20 - n} of 20 frames of {clip} do not decode and are left out.",)
    assert find_capture(clip, Selection(end=0.5)).open().notes == ()  # the range is whole


def test_what_is_no_video(tmp_path):
    (tmp_path / "clip.mp4").write_bytes(b"not a video")
    with pytest.raises(UserError, match=r"clip\.mp4 must be a video, but no frame of it decodes"):
        find_capture(tmp_path / "clip.mp4", ALL_FRAMES).open()


def test_a_long_video_asks_for_a_range_before_it_is_decoded(clip, monkeypatch):
    monkeypatch.setattr(video._Reader, "times", lambda *_: pytest.fail("decoded"))
    monkeypatch.setattr(video._Reader, "_property", lambda self, key: 30.0 if key == cv2.CAP_PROP_FPS else 10_000.0)
    with pytest.raises(UserError, match="must give at most 1000 frames, but it gives 10000; choose some with --start"):
        find_capture(clip, ALL_FRAMES).open()
    with pytest.raises(UserError, match="but it gives 3333"):
        find_capture(clip, Selection(fps=10)).open()
