import numpy as np
import pytest

from saff_fast.evaluate.image_metrics import PSNR_LIMIT
from saff_fast.evaluate.protocols.holdout import central_part, score_held_out, static_part


@pytest.fixture
def images():
    frames = np.full((24, 40, 40, 3), 100, np.uint8)
    frames[4, 10:25, 10:25, 1] = 115
    return frames


def test_static_part_is_where_the_same_camera_saw_the_same(images):
    static = static_part(images, 4)
    np.testing.assert_array_equal(static, static_part(images, 16))
    assert not static[12:23, 12:23].any()
    assert static[:7].all()
    assert static[28:].all()
    assert static_part(images, 5).all()


@pytest.mark.parametrize(("difference", "is_static"), [(7, True), (8, False)])
def test_limit_of_8_grey_levels(images, difference, is_static):
    images[5] += difference
    assert static_part(images, 5).all() == is_static


def test_no_frame_of_the_same_camera(images):
    assert static_part(images[:12], 4) is None
    scores = score_held_out(images[4], np.ones((40, 40)), images[:12], 4)
    assert sorted(scores) == ["full_psnr", "full_ssim", "opaque_share"]


def test_central_three_quarters():
    central = central_part(40, 80)
    assert central.sum() == 30 * 60
    assert central[5:35, 10:70].all()


def test_parts_are_scored_apart_and_border_only_in_full(images):
    render = images[4].copy()
    render[0] = 0
    opacity = np.ones((40, 40))
    opacity[:10] = 0.5
    scores = score_held_out(render, opacity, images, 4)
    assert scores["static_psnr"] == scores["moving_psnr"] == PSNR_LIMIT
    assert scores["full_psnr"] < 40
    assert scores["opaque_share"] == 0.75
    render[15, 15] = 0
    scores = score_held_out(render, opacity, images, 4)
    assert scores["static_psnr"] == PSNR_LIMIT
    assert scores["moving_psnr"] < 40
