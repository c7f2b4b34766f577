"""The rays of a step are as many as the memory allows."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from saff_fast.config import dump_config
from saff_fast.errors import UserError
from saff_fast.train import memory_limit, trainer
from saff_fast.train.checkpoint import load_checkpoint
from saff_fast.train.memory_limit import Beside, fitting_rays
from saff_fast.train.run import train
from tests.train.runs import assert_same_state, final_state, metrics

GIB = 2**30
STATUS = Path("/proc/self/status").read_text() if Path("/proc/self/status").is_file() else ""
CPU = torch.device("cpu")


class Machine:
    """A process that holds `held` GiB, and `per_ray` more a ray while it computes a step."""

    def __init__(self, monkeypatch, held, per_ray):
        self.held, self.per_ray, self.most, self.tried = held, per_ray, held, []
        monkeypatch.setattr(memory_limit, "bytes_in_use", lambda device: self.held * GIB)
        monkeypatch.setattr(memory_limit, "peak", lambda device: self.most * GIB)

    def step(self, n_rays):
        self.tried.append(n_rays)
        self.most = max(self.most, self.held + n_rays * self.per_ray)


def test_all_rays_if_they_fit(monkeypatch):
    machine = Machine(monkeypatch, 1.0, 0.001)
    assert fitting_rays(8.0, 3000, Beside(CPU, 0), machine.step) == 3000
    assert machine.tried == [64, 128, 256, 512, 1024, 2048, 3000]


@pytest.mark.parametrize(("limit", "reserve"), [(2.5, 0), (4.0, GIB), (1.2, 0)])
def test_what_fits_is_found_without_exceeding_the_limit(monkeypatch, limit, reserve):
    machine = Machine(monkeypatch, 1.0, 0.001)
    n_rays = fitting_rays(limit, 10_000, Beside(CPU, reserve), machine.step)
    room = limit - 1 - reserve / GIB
    assert n_rays == pytest.approx(1000 * room / 1.25, abs=1)
    assert machine.most + reserve / GIB <= limit


def test_an_earlier_peak_is_no_reason_to_exceed_the_limit(monkeypatch):
    """Reading the scene took more than it holds now, which hides what small steps take."""
    machine = Machine(monkeypatch, 1.0, 0.001)
    machine.most = 1.5
    n_rays = fitting_rays(3.0, 10_000, Beside(CPU, 0), machine.step)
    assert 1 + n_rays * 0.001 <= 3.0
    assert machine.most <= 3.0
    assert n_rays >= 1500


@pytest.mark.parametrize(("held", "most"), [(1.0, 3.0), (1.95, 1.95)])
def test_too_little_is_refused(monkeypatch, held, most):
    """Where reading the scene took more, and where the fewest rays do."""
    machine = Machine(monkeypatch, held, 0.001)
    machine.most = most
    needed = max(most, held + 1.25 * 0.064)
    with pytest.raises(UserError, match=rf"--max-memory must be at least {needed:.2f}G .* got 2G"):
        fitting_rays(2.0, 3000, Beside(CPU, 0), machine.step)


def test_a_limit_that_is_kept_changes_nothing(scene_folder, tmp_path, tiny_config, finished):
    train(scene_folder, tmp_path / "run", tiny_config(max_memory=1000.0))
    assert_same_state(final_state(tmp_path / "run"), final_state(finished))


def test_a_resumed_run_keeps_its_rays(scene_folder, tmp_path, tiny_config, monkeypatch):
    run, config, sentences = tmp_path / "run", tiny_config(max_memory=1.0), []
    monkeypatch.setattr(trainer, "fitting_rays", lambda *_: 100)

    def interrupt(progress):
        if progress.step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(scene_folder, run, config, interrupt, sentences.append)
    assert sentences == ["A step has 100 rays in place of 256, to stay within --max-memory."]
    monkeypatch.setattr(trainer, "fitting_rays", lambda *_: 10)
    train(scene_folder, run, config)
    assert load_checkpoint(run / "checkpoints").facts["rays"] == 100
    monkeypatch.setattr(trainer, "fitting_rays", lambda *_: 100)
    train(scene_folder, tmp_path / "whole", config)
    assert_same_state(final_state(run), final_state(tmp_path / "whole"))
    assert len(metrics(run)) == 12


PEAK = """
import json, os, sys
import torch
from saff_fast.train.memory_limit import peak
"""
LARGE = (
    PEAK
    + """
held = b"x" * 2**29
before = peak(torch.device("cpu"))
os.execv(sys.executable, [sys.executable, "-c", sys.argv[1], json.dumps(before)])
"""
)
MEASURED = (
    PEAK
    + """
from saff_fast.cli.main import main
code = main(sys.argv[1:])
print(json.dumps({"code": code, "peak": peak(torch.device("cpu"))}))
"""
)


@pytest.mark.skipif("VmHWM" not in STATUS, reason="the kernel keeps no mark of its own")
def test_the_peak_is_that_of_this_program():
    """Not of what started it."""
    says = PEAK + "print(json.dumps([float(sys.argv[1]), peak(torch.device('cpu'))]))"
    done = subprocess.run([sys.executable, "-c", LARGE, says], capture_output=True, text=True, check=True)
    before, after = json.loads(done.stdout)
    assert before > 2**29
    assert after < before - 2**28


@pytest.mark.slow
def test_a_process_stays_within_its_limit(scene_folder, tmp_path, tiny_config):
    config = tiny_config(steps=6)
    config = replace(config, train=replace(config.train, rays=150_000, moving_rays=40_000))
    (tmp_path / "wide.toml").write_text(dump_config(config))

    def measured(name, *options):
        arguments = ["train", scene_folder, "--out", tmp_path / name, "--config", tmp_path / "wide.toml", *options]
        command = [sys.executable, "-c", MEASURED, *map(str, arguments), "--preset", "demo", "--device", "cpu"]
        finished = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
        return json.loads(finished.stdout.splitlines()[-1]), finished.stderr

    free, _ = measured("free")
    refused, error = measured("refused", "--max-memory", "100M")
    assert refused["code"] == 2
    least = float(re.search(r"--max-memory must be at least (\S+)G", error)[1]) * 2**30
    limit = (least + free["peak"]) / 2
    bound, error = measured("bound", "--max-memory", f"{int(limit / 2**20)}M")
    assert (free["code"], bound["code"]) == (0, 0), error
    assert bound["peak"] <= limit < free["peak"]
    assert load_checkpoint(tmp_path / "bound" / "checkpoints").facts["rays"] > 10_000
