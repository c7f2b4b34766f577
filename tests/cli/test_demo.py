"""The whole way, at the size of a stamp."""

import json

import pytest
from PIL import Image

from saff_fast import config
from saff_fast.cli import demo as module
from saff_fast.cli.main import main

PRESET = """
[train]
height = 36
steps = 30
rays = 512
moving_rays = 128
checkpoint_every = 10
"""


@pytest.fixture
def small(tmp_path, monkeypatch):
    """The demo at 64 x 36 pixels, 6 frames and 30 steps; gives its folder."""
    (tmp_path / "presets").mkdir()
    (tmp_path / "presets" / "demo.toml").write_text(PRESET)
    monkeypatch.setattr(config, "preset_folder", lambda: tmp_path / "presets")
    for name, value in {"HEIGHT": 36, "WIDTH": 64, "N_FRAMES": 6}.items():
        monkeypatch.setattr(module, name, value)
    return tmp_path / "demo"


@pytest.mark.slow
def test_demo_leaves_figures_and_pictures(small, capsys):
    assert main(["demo", "--out", str(small)]) == 0
    results = json.loads((small / "results.json").read_text())
    assert {"protocol", "scene", "commit", "device", "seconds", "splits"} <= results.keys()
    assert {"depth_median_rel_error", "flow_epe_median_moving"} <= results.keys()
    assert set(results["splits"]) == {"input", "fix_cam0", "fix_time0"}
    for scores in results["splits"].values():
        assert {"psnr", "ssim", "ari", "fg_ari", "fg_jaccard"} <= scores.keys()
    assert "PSNR" in capsys.readouterr().out
    assert Image.open(small / "contact_sheet.png").width > 1000
    novel = Image.open(small / "novel_view.gif")
    assert novel.size == (128, 36)
    assert novel.n_frames == 6

    scene = (small / "scene" / "poses_bounds.npy").stat().st_mtime_ns
    checkpoints = {path: path.stat().st_mtime_ns for path in (small / "run" / "checkpoints").iterdir()}
    assert main(["demo", "--out", str(small)]) == 0, "again: what is there is reused"
    assert (small / "scene" / "poses_bounds.npy").stat().st_mtime_ns == scene
    assert {path: path.stat().st_mtime_ns for path in (small / "run" / "checkpoints").iterdir()} == checkpoints
