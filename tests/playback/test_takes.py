"""Cameras and times of the modes."""

import pytest
import torch

from saff_fast.errors import UserError
from saff_fast.playback.path import CameraPath, PathKey
from saff_fast.playback.takes import MODES, TakeOptions, take


def taken(mode, model, scale=1.0, **options):
    return take(mode, model, TakeOptions(**options), scale)


def test_a_fixed_camera_sees_all_times(model):
    shots = taken("fixed-camera", model, camera=2).shots
    assert [shot.time for shot in shots] == [0, 1, 2, 3]
    assert all(torch.equal(shot.c2w, model.cameras.c2w[2]) for shot in shots)


def test_a_fixed_time_is_seen_by_all_cameras(model):
    shots = taken("fixed-time", model, time=1.5).shots
    assert {shot.time for shot in shots} == {1.5}
    assert all(torch.equal(shot.c2w, c2w) for shot, c2w in zip(shots, model.cameras.c2w, strict=True))


def test_bullet_time_goes_round_the_published_circle(model):
    shots = taken("bullet-time", model, time=1.0).shots
    assert len(shots) == 60
    assert {shot.time for shot in shots} == {1.0}
    shifts = torch.stack([shot.c2w[:, 3] for shot in shots]) - model.cameras.c2w[1, :, 3]
    radius = 48 / 16 * 12 / 288  # 48 / f, with f as in pictures of 288 rows
    assert shifts[:, 0].abs().max() == pytest.approx(radius)
    assert shifts[:, 1].abs().max() == pytest.approx(radius / 3)
    torch.testing.assert_close(shifts.mean(0), torch.zeros(3), rtol=0, atol=1e-6)


def test_slow_motion_moves_through_all_frames(model):
    shots = taken("slow-motion", model, slow=4).shots
    assert [shot.time for shot in shots] == pytest.approx([0.25 * k for k in range(13)])
    locked = taken("lock-camera-slow-motion", model, slow=2, camera=3).shots
    assert [shot.time for shot in locked] == pytest.approx([0.5 * k for k in range(7)])
    assert all(torch.equal(shot.c2w, model.cameras.c2w[3]) for shot in locked)


def test_stabilising_keeps_cameras_that_are_steady(model):
    shots = taken("stabilise", model).shots
    torch.testing.assert_close(torch.stack([shot.c2w for shot in shots]), model.cameras.c2w, rtol=0, atol=1e-6)


def test_paths_are_followed(model, tmp_path):
    key = PathKey(model.cameras.c2w[0].numpy(), 50.0, 9.0, 0.0)
    CameraPath((key,), 12.0, 6, 8).save(tmp_path / "p.json")
    found = taken("path", model, path=tmp_path / "p.json", scale=2.0)
    assert found.fps == 12
    assert "nearest end of the clip" in found.warning
    assert (found.shots[0].height, found.shots[0].width) == (12, 16)
    with pytest.raises(UserError, match="--strict"):
        taken("path", model, path=tmp_path / "p.json", strict=True)


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "path"])
def test_every_mode_has_its_size(model, mode):
    assert {(shot.height, shot.width) for shot in taken(mode, model, scale=0.5).shots} == {(6, 8)}


@pytest.mark.parametrize(
    ("mode", "options", "said"),
    [
        ("slow-motion", {"camera": 1}, "--camera must be left out of mode slow-motion"),
        ("fixed-camera", {"camera": 4}, r"--camera must be in \[0, 3\], got 4"),
        ("fixed-time", {"time": -1.0}, r"--time must be in \[0, 3\]"),
        ("slow-motion", {"slow": 0}, r"--slow must be in \[1, 1000\]"),
        ("stabilise", {"steadiness": float("nan")}, "--steadiness must be in"),
        ("path", {}, "--path must be given"),
    ],
)
def test_options_that_do_not_fit_are_named(model, mode, options, said):
    with pytest.raises(UserError, match=said):
        taken(mode, model, **options)
