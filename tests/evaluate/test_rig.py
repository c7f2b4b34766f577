import pytest

from saff_fast.evaluate.rig import SPLITS, is_scored, mask_file_names, rig_camera
from saff_fast.render.views import protocol_views
from saff_fast.segment.renders import View


def test_scored_views_of_24_frames():
    views = protocol_views(24)
    scored = {split: [v.id for v in views if v.split == split and is_scored(v)] for split in SPLITS}
    assert scored["input"] == list(range(24))
    assert scored["fix_cam0"] == [i for i in range(25, 48) if i != 36]
    assert scored["fix_time0"] == list(range(49, 60))


@pytest.mark.parametrize(("n_frames", "n_cam0", "n_time0"), [(4, 3, 3), (12, 11, 11), (48, 44, 11)])
def test_scored_views_of_other_lengths(n_frames, n_cam0, n_time0):
    scored = [v.split for v in protocol_views(n_frames) if is_scored(v)]
    assert [scored.count(split) for split in SPLITS] == [n_frames, n_cam0, n_time0]


@pytest.mark.parametrize(
    ("view", "camera", "name"),
    [
        (View(3, "input", 3, 3), 4, "training_ 3.png"),
        (View(17, "input", 17, 17), 6, "training_17.png"),
        (View(30, "fix_cam0", 0, 6), 1, "nv_spatial_30.png"),
        (View(53, "fix_time0", 5, 0), 6, "nv_static_53.png"),
    ],
)
def test_names_and_cameras(view, camera, name):
    assert rig_camera(view.pose) == camera
    assert mask_file_names(view)[0] == name
    assert mask_file_names(View(3, "input", 3, 3))[:3] == ("training_ 3.png", "training_03.png", "training_3.png")
