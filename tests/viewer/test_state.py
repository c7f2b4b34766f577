"""What a browser wants, as plain values: it may send anything."""

import math

import numpy as np
import pytest
import torch

from saff_fast.playback.objects import ObjectModel
from saff_fast.playback.shot import shot_of
from saff_fast.viewer.camera import BrowserCamera
from saff_fast.viewer.edits import merged, named, recoloured, split, title
from saff_fast.viewer.look import Look, isolated, number, removed, with_colours, with_everything, with_modality
from saff_fast.viewer.pace import FLUID, LEAST_ROWS, Pace, Rate
from saff_fast.viewer.player import Player
from tests.viewer.conftest import camera_of

UNIT = (1.0, 0, 0, 0)


def test_browser_camera_is_that_of_the_shot(opened):
    model = opened.loaded.model
    shot = shot_of(model, 2, 1)
    again = camera_of(shot, 2 * shot.width, 2 * shot.height).shot(shot.height, 1)
    torch.testing.assert_close(again.c2w, shot.c2w, atol=1e-5, rtol=1e-5)
    assert (again.height, again.width, again.time) == (shot.height, shot.width, 1)
    torch.testing.assert_close(again.intrinsics[1:2], shot.intrinsics[1:2], atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize(
    ("wxyz", "position", "fov", "width", "height"),
    [
        ((0, 0, 0, 0), (0, 0, 0), 1, 10, 10),
        ((math.nan, 0, 0, 1), (0, 0, 0), 1, 10, 10),
        (UNIT, (0, math.inf, 0), 1, 10, 10),
        (UNIT, (0, 0), 1, 10, 10),
        (UNIT, (0, 0, 1e30), 1, 10, 10),
        (UNIT, "here", 1, 10, 10),
        (UNIT, (0, 0, 0), 4, 10, 10),
        (UNIT, (0, 0, 0), 1, 0, 10),
        (UNIT, (0, 0, 0), None, 10, 10),
        ({"a": 1}, (0, 0, 0), 1, 10, 10),
    ],
)
def test_a_hostile_camera_is_refused(wxyz, position, fov, width, height):
    with pytest.raises(ValueError, match="BrowserCamera"):
        BrowserCamera.of(wxyz, position, fov, width, height)


def test_a_monstrous_canvas_is_cut_to_size():
    camera = BrowserCamera.of(UNIT, (0, 0, 0), 1, 10**9, 10**9)
    assert camera.rows <= 1 << 13
    assert BrowserCamera.of(UNIT, (0, 0, 0), 1, 10**9, 1).shot(10, 0).width == 80


@pytest.mark.parametrize("value", ["abc", None, math.nan, math.inf, [1], 10**400])
def test_what_is_no_number_is_refused(value):
    with pytest.raises(ValueError, match="number was expected"):
        number(value, 0, 1)
    assert [number(v, 0, 1) for v in (-5, 0.5, "2")] == [0, 0.5, 1]


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="a modality must be one of"):
        with_modality(Look(), "__class__")
    with pytest.raises(ValueError, match="colours must be one of"):
        with_colours(Look(), "x" * 10**5)
    assert with_colours(with_colours(Look(), "magma"), "as usual").colours is None


def test_isolating_and_removing():
    look = removed(removed(Look(), 1), 2)
    assert (look.only, look.without) == (None, {1, 2})
    assert isolated(look, 1) == Look(only=frozenset({1}))
    assert removed(isolated(look, 1), 1).only == frozenset()
    assert with_everything(look) == Look()


def test_the_pace_settles_within_the_budget():
    def seconds(rows):
        return 0.005 + 3e-6 * rows * rows * 16 / 9

    pace = Pace()
    for _ in range(15):
        rows = pace.moving("rgb", 1000)
        pace.took("rgb", rows, seconds(rows))
    assert 0.8 * FLUID < seconds(pace.moving("rgb", 1000)) < 1.2 * FLUID
    assert pace.moving("other", 50) == 50
    for _ in range(50):
        pace.took("slow", pace.moving("slow", 1000), 100.0)
    assert pace.moving("slow", 1000) == LEAST_ROWS


def test_refinement_reaches_the_full_size():
    rows, steps = 30, 0
    while rows < 720:
        before, rows, steps = rows, Pace.refined(rows, 720), steps + 1
        assert rows > before
    assert (rows, steps) == (720, 4)


