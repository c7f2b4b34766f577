import numpy as np
import pytest

from saff_fast.errors import UserError
from saff_fast.files import write_image
from saff_fast.priors.user_masks import read_user_masks


def test_masks_are_found_by_name(tmp_path):
    mask = np.zeros((4, 6), np.uint8)
    mask[:, 3:] = 7
    write_image(tmp_path / "b.png", mask)
    found = read_user_masks(tmp_path, ["a", "b", "c"], 8, 12)
    assert list(found) == [1]
    np.testing.assert_array_equal(found[1], np.repeat([[0.0] * 6 + [1.0] * 6], 8, axis=0))


def test_a_mask_of_no_frame_is_named(tmp_path):
    write_image(tmp_path / "d.png", np.zeros((4, 6), np.uint8))
    with pytest.raises(UserError, match=r"d\.png, but no frame is called d"):
        read_user_masks(tmp_path, ["a"], 4, 6)


@pytest.mark.parametrize("folder", ["empty", "missing"])
def test_a_folder_without_masks_is_refused(tmp_path, folder):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="must be a folder of masks"):
        read_user_masks(tmp_path / folder, ["a"], 4, 6)
