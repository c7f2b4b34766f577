import re

import numpy as np

from saff_fast.report.overview import HEIGHT, WIDTH, path_svg, scene_svg, top_view


def turned(angle):
    """A turn about the x axis: the camera looks down."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]])


def cameras(rotation):
    """A path to the right, the last camera ahead of the others."""
    centres = np.array([[0.0, 0, 0], [1, 0, 0], [2, 0, 0], [2, 0, 1]])
    return np.concatenate([np.tile(rotation, (4, 1, 1)), (centres @ rotation.T)[..., None]], axis=-1)


def circles(svg, kind):
    return np.array(re.findall(rf'cx="(\S+)" cy="(\S+)" r="\S+" class="{kind}"', svg), float).reshape(-1, 2)


def test_seen_from_above_whatever_the_worlds_axes():
    for rotation in (np.eye(3), turned(1.0)):
        view = top_view(cameras(rotation), np.array([[0.0, 7.0, 5.0]]) @ rotation.T)
        np.testing.assert_allclose(view.centres, [[0, 0], [1, 0], [2, 0], [2, 1]], atol=1e-12)
        np.testing.assert_allclose(view.points, [[0, 5]], atol=1e-12)  # height does not count
        np.testing.assert_allclose(view.ahead, [[0, 1]] * 4, atol=1e-12)


def test_right_is_right_and_ahead_is_up_at_one_scale():
    places = circles(path_svg(top_view(cameras(np.eye(3)), np.zeros((0, 3)))), "camera")
    right, ahead = places[1] - places[0], places[3] - places[2]
    assert right[0] > 100
    assert abs(right[1]) < 0.1
    np.testing.assert_allclose(ahead, [0, -right[0]], atol=0.2)


def test_points_far_away_do_not_shrink_the_rest():
    random = np.random.default_rng(0)
    points = random.uniform(0, 4, (5000, 3))
    points[0] = 1e6
    svg = scene_svg(top_view(cameras(np.eye(3)), points))
    found = circles(svg, "point")
    assert 500 < len(found) <= 2500
    assert np.ptp(found, axis=0).min() > 100
    assert (found >= 0).all()
    assert (found <= (WIDTH, HEIGHT)).all()


def test_cameras_at_one_place_are_drawn():
    still = np.tile(np.eye(3, 4), (4, 1, 1))
    for svg in (path_svg(top_view(still, np.zeros((0, 3)))), scene_svg(top_view(still, np.zeros((0, 3))))):
        np.testing.assert_allclose(circles(svg, "camera"), [[WIDTH / 2, HEIGHT / 2]] * 4)
        assert "nan" not in svg
