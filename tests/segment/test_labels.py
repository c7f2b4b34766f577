import numpy as np
import pytest

from saff_fast.files import read_image, read_labels
from saff_fast.segment.labels import colourise, palette, write_labels


@pytest.mark.parametrize("largest", [1, 24, 255, 256, 65535])
def test_labels_survive_the_file(tmp_path, largest):
    labels = np.array([[0, 1], [largest // 2, largest]])
    write_labels(tmp_path, 7, labels)
    np.testing.assert_array_equal(read_labels(tmp_path / "labels" / "00007.png"), labels)


def test_refuses_labels_that_no_png_holds(tmp_path):
    with pytest.raises(ValueError, match=r"labels must be in \[0, 65535\], got -1 to 3"):
        write_labels(tmp_path, 0, np.array([[-1, 3]]))


def test_colours_are_distinct_and_background_is_black(tmp_path):
    colours = palette(42)
    assert colours[0].tolist() == [0, 0, 0]
    assert len(np.unique(colours, axis=0)) == 42
    np.testing.assert_array_equal(palette(5), colours[:5])
    write_labels(tmp_path, 3, np.array([[0, 2]]))
    np.testing.assert_array_equal(read_image(tmp_path / "3.png"), colours[[[0, 2]]])
    np.testing.assert_array_equal(colourise(np.array([[2]])), colours[[[2]]])
