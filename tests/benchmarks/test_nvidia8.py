"""Scenes and seeds as Ray tasks: what is done, what is left, what fails."""

import importlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from saff_fast.preparation import prepare_synthetic
from tests.benchmarks.tiny_run import TINY

FOLDER = Path(__file__).resolve().parent.parent.parent / "benchmarks"


@pytest.fixture
def nvidia8(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    return importlib.import_module("nvidia8")


@pytest.fixture
def settings(nvidia8, tmp_path):
    return nvidia8.Settings(tmp_path / "out", "demo", ("train.steps=3",), True, None, 1)


def test_steps_of_a_task(nvidia8, settings, tmp_path):
    task = nvidia8.Task(tmp_path / "Umbrella", 2)
    steps = nvidia8.commands(task, settings)
    assert list(steps) == ["train", "render", "segment", "postprocess", "evaluate"]
    run = str(tmp_path / "out" / "Umbrella_seed2")
    assert all(run in arguments for arguments in steps.values())
    assert steps["train"][-6:] == ["--preset", "demo", "--seed", "2", "--set", "train.steps=3"]
    assert steps["train"][1] == str(tmp_path / "out" / "scenes" / "Umbrella")
    assert steps["postprocess"][-1] == "--crf"
    (task.source).mkdir()
    (task.source / "poses_bounds.npy").touch()
    assert nvidia8.commands(task, settings)["train"][1] == str(task.source), "prepared already"


@pytest.fixture
def recorded(nvidia8, settings, monkeypatch):
    """Steps that write what they would, in a list instead of running."""
    calls = []

    def step(arguments, threads):
        calls.append(arguments[0])
        run = settings.out / "Umbrella_seed0"
        run.mkdir(parents=True, exist_ok=True)
        (run / "results.json").write_text('{"protocol": "saff-clean", "splits": {"input": {"psnr": 30.0}}}')
        return "saff-fast: no" if arguments[0] == calls_fail[0] else ""

    calls_fail = [""]
    monkeypatch.setattr(nvidia8, "step", step)
    return calls, calls_fail


def test_a_failure_ends_its_task_and_the_next_go_resumes_there(nvidia8, settings, recorded, tmp_path):
    calls, failing = recorded
    task = nvidia8.Task(tmp_path / "Umbrella", 0)
    failing[0] = "segment"
    outcome = nvidia8.work(task, settings)
    assert (outcome.failed, outcome.reason, calls) == ("segment", "saff-fast: no", ["train", "render", "segment"])
    assert list(outcome.seconds) == ["train", "render"]
    calls.clear()
    failing[0] = ""
    assert nvidia8.work(task, settings).results["splits"]["input"]["psnr"] == 30
    assert calls == ["segment", "postprocess", "evaluate"]
    calls.clear()
    assert list(nvidia8.work(task, settings).seconds) == ["train", "render", "segment", "postprocess", "evaluate"]
    assert calls == []


def test_a_step_is_a_process_with_its_threads_and_its_last_words(nvidia8, monkeypatch):
    started = []

    def run(command, *, env, **options):
        started.append((command[1:], env["OMP_NUM_THREADS"]))
        return SimpleNamespace(returncode=2 * (command[-1] == "bad"), stderr="one\nsaff-fast: no\n", stdout="")

    monkeypatch.setattr(nvidia8.subprocess, "run", run)
    assert nvidia8.step(["render", "good"], 3) == ""
    assert nvidia8.step(["render", "bad"], 1) == "saff-fast: no"
    assert started == [
        (["-P", "-m", "saff_fast", "render", "good"], "3"),
        (["-P", "-m", "saff_fast", "render", "bad"], "1"),
    ]


def test_changed_arguments_redo_a_step_and_all_after_it(nvidia8, settings, recorded, tmp_path):
    calls, _ = recorded
    task = nvidia8.Task(tmp_path / "Umbrella", 0)
    nvidia8.work(task, settings)
    calls.clear()
    nvidia8.work(task, replace(settings, crf=False))
    assert calls == ["postprocess", "evaluate"]


def test_report_has_scores_seconds_and_failures(nvidia8, settings):
    good = {"protocol": "saff-clean", "splits": {"input": {"psnr": 30.0}}}
    outcomes = [
        nvidia8.Outcome("A_seed0", "A", 0, {"train": 12.0}, results=good),
        nvidia8.Outcome("B_seed0", "B", 0, {}, "render", "saff-fast: no memory."),
    ]
    text = nvidia8.report(outcomes, settings)
    assert text.startswith("# 1 of 2 tasks, preset demo\n")
    assert "| seed 0 | A | 30.00 |" in text
    assert "| A_seed0 | 12 |" in text
    assert "- B_seed0: render failed: saff-fast: no memory.\n" in text


@pytest.mark.slow
def test_the_synthetic_scene_with_three_seeds_on_a_local_cluster(tmp_path):
    pytest.importorskip("ray", reason="Ray is not installed")
    prepare_synthetic(tmp_path / "scene", 36, 64, 6)
    command = [sys.executable, str(FOLDER / "nvidia8.py"), str(tmp_path / "scene"), str(tmp_path / "absent")]
    command += ["--out", str(tmp_path / "out"), "--seeds", "0", "1", "2", "--local-cpus", "2", "--set", *TINY]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert [(task["task"], task["failed"]) for task in report] == [
        *((f"scene_seed{seed}", "") for seed in range(3)),
        *((f"absent_seed{seed}", "prepare") for seed in range(3)),
    ], done.stderr + json.dumps(report, indent=1)
    assert all("absent" in task["reason"] for task in report[3:])
    scores = [task["results"]["splits"]["input"]["psnr"] for task in report[:3]]
    assert len(set(scores)) == 3, "seeds differ"
    text = (tmp_path / "out" / "report.md").read_text()
    assert "# 3 of 6 tasks" in text
    records = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*/steps.json")}
    assert len(records) == 3
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert again.returncode == 1
    assert {path: path.stat().st_mtime_ns for path in records} == records, "nothing is done twice"
