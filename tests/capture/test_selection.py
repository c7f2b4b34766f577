from pathlib import Path

import pytest

from saff_fast.capture.selection import ALL_FRAMES, MAX_FRAMES, Selection
from saff_fast.errors import UserError

SOURCE = Path("clip")
AT_30 = [i / 30 for i in range(90)]


def test_everything_is_taken_unless_told_otherwise():
    assert ALL_FRAMES.of_pictures(7, SOURCE) == list(range(7))
    assert ALL_FRAMES.of_video(AT_30, SOURCE) == list(range(90))


def test_pictures_are_cut_by_number_without_the_end():
    assert Selection(start=2, end=8).of_pictures(24, SOURCE) == [2, 3, 4, 5, 6, 7]
    assert Selection(start=20, end=99).of_pictures(24, SOURCE) == [20, 21, 22, 23]


def test_videos_are_cut_by_seconds_without_the_end():
    assert Selection(start=1, end=1.2).of_video(AT_30, SOURCE) == [30, 31, 32, 33, 34, 35]


def test_frames_are_spread_evenly_over_the_range():
    assert Selection(max_frames=4).of_pictures(10, SOURCE) == [0, 3, 6, 9]
    assert Selection(start=1, end=8, max_frames=4).of_pictures(10, SOURCE) == [1, 3, 5, 7]
    assert Selection(max_frames=99).of_pictures(5, SOURCE) == [0, 1, 2, 3, 4]


def test_fps_takes_the_nearest_frame():
    assert Selection(fps=10, start=0.5, end=1).of_video(AT_30, SOURCE) == [15, 18, 21, 24, 27]
    assert Selection(fps=60).of_video(AT_30, SOURCE) == list(range(90))  # none twice
    uneven = [0.0, 0.09, 0.31, 0.33, 0.6, 0.9, 1.3]
    assert Selection(fps=1 / 0.3).of_video(uneven, SOURCE) == [0, 2, 4, 5, 6]
    assert Selection(fps=10, max_frames=4, start=0, end=1).of_video(AT_30, SOURCE) == [0, 9, 18, 27]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"fps": 0}, "--fps must be above 0 frames a second, but it is 0"),
        ({"fps": float("nan")}, "--fps must be above 0"),
        ({"start": -1}, "--start must be at least 0, but it is -1"),
        ({"start": 5, "end": 5}, r"--end must be above --start \(5\), but it is 5"),
        ({"max_frames": 3}, "--max-frames must be at least 4, but it is 3"),
    ],
)
def test_bad_ranges_are_refused(values, message):
    with pytest.raises(UserError, match=message):
        Selection(**values)


@pytest.mark.parametrize(
    ("selection", "n_frames", "message"),
    [
        (Selection(fps=5), 9, "--fps must be left out for clip"),
        (Selection(start=1.5), 9, "--start must be a frame number for clip, but it is 1.5"),
        (Selection(end=7.5), 9, "--end must be a frame number"),
        (Selection(start=9), 9, "--start must be within the 9 frames of clip, but it is 9"),
        (Selection(start=7), 9, "clip must give at least 4 frames, but it gives 2; choose more"),
        (ALL_FRAMES, 3, "clip must give at least 4 frames, but it gives 3; film a longer sequence"),
        (ALL_FRAMES, 10_000, "clip must give at most 1000 frames, but it gives 10000; choose some with --start"),
    ],
)
def test_unsuitable_ranges_are_refused(selection, n_frames, message):
    with pytest.raises(UserError, match=message):
        selection.of_pictures(n_frames, SOURCE)


def test_a_video_shorter_than_the_range():
    with pytest.raises(UserError, match=r"--start must be within the 2\.96667 seconds of clip, but it is 3"):
        Selection(start=3).of_video(AT_30, SOURCE)


def test_a_limit_makes_any_length_acceptable():
    assert len(Selection(max_frames=24).of_pictures(10_000, SOURCE)) == 24
    assert len(Selection(end=MAX_FRAMES).of_pictures(10_000, SOURCE)) == MAX_FRAMES
