import os

import numpy as np
import pytest

from saff_fast import files
from saff_fast.errors import UserError


def test_round_trips(tmp_path):
    random = np.random.default_rng(0)
    image = random.integers(0, 256, (7, 9, 3), dtype=np.uint8)
    files.write_image(tmp_path / "deep" / "a.png", image)
    np.testing.assert_array_equal(files.read_image(tmp_path / "deep" / "a.png"), image)
    for dtype in (np.uint8, np.uint16):
        labels = random.integers(0, np.iinfo(dtype).max, (7, 9), dtype=dtype)
        files.write_image(tmp_path / "labels.png", labels)
        np.testing.assert_array_equal(files.read_labels(tmp_path / "labels.png"), labels)
    array = random.normal(size=(3, 4))
    files.save_npy(tmp_path / "a.npy", array)
    np.testing.assert_array_equal(files.read_npy(tmp_path / "a.npy"), array)
    files.save_npz(tmp_path / "a.npz", x=array, y=array > 0)
    read = files.read_npz(tmp_path / "a.npz", "x", "y")
    np.testing.assert_array_equal(read["x"], array)
    np.testing.assert_array_equal(read["y"], array > 0)
    files.save_json(tmp_path / "a.json", {"x": [1, None]})
    assert files.read_json(tmp_path / "a.json") == {"x": [1, None]}


def test_jpeg_is_nearly_lossless(tmp_path):
    y, x = np.mgrid[:32, :32]
    image = np.stack([x * 8, y * 8, 255 - x * 8], axis=-1).astype(np.uint8)
    files.write_image(tmp_path / "a.jpg", image)
    assert np.abs(files.read_image(tmp_path / "a.jpg").astype(int) - image).max() <= 6


@pytest.mark.parametrize("durable", [False, True])
def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path, durable):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail():
        with files.atomic_path(path, durable=durable) as temporary:
            temporary.write_text("half")
            raise RuntimeError("full")

    with pytest.raises(RuntimeError, match="full"):
        fail()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]
    with files.atomic_path(path, durable=durable) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
        assert temporary.suffix == ".txt"
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_lists_by_name_without_hidden_files(tmp_path):
    for name in ("b.png", "a.JPG", ".c.png", "d.txt"):
        (tmp_path / name).touch()
    assert [path.name for path in files.list_files(tmp_path, *files.IMAGE_SUFFIXES)] == ["a.JPG", "b.png"]


READERS = {
    "image": (files.read_image, "a.png", lambda path: files.write_image(path, np.zeros((20, 20, 3), np.uint8))),
    "labels": (files.read_labels, "a.png", lambda path: files.write_image(path, np.zeros((20, 20), np.uint8))),
    "npy": (files.read_npy, "a.npy", lambda path: files.save_npy(path, np.zeros(50))),
    "npz": (lambda path: files.read_npz(path, "x"), "a.npz", lambda path: files.save_npz(path, x=np.zeros(50))),
    "json": (files.read_json, "a.json", lambda path: files.save_json(path, [1, 2, 3])),
}


@pytest.mark.parametrize(("read", "name", "write"), READERS.values(), ids=READERS.keys())
def test_every_truncation_is_the_users_error(tmp_path, read, name, write):
    path = tmp_path / name
    with pytest.raises(UserError, match=name):
        read(path)
    write(path)
    read(path)
    data = path.read_bytes()
    for length in {0, 1, 5, len(data) // 2, len(data) - 3}:
        path.write_bytes(data[:length])
        with pytest.raises(UserError, match=name):
            read(path)


def test_pickles_are_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{"x": 1}], object), allow_pickle=True)
    with pytest.raises(UserError, match=r"a\.npy"):
        files.read_npy(tmp_path / "a.npy")
    np.savez(tmp_path / "a.npz", x=np.array([{"x": 1}], object))
    with pytest.raises(UserError, match=r"a\.npz"):
        files.read_npz(tmp_path / "a.npz", "x")


def test_a_missing_array_is_the_users_error(tmp_path):
    files.save_npz(tmp_path / "a.npz", x=np.zeros(3))
    with pytest.raises(UserError, match="must hold the arrays x, y"):
        files.read_npz(tmp_path / "a.npz", "x", "y")
