"""A ball that moves up and down beside someone who stands still, and swings to a pole in one view."""

import numpy as np
import pytest

from saff_fast.files import save_json, save_npy
from saff_fast.segment.companions import Companions, _behind, prominence, things_beside
from saff_fast.segment.renders import read_renders

HEIGHT, WIDTH, N, FOCAL = 72, 128, 8, 60.0
PERSON, POLE, BALL = (-0.3, 0.3, -1.0, 1.0, 4.0), (2.0, 2.4, -1.0, 1.0, 4.0), 3.6
AT_POLE = 5
"""Where the ball is at the pole instead."""


def drawn(time):
    """Depth and things of a view: 1 the ball, 2 the person, 3 the pole; the camera moves to the right."""
    depth = np.repeat(np.linspace(9, 6, HEIGHT, dtype=np.float32)[:, None], WIDTH, axis=1)
    things = np.zeros((HEIGHT, WIDTH), np.int64)
    left, top = (0.95 if time == AT_POLE else 0.25), -0.9 + 0.1 * time
    ball = (left, left + 0.9, top, top + 0.9, BALL)
    for number, (left, right, top, bottom, z) in ((3, POLE), (2, PERSON), (1, ball)):
        columns = [round(FOCAL * (x - 0.05 * time) / z + WIDTH / 2) for x in (left, right)]
        rows = [round(FOCAL * y / z + HEIGHT / 2) for y in (top, bottom)]
        depth[rows[0] : rows[1], columns[0] : columns[1]] = z
        things[rows[0] : rows[1], columns[0] : columns[1]] = number
    return depth, things


@pytest.fixture
def renders(tmp_path):
    views = []
    for time in range(N):
        save_npy(tmp_path / "render" / f"{time}_depth.npy", drawn(time)[0])
        c2w = [[1, 0, 0, 0.05 * time], [0, 1, 0, 0], [0, 0, 1, 0]]
        camera = {"c2w": c2w, "intrinsics": [FOCAL, FOCAL, WIDTH / 2, HEIGHT / 2]}
        views.append({"id": time, "split": "input", "pose": time, "time": time, **camera})
    content = {"scene": "none", "height": HEIGHT, "width": WIDTH, "n_frames": N, "held_out": [7], "views": views}
    save_json(tmp_path / "render" / "views.json", content)
    return read_renders(tmp_path)


def objects(time):
    return np.where(drawn(time)[1] == 1, 2, 0)


def find(renders, quorum=0.8):
    return Companions.find(renders, {time: objects(time) for time in range(N)}, quorum, 0.001)


@pytest.mark.parametrize("time", [0, 3, 7])  # the last one was held out
def test_who_stands_beside_the_ball_is_with_it(renders, time):
    found = find(renders).of(renders.views[time], objects(time))
    person = drawn(time)[1] == 2
    assert set(np.unique(found)) == {0, 2}
    assert ((found == 2) & person).sum() / ((found == 2) | person).sum() > 0.89  # all but corners


def test_the_pole_is_beside_the_ball_in_one_view_and_with_it_in_none(renders):
    depth, things = drawn(AT_POLE)
    beside = things_beside(objects(AT_POLE), depth, 225.0, 0.001)
    assert (beside[things == 3] == 2).mean() > 0.8
    for time in (0, AT_POLE):
        assert not find(renders).of(renders.views[time], objects(time))[drawn(time)[1] == 3].any()


