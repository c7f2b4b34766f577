"""The table of levers: its rows, its marks, its file."""

import importlib
import sys
from pathlib import Path

import pytest

from saff_fast.config import load_config, override
from saff_fast.files import read_json
from saff_fast.preparation import prepare_synthetic
from saff_fast.train.config import ExperimentConfig
from tests.benchmarks.tiny_run import TINY

FOLDER = Path(__file__).resolve().parent.parent.parent / "benchmarks"


@pytest.fixture
def ablate(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    return importlib.import_module("ablate")


@pytest.mark.parametrize("preset", ["demo", "cpu-preview"])
def test_every_row_changes_keys_that_there_are(ablate, preset):
    base = load_config(ExperimentConfig, preset)
    for name, keys in ablate.ROWS.items():
        assert (override(base, list(keys)) == base) == (name == "base"), name


def test_only_gaps_beyond_both_spreads_are_marked(ablate):
    first = [{"input": value} for value in (30.0, 30.4)]
    rows = {30.7: "", 31.0: "*", 29.4: "*"}
    for mean, mark in rows.items():
        runs = [{"input": mean - 0.1}, {"input": mean + 0.1}]
        assert ablate._cell(runs, first, "input").endswith(f"{mark or '0'}"), mean
    assert ablate._cell([{"input": 99.0}], first, "input") == "99.00 ±0.00"  # one run has no spread


@pytest.mark.slow
def test_a_table_is_completed_and_written(ablate, tmp_path, monkeypatch, capsys):
    scene, out = tmp_path / "scene", tmp_path / "out.json"
    prepare_synthetic(scene, 36, 64, 24)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ablate, "load_config", lambda *_: override(load_config(ExperimentConfig, "demo"), list(TINY)))
    command = ["ablate.py", "--scene", str(scene), "--json", str(out), "--seeds", "0", "1", "--rows"]
    for rows in (["base"], ["base", "no warp"]):
        monkeypatch.setattr(sys, "argv", [*command, *rows])
        ablate.main()
    assert capsys.readouterr().err.splitlines() == [
        f"{row}, seed {seed}" for row in ("base", "no warp") for seed in (0, 1)
    ]
    levers = read_json(out)["levers"]
    assert [(lever["name"], lever["keys"], len(lever["runs"])) for lever in levers] == [
        ("base", [], 2),
        ("no warp", ["loss.warp=0"], 2),
    ]
    assert all(set(run) <= set(ablate.COLUMNS) and run["seconds"] > 0 for lever in levers for run in lever["runs"])
