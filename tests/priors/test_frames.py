import cv2
import numpy as np
import pytest

from saff_fast.errors import UserError
from saff_fast.priors.frames import read_frames


def write(folder, names, size=(12, 16)):
    for value, name in enumerate(names):
        cv2.imencode(".png", np.full((*size, 3), value, np.uint8))[1].tofile(folder / name)


def test_images_come_in_natural_order(tmp_path):
    write(tmp_path, ["b10.PNG", "b9.png", "b1.Png", "a2.png"])
    (tmp_path / "notes.txt").write_text("no image")
    frames = read_frames(tmp_path)
    assert frames.names == ("a2.png", "b1.Png", "b9.png", "b10.PNG")
    assert [image[0, 0, 0] for image in frames.images] == [3, 2, 1, 0]


def test_video_frames(tmp_path):
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 48))
    if not writer.isOpened():
        pytest.skip("this OpenCV writes no MJPG")
    for value in range(0, 250, 50):
        writer.write(np.full((48, 64, 3), (value, 0, 0), np.uint8))
    writer.release()
    frames = read_frames(path)
    assert len(frames.images) == 5
    assert abs(int(frames.images[4][20, 20, 2]) - 200) < 10


def no_such_folder(folder):
    return folder / "missing"


def no_images(folder):
    (folder / "notes.txt").write_text("no image")
    return folder


def several_sizes(folder):
    write(folder, ["0.png", "1.png", "2.png"])
    write(folder, ["3.png"], size=(12, 20))
    return folder


def one_unreadable(folder):
    write(folder, ["0.png", "1.png", "2.png", "3.png"])
    (folder / "2.png").write_bytes(b"not a picture")
    return folder


def too_few(folder):
    write(folder, ["0.png", "1.png", "2.png"])
    return folder


def broken_video(folder):
    (folder / "clip.mp4").write_bytes(b"not a video")
    return folder / "clip.mp4"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (no_such_folder, "missing must be a folder of images or a video file, but there is no such path"),
        (no_images, "must hold images"),
        (several_sizes, "3.png has 20 x 12 but 0.png has 16 x 12"),
        (one_unreadable, "2.png must be a readable picture"),
        (too_few, "must hold at least 4 frames, but it holds 3"),
        (broken_video, "clip.mp4 must be a video, but no frame of it decodes"),
    ],
)
def test_bad_input_is_one_sentence(tmp_path, make, message):
    with pytest.raises(UserError) as error:
        read_frames(make(tmp_path))
    assert message in str(error.value)
    assert "\n" not in str(error.value)
