import cv2
import numpy as np
import pytest

from saff_fast.priors.flow import FrameFlows, consistent, dis_flow, warp


@pytest.fixture(scope="module")
def picture():
    noise = np.random.default_rng(0).uniform(0, 255, (60, 100, 3)).astype(np.float32)
    return cv2.GaussianBlur(noise, (0, 0), 2)


def shifted(picture, x, y):
    moved = cv2.warpAffine(picture, np.float32([[1, 0, x], [0, 1, y]]), (100, 60), borderMode=cv2.BORDER_REFLECT)
    low, high = picture.min(), picture.max()
    return ((moved - low) / (high - low) * 255).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("shift", [(3.0, -2.0), (0.5, 1.25)])
def test_dis_flow_finds_a_shift(picture, shift):
    flow = dis_flow(shifted(picture, 0, 0), shifted(picture, *shift))
    error = np.linalg.norm(flow - np.float32(shift), axis=-1)[8:-8, 8:-8]
    assert np.median(error) < 0.15


def test_frame_flows_do_not_depend_on_threads(picture):
    images = [shifted(picture, 0, 0), shifted(picture, 2, 1)]
    found = []
    before = cv2.getNumThreads()
    for threads in (1, 4):
        cv2.setNumThreads(threads)
        found.append(FrameFlows(images).between(0, 1)[0])
        assert cv2.getNumThreads() == threads
    cv2.setNumThreads(before)
    np.testing.assert_array_equal(*found)


def test_warp_samples_where_the_flow_leads():
    values = np.arange(20, dtype=np.float32).reshape(4, 5)
    flow = np.zeros((4, 5, 2), np.float32)
    flow[..., 0] = 1
    np.testing.assert_allclose(warp(values, flow)[:, :4], values[:, 1:])
    np.testing.assert_allclose(warp(values, flow)[:, 4], 0)


@pytest.mark.parametrize(
    ("forward", "backward", "expected"),
    [
        (4.0, -4.0, True),
        (4.0, -1.0, False),  # |F + B| = 3 is not below 0.5 * 5 + 0.5 = 3
        (4.0, -1.1, True),
        (0.4, 0.0, True),
    ],
)
def test_consistency_is_the_published_rule(forward, backward, expected):
    fields = []
    for value in (forward, backward):
        field = np.zeros((8, 30, 2), np.float32)
        field[..., 0] = value
        fields.append(field)
    assert consistent(*fields)[4, 10] == expected


def test_targets_outside_the_picture_are_not_consistent():
    flow = np.zeros((8, 30, 2), np.float32)
    flow[..., 0] = 5.0
    mask = consistent(flow, -flow)
    assert mask[:, :20].all()
    assert not mask[:, -5:].any()