def test_the_rate_is_of_the_last_seconds():
    rate = Rate()
    assert rate.shown(0.0) == 0
    assert [rate.shown(0.1 * k) for k in range(1, 11)] == pytest.approx([10] * 10)
    assert rate.shown(60.0) == 0


def test_time_that_runs():
    player = Player(start=2, began=100, speed=4, last=5, loop=True)
    assert player.at(100) == (2, True)
    assert player.at(100.5) == (4, True)
    assert player.at(101) == (1, True), "beyond the end it begins again"
    assert Player(2, 100, 4, 5, loop=False).at(101) == (5, False)
    assert Player(0, 0, 1, 0, loop=True).at(9) == (0, False), "a clip of one frame stands"


@pytest.fixture
def objects():
    prototypes = torch.eye(4)
    return ObjectModel(prototypes, False, torch.tensor([0, 1, 2, 2]), {1: "ball"}, {1: (9, 9, 9)})


def test_merging(objects):
    joined = merged(objects, 1, 2)
    assert joined.object_of.tolist() == [0, 2, 2, 2]
    assert joined.names == joined.colours == {}
    assert merged(objects, 2, 0).ids == (1,)
    for label, into in ((1, 1), (7, 1), (1, 7), (0, 1)):
        with pytest.raises(ValueError, match=r"there is no object|itself already"):
            merged(objects, label, into)


def test_a_cluster_leaves_its_object(objects):
    features = torch.eye(4).repeat(5, 1)
    apart, label = split(objects, 3, features)
    assert (apart.object_of.tolist(), label) == ([0, 1, 2, 3], 3)
    found, label = split(objects, 0, torch.eye(4)[[0]] * torch.tensor([[0.8], [0.9], [1.0], [1.2]]))
    assert (label, found.object_of.tolist()) == (3, [0, 1, 2, 2, 3]), "the only cluster of the background is cut"


def test_a_cluster_that_is_all_of_an_object_is_cut_in_two(objects):
    generator = torch.Generator().manual_seed(0)
    centres = torch.tensor([[0, 1.0, 0.3, 0], [0, 1.0, -0.3, 0]])
    features = centres.repeat_interleave(50, 0) + 0.02 * torch.randn(100, 4, generator=generator)
    apart, label = split(objects, 1, features)
    labels = apart.labels_of(features)
    assert {tuple(labels[:50].unique().tolist()), tuple(labels[50:].unique().tolist())} == {(1,), (label,)}
    halves = apart.prototypes[[1, 4]]
    torch.testing.assert_close(halves[halves[:, 2].argsort(descending=True)], centres, atol=0.02, rtol=0)
    with pytest.raises(ValueError, match="too small to be cut"):
        split(objects, 1, features[:1])
    with pytest.raises(ValueError, match="there is no cluster"):
        split(objects, -1, features)


def test_names_and_colours(objects):
    assert named(objects, 2, "  a\n\x07b ").names == {1: "ball", 2: "a b"}
    assert named(objects, 1, " ").names == {}
    assert len(named(objects, 1, "x" * 10**6).names[1]) <= 60
    assert recoloured(objects, 2, (300, -1, 5)).colours[2] == (255, 0, 5)
    assert (title(objects, 1), title(objects, 2)) == ("1: ball", "2: object")
    with pytest.raises(ValueError, match="there is no object 5"):
        named(objects, 5, "x")


def test_outline_and_overlay_mark_objects_alone(opened):
    from saff_fast.viewer.draw import _outlined, _overlaid, fitted, side_by_side

    image, labels = np.full((6, 6, 3), 100, np.uint8), np.zeros((6, 6), np.int64)
    labels[1:5, 1:5] = 1
    palette = np.array([[0, 0, 0], [200, 0, 0]], np.uint8)
    mixed = _overlaid(image, labels, palette, 0.5)
    assert mixed[2, 2].tolist() == [150, 50, 50]
    assert mixed[0, 0].tolist() == [100, 100, 100]
    outlined = _outlined(image, labels == 1)
    assert (outlined == 255).all(-1).sum() == 12
    assert outlined[2, 2].tolist() == [100, 100, 100]
    assert side_by_side(image, mixed).shape == (6, 12, 3)
    placed = fitted(image, 12, 40)
    assert placed.shape == (12, 40, 3)
    assert (placed[:, :14] == 0).all()
    assert (placed[:, 14:26] == 100).all()
