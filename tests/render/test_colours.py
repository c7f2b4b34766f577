"""Maps as pictures."""

import numpy as np

from saff_fast.render.colours import depth_colours, feature_colours, flow_colours, share_colours


def test_shares_brighten():
    row = share_colours(np.linspace(0, 1, 9)[None])[0].astype(int).sum(-1)
    assert (np.diff(row) > 0).all()


def test_share_outside_the_range_is_clamped():
    picture = share_colours(np.array([[-1.0, 0.0, 1.0, 2.0, np.nan]]))
    assert (picture[0, 0] == picture[0, 1]).all()
    assert (picture[0, 2] == picture[0, 3]).all()
    assert (picture[0, 4] == picture[0, 0]).all()


def test_near_is_red_and_far_is_blue():
    near, far = depth_colours(np.array([[1.0, 10.0]]), 1.0, 10.0)[0].astype(int)
    assert near[0] > near[2]
    assert far[2] > far[0]


def test_flow_direction_is_hue_and_length_saturation():
    picture = flow_colours(np.array([[[0.0, 0.0], [2.0, 0.0], [1.0, 0.0], [-2.0, 0.0]]]), 2.0)[0]
    assert picture[0].tolist() == [255, 255, 255]
    assert picture[1].tolist() == [255, 0, 0]
    assert picture[2].tolist() == [255, 128, 128]
    assert picture[3].tolist() == [0, 255, 255]


def test_features_keep_their_colours_over_views():
    rng = np.random.default_rng(0)
    kinds = rng.normal(size=(3, 16))
    labels = rng.integers(0, 3, (2, 8, 8))
    scale = rng.uniform(0.5, 2.0, (2, 8, 8, 1))  # the length of a feature says nothing
    first, second = feature_colours([*(kinds[labels] * scale)])
    colours = [np.concatenate([first[labels[0] == k], second[labels[1] == k]]) for k in range(3)]
    assert all((colour == colour[0]).all() for colour in colours)
    assert len({tuple(colour[0]) for colour in colours}) == 3
