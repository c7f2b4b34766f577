"""Settings chosen on the other scenes: what is chosen, what is computed once, what is refused."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

from saff_fast.files import read_json, write_image
from tests.segment.rendered_run import STATIC_OBJECT, instances, write_run

FOLDER = Path(__file__).resolve().parent.parent.parent / "benchmarks"
GRID = ["--grid", "evidence=moving_saliency,saliency", "--grid", "elbow_ratio=0.9,0.975"]


@pytest.fixture
def loo(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    return importlib.import_module("leave_one_out")


@pytest.fixture
def data(tmp_path):
    """Two scenes whose still thing is background, and one in which it counts."""
    for name in ("a", "b", "c"):
        write_run(tmp_path / "runs" / name, tmp_path / "scenes" / name)
        for time in (0, 2):
            labels = instances(time)
            labels[labels == STATIC_OBJECT] *= name == "c"
            write_image(tmp_path / "truth" / name / f"{time:05d}.png", labels.astype(np.uint8))
    return tmp_path


def go(loo, data, monkeypatch, *arguments, names=("a", "b", "c")):
    runs = [str(data / "runs" / name) for name in names]
    command = ["leave_one_out.py", *runs, "--truth", str(data / "truth"), "--out", str(data / "table")]
    monkeypatch.setattr(sys, "argv", [*command, *arguments])
    return loo.main()


def test_each_scene_gets_what_is_best_on_the_others(loo, data, monkeypatch, capsys):
    assert go(loo, data, monkeypatch, *GRID) == 0
    document = read_json(data / "table.json")
    choices = {choice["scene"]: choice for choice in document["choices"]}
    assert "evidence=saliency" not in choices["c"]["setting"]
    assert "evidence=saliency" in choices["c"]["best_setting"]
    assert choices["c"]["best"]["fg_iou"] > 0.97
    # Both movers and nothing else: the still thing is missed in c, and found by nobody's choice elsewhere.
    true, still = instances(0), instances(0) == STATIC_OBJECT
    assert choices["c"]["scores"]["fg_iou"] == pytest.approx(1 - still.sum() / (true > 0).sum(), abs=0.03)
    assert choices["a"]["scores"] == choices["a"]["default"]
    assert len(document["scores"]["a"]) == 5
    text = (data / "table.md").read_text()
    assert capsys.readouterr().out in text
    mean = np.mean([choice["scores"]["ari"] for choice in choices.values()])
    assert text.splitlines()[-1].split(" | ")[2] == f"{mean:.3f}"


def test_a_made_up_table(loo):
    def scores(value):
        return {"fg_iou": value, "ari": 0.5}

    default, one, two = (), ("quorum=0.3",), ("quorum=0.5",)
    table = {
        "a": {default: scores(0.5), one: scores(0.9), two: scores(0.1)},
        "b": {default: scores(0.5), one: scores(0.2), two: scores(0.8)},
        "c": {default: scores(0.5), one: scores(0.5), two: {"fg_iou": 0.3, "ari": 0.5, "fg_ari": 0.9}},
    }
    chosen = {choice.scene: choice for choice in loo.leave_one_out(table)}
    # Merits: 1 against .85 and .65 + 1.7 / 3; 1 against 1.2 and .3 + 1.7 / 3; 1 against 1.05 and .95.
    assert [chosen[scene].setting for scene in "abc"] == [two, one, one]
    assert chosen["a"].scores == scores(0.1)
    assert chosen["b"].best_setting == two
    table["c"][one] = scores(0.1)
    assert {choice.scene: choice for choice in loo.leave_one_out(table)}["b"].setting == default  # of equals the first


def test_pixels_are_clustered_once_and_equal_outcomes_scored_once(loo, data, monkeypatch):
    clustered, drawn = [], []
    monkeypatch.setattr(loo, "fit_clusters", lambda *a, fit=loo.fit_clusters: clustered.append(1) or fit(*a))
    monkeypatch.setattr(loo, "final_labels", lambda *a, draw=loo.final_labels: drawn.append(1) or draw(*a))
    assert go(loo, data, monkeypatch, *GRID, "--grid", "quorum=0.3,0.5,0.7", names=("a", "b")) == 0
    assert len(clustered) == 2 * 2
    assert len(drawn) <= 2 * 2 * 2  # scenes, clusterings, kinds of evidence


def test_relabelled_truth(loo, data, monkeypatch):
    assert go(loo, data, monkeypatch, *GRID, "--relabel", f"c:{STATIC_OBJECT}=0") == 0
    choices = {choice["scene"]: choice for choice in read_json(data / "table.json")["choices"]}
    assert choices["c"]["scores"]["fg_iou"] > 0.97


@pytest.mark.parametrize(
    ("arguments", "names", "said"),
    [
        (["--grid", "quorum"], ("a", "b"), "--grid must be KEY=V1,V2"),
        (["--grid", "quorum=7"], ("a", "b"), "quorum must be in (0, 1]"),
        (["--grid", "speed=7"], ("a", "b"), "speed"),
        ([], ("a",), "two or more scenes"),
        ([], ("a", "a"), "two or more scenes"),
        ([], ("a", "lacking"), "must hold rendered views"),
    ],
)
def test_mistakes(loo, data, monkeypatch, capsys, arguments, names, said):
    assert go(loo, data, monkeypatch, *arguments, names=names) == 2
    assert said in capsys.readouterr().err


def test_truth_must_be_there_and_of_input_views(loo, data, monkeypatch, capsys):
    for time in (0, 2):
        (data / "truth" / "a" / f"{time:05d}.png").rename(data / "truth" / "a" / f"nv_spatial_{5 + time:2d}.png")
    assert go(loo, data, monkeypatch) == 2
    assert "true label maps of input views" in capsys.readouterr().err
    for path in (data / "truth" / "a").iterdir():
        path.unlink()
    assert go(loo, data, monkeypatch) == 2
    assert "true label maps of a, but does not" in capsys.readouterr().err
