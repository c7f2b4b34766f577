import cv2
import numpy as np
import pytest
from PIL import Image

from saff_fast.capture.capture import find_capture
from saff_fast.capture.selection import ALL_FRAMES
from saff_fast.errors import UserError


def write(folder, names, size=(12, 16)):
    folder.mkdir(exist_ok=True)
    for value, name in enumerate(names):
        cv2.imencode(".png", np.full((*size, 3), value, np.uint8))[1].tofile(folder / name)


def read_frames(source):
    frames = find_capture(source, ALL_FRAMES).open()
    return frames.names, list(frames)


def test_images_come_in_natural_order(tmp_path):
    write(tmp_path, ["b10.PNG", "b9.png", "b1.Png", "a2.png"])
    (tmp_path / "notes.txt").write_text("no image")
    names, images = read_frames(tmp_path)
    assert names == ("a2.png", "b1.Png", "b9.png", "b10.PNG")
    assert [image[0, 0, 0] for image in images] == [3, 2, 1, 0]


def test_a_folder_that_keeps_its_pictures_in_images(tmp_path):
    write(tmp_path / "images", ["0.png", "1.png", "2.png", "3.png"])
    (tmp_path / "truth").mkdir()
    assert read_frames(tmp_path)[0] == ("0.png", "1.png", "2.png", "3.png")


def test_any_name_and_link_will_do(tmp_path):
    names = ["ein Bild.PNG", "ünï 日本.png", "x²٣.png", "z.png"]
    write(tmp_path / "store", names)
    folder = tmp_path / "viele Bilder ☀"
    folder.mkdir()
    for name in names:
        (folder / name).symlink_to(tmp_path / "store" / name)
    assert sorted(read_frames(folder)[0]) == sorted(names)


def picture(height=24, width=32):
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 7, y * 9, 255 - x * 7], axis=-1).astype(np.uint8)


def as_16_bit(path, rgb):
    cv2.imwrite(str(path), rgb[..., ::-1].astype(np.uint16) * 257)


def with_alpha(path, rgb):
    Image.fromarray(np.dstack([rgb, np.full(rgb.shape[:2], 90, np.uint8)])).save(path)


def with_palette(path, rgb):
    Image.fromarray(rgb // 64 * 64).convert("P", palette=Image.Palette.ADAPTIVE).save(path)


@pytest.mark.parametrize("store", [as_16_bit, with_alpha, with_palette])
def test_any_kind_of_picture_is_read_as_rgb(tmp_path, store):
    rgb = picture() // 64 * 64 if store is with_palette else picture()
    for k in range(4):
        store(tmp_path / f"{k}.png", rgb)
    _, images = read_frames(tmp_path)
    np.testing.assert_array_equal(images[1], rgb)


def test_grey_is_read_as_rgb(tmp_path):
    for k in range(4):
        cv2.imwrite(str(tmp_path / f"{k}.tif"), picture()[..., 0])
    np.testing.assert_array_equal(read_frames(tmp_path)[1][0], np.repeat(picture()[..., :1], 3, axis=-1))


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_pictures_are_turned_as_they_were_held(tmp_path, suffix):
    """Orientation 6: the camera was held upright, so what is stored must be turned clockwise."""
    exif = Image.Exif()
    exif[0x0112] = 6
    for k in range(4):
        Image.fromarray(picture()).save(tmp_path / f"{k}{suffix}", exif=exif, quality=100)
    _, images = read_frames(tmp_path)
    assert images[0].shape == (32, 24, 3)  # portrait
    assert np.abs(images[0].astype(int) - np.rot90(picture(), -1)).mean() < 4


def test_a_sequence_is_not_decoded_before_it_is_asked_for(tmp_path):
    write(tmp_path, [f"{k}.png" for k in range(6)])
    (tmp_path / "5.png").write_bytes(b"no picture")
    frames = find_capture(tmp_path, ALL_FRAMES).open()
    assert frames[4][0, 0, 0] == 4
    with pytest.raises(UserError, match=r"5\.png must be a readable picture"):
        frames[5]
    with pytest.raises(IndexError):
        frames[6]


def no_such_folder(folder):
    return folder / "missing"


def empty(folder):
    return folder


def no_images(folder):
    (folder / "notes.txt").write_text("no image")
    return folder


def photos_of_a_phone(folder):
    (folder / "IMG_1.HEIC").write_bytes(b"heic")
    return folder


def only_videos(folder):
    for name in ("a.MOV", "b.mp4"):
        (folder / name).write_bytes(b"video")
    return folder


def several_sizes(folder):
    write(folder, ["0.png", "1.png", "2.png"])
    write(folder, ["3.png"], size=(12, 20))
    return folder


def one_unreadable(folder):
    write(folder, ["0.png", "1.png", "2.png", "3.png"])
    (folder / "2.png").write_bytes(b"not a picture")
    return folder


def one_truncated(folder):
    for k in range(4):
        Image.fromarray(picture(240, 320)).save(folder / f"{k}.jpg")
    data = (folder / "1.jpg").read_bytes()
    (folder / "1.jpg").write_bytes(data[: len(data) // 2])
    return folder


def broken_link(folder):
    write(folder, ["0.png", "1.png", "2.png", "3.png"])
    (folder / "4.png").symlink_to(folder / "gone.png")
    return folder


def too_few(folder):
    write(folder, ["0.png", "1.png", "2.png"])
    return folder


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (no_such_folder, "missing must be a video, a folder of images or a capture with cameras, but there is no such"),
        (empty, "must hold images (.png, .jpg, .jpeg, .bmp, .tif, .tiff, .webp), but it holds none"),
        (no_images, "but it holds only files of .txt"),
        (photos_of_a_phone, "but it holds only files of .HEIC"),
        (only_videos, "must hold images, but it holds videos; pass one of them, such as"),
        (several_sizes, "3.png must be 16 x 12 pixels as 0.png is, but it is 20 x 12"),
        (one_unreadable, "2.png must be a readable picture"),
        (one_truncated, "1.jpg must be a readable picture"),
        (broken_link, "4.png must be a readable file, but reading it failed: No such file"),
        (too_few, "must give at least 4 frames, but it gives 3"),
    ],
)
def test_bad_input_is_one_sentence(tmp_path, make, message):
    with pytest.raises(UserError) as error:
        read_frames(make(tmp_path))
    assert message in str(error.value)
    assert "\n" not in str(error.value)