CASES = {
    "behind": {"depth": 5.5, "is_beside": False},
    "at the depth": {"depth": 3.7, "is_beside": True},
    "too large": {"depth": 3.7, "height": 60, "is_beside": False},
    "too small": {"depth": 3.7, "smallest": 0.2, "is_beside": False},
    "apart": {"depth": 3.7, "gap": 5, "is_beside": False},
    "part of the ground": {"depth": 8.0, "is_beside": False},
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_what_counts_as_beside(case):
    depth, labels = np.full((72, 128), 8.0, np.float32), np.zeros((72, 128), np.int64)
    labels[20:40, 40:60], depth[20:40, 40:60] = 1, 3.6
    left = 60 + case.get("gap", 0)
    depth[10 : 10 + case.get("height", 35), left : left + 12] = case["depth"]
    found = things_beside(labels, depth, 400, case.get("smallest", 0.001))
    assert (found[20:40, left + 2 : left + 10] == 1).all() == case["is_beside"]
    assert found.any() == case["is_beside"]


def test_ground_and_slanted_walls_do_not_stand_out():
    rows, columns = np.mgrid[:72, :128]
    for inverse in (0.1 + rows / 100, 0.1 + columns / 300, 0.1 + (128 - columns) / 300):
        assert prominence((1 / inverse).astype(np.float32), 64)[:, 32:-32].max() < 1e-5
    depth = np.full((72, 128), 8.0, np.float32)
    depth[10:70, 30:50] = 4.0
    assert np.allclose(prominence(depth, 25)[20:60, 32:48], 0.5)
    assert prominence(depth, 19).max() == 0, "it is 20 wide"


def test_ground_that_an_object_stands_on_is_not_beside_it():
    depth = np.repeat(np.linspace(9, 6, 72, dtype=np.float32)[:, None], 128, axis=1)
    labels = np.zeros((72, 128), np.int64)
    labels[20:50, 40:60] = 1
    depth[20:50, 40:60] = depth[50, 40]
    assert not things_beside(labels, depth, 1e6, 0.001).any()


def test_a_thing_ends_at_a_step_in_depth():
    depth, labels = np.full((72, 128), 8.0, np.float32), np.zeros((72, 128), np.int64)
    labels[20:40, 40:60], depth[20:40, 40:60] = 1, 3.6
    depth[15:45, 60:72], depth[15:45, 72:84] = 3.7, 4.5
    found = things_beside(labels, depth, 400, 0.001)
    assert found[20:40, 62:70].all()
    assert not found[:, 74:].any()


@pytest.mark.parametrize(
    ("quorum", "change", "elected"),
    [
        (0.7, "nothing", True),
        (0.8, "nothing", False),
        (0.8, "hidden in the views that lack it", True),
        (0.8, "behind an object in the views that lack it", True),
        (0.7, "seen in two views", False),
    ],
)
def test_views_that_see_a_point_decide(renders, quorum, change, elected):
    """All of the picture is beside object 2 in five of the seven trained views."""
    beside = {time: np.full((HEIGHT, WIDTH), 2 * (time not in (2, 3))) for time in range(7)}
    depths = {time: np.full((HEIGHT, WIDTH), 4.0) for time in range(7)}
    objects = {time: np.zeros((HEIGHT, WIDTH), np.int64) for time in range(7)}
    blind = {"hidden in the views that lack it": (2, 3), "seen in two views": (0, 1, 2, 3, 4)}.get(change, ())
    for time in blind:
        depths[time][:] = 2.0
    if change == "behind an object in the views that lack it":
        objects[2][:] = objects[3][:] = 1
    companions = Companions(renders, beside, objects, 400, depths, quorum, 0.001)
    seen, votes = companions._votes(np.array([[0.0, 0, 4]], np.float32), renders.views[7])
    thing = np.zeros((HEIGHT, WIDTH), bool)
    thing[36, 64] = True
    found = companions._elected(thing, seen, votes)
    assert found[36, 64] == 2 * elected
    assert found.sum() == found[36, 64]


def test_pixels_vote_with_those_around_them(renders):
    companions = Companions(renders, {}, {}, 400, {}, 0.6, 0.001)
    thing = np.zeros((HEIGHT, WIDTH), bool)
    thing[20:40, 20:40] = True
    generator = np.random.default_rng(0)
    left = np.flatnonzero(thing.ravel()) % WIDTH < 30
    votes = np.zeros((3, 400), np.int64)
    votes[2] = generator.random(400) < np.where(left, 0.9, 0.2)  # of one view each, if that saw a point
    found = companions._elected(thing, np.full(400, 3), 3 * votes)
    assert (found[20:40, 20:28] == 2).mean() > 0.97
    assert (found[20:40, 32:40] == 0).mean() > 0.97
    assert not found[~thing].any()


def test_an_object_is_no_part_of_what_it_hides():
    depth, objects = np.full((3, 20), 8.0, np.float32), np.zeros((3, 20), bool)
    depth[:, 10:14] = 4.0
    objects[0, 5:10] = objects[1, 11:13] = objects[2] = True
    objects[0, 18:] = True
    behind = _behind(np.where(objects, 2.0, depth).astype(np.float32), objects)
    np.testing.assert_array_equal(behind[0], depth[0])  # the deeper side
    np.testing.assert_array_equal(behind[1], depth[1])  # both sides are of one thing
    assert (behind[2] == 2).all()  # nothing else is known
