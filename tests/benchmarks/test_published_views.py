"""The curve of a run against the published renders: snapshots, points, files."""

import importlib
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from saff_fast.files import read_json
from saff_fast.preparation import prepare_synthetic
from tests.benchmarks.tiny_run import TINY

FOLDER = Path(__file__).resolve().parent.parent.parent / "benchmarks"


@pytest.fixture
def published_views(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    return importlib.import_module("published_views")


@pytest.fixture
def run(tmp_path):
    """A run folder with one checkpoint."""
    folder = tmp_path / "run"
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "config.toml").write_text("seed = 0")
    (folder / "meta.json").write_text("{}")
    write_checkpoint(folder, 250)
    return folder


def write_checkpoint(run, step):
    (run / "checkpoints" / f"step_{step:08d}.safetensors").write_text(f"{step}")
    (run / "checkpoints" / "latest").write_text(f"step_{step:08d}.safetensors\n")


def test_a_snapshot_outlives_its_checkpoint(published_views, run):
    published_views.keep(run)
    published_views.keep(run)
    write_checkpoint(run, 500)
    (run / "checkpoints" / "step_00000250.safetensors").unlink()
    published_views.keep(run)
    first, second = sorted((run / "snapshots").iterdir())
    assert (first / "checkpoints" / "step_00000250.safetensors").read_text() == "250"
    assert (first / "checkpoints" / "latest").read_text() == "step_00000250.safetensors\n"
    assert (second / "checkpoints" / "latest").read_text() == "step_00000500.safetensors\n"
    assert (second / "config.toml").read_text() == "seed = 0"


@pytest.mark.slow
def test_curve_of_a_small_run(published_views, tmp_path, monkeypatch):
    scene, out = tmp_path / "Umbrella", tmp_path / "curve.json"
    prepare_synthetic(scene, 36, 64, 24)
    command = ["published_views.py", str(scene), "--out", str(tmp_path / "run"), "--json", str(out)]
    monkeypatch.setattr(sys, "argv", [*command, "--every", "0", "--set", *TINY, "train.checkpoint_every=10"])
    published_views.main()
    document = read_json(out)
    last = document["curve"][-1]
    assert last["step"] == 20
    assert all(5 < last[name] < 50 for name in ("codec_psnr", "direct_psnr", "static_psnr", "moving_psnr"))
    assert document["published"]["SAFF"]["psnr"] == 30.60
    ElementTree.fromstring(out.with_suffix(".svg").read_text())
