import numpy as np
import pytest

from saff_fast.errors import UserError
from saff_fast.evaluate.masks import MaskFolder, has_masks
from saff_fast.evaluate.published_colours import published_picture
from saff_fast.files import write_image
from saff_fast.segment.renders import View

LABELS = np.array([[0, 3, 4], [8, 1, 0]])


def view(number):
    return View(number, "input", number, number)


@pytest.mark.parametrize("name", ["7.png", "07.png", "00007.png", "training_ 7.png", "labels/00007.png"])
def test_integers_under_any_name(tmp_path, name):
    write_image(tmp_path / name, LABELS.astype(np.uint8))
    masks = MaskFolder(tmp_path)
    np.testing.assert_array_equal(masks.labels(view(7)), LABELS)
    assert masks.labels(view(8)) is None


def test_colours_are_numbered_alike_in_all_views(tmp_path):
    write_image(tmp_path / "0.png", published_picture(LABELS))
    write_image(tmp_path / "1.png", published_picture(np.array([[0, 8, 0], [4, 4, 4]])))
    masks = MaskFolder(tmp_path)
    first, second = masks.labels(view(0)), masks.labels(view(1))
    assert second[0, 1] == first[1, 0], "of the first view only two colours are left"
    assert second[1, 0] == first[0, 2]
    assert (first == 0).sum() == 2
    assert len(np.unique(first)) == 5, "colours that share a channel stay apart"


def test_other_pictures_beside_are_no_label_maps(tmp_path):
    for name in ("3.png", "3_label.png", "3_small.png", "4_rgb.png", "results.png", "depth_5.png"):
        write_image(tmp_path / name, LABELS.astype(np.uint8))
    assert list(MaskFolder(tmp_path).files) == [3]


def test_folders_of_the_published_baselines(tmp_path):
    for name in ("train/5.png", "nv_spatial/1.png", "nv_static/2.png"):
        write_image(tmp_path / name, LABELS.astype(np.uint8))
    assert sorted(MaskFolder(tmp_path).files) == [5, 25, 50]


def test_nothing_there(tmp_path):
    assert not has_masks(tmp_path)
    with pytest.raises(UserError, match="must hold label maps named by view"):
        MaskFolder(tmp_path)
    with pytest.raises(UserError, match="there is no such folder"):
        MaskFolder(tmp_path / "absent")
