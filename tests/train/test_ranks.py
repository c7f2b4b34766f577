"""Several processes train a run as one does, and end together."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from saff_fast.config import dump_config
from saff_fast.errors import UserError
from saff_fast.scene.reader import read_scene
from saff_fast.train import batch, frames
from saff_fast.train.checkpoint import load_checkpoint
from saff_fast.train.run import train
from saff_fast.train.trainer import Trainer
from tests.train.runs import final_state, metrics

COMMAND = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]


def start(n_ranks, scene, run, config):
    """`torchrun` of a configuration, with pipes for what it says."""
    file = run.parent / f"{run.name}.toml"
    file.write_text(dump_config(config))
    command = [*COMMAND, str(n_ranks), "-m", "saff_fast", "train", scene, "--out", run, "--config", file]
    command += ["--preset", "demo", "--device", "cpu"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process, seconds=120):
    """Exit code and what it said, once it has ended."""
    try:
        out, error = process.communicate(timeout=seconds)
    finally:
        process.kill()
    return process.returncode, out, error


def wait_for_step(run, step, process, seconds=90):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        if (run / "metrics.jsonl").exists() and any(entry["step"] >= step for entry in _whole_lines(run)):
            return
        time.sleep(0.05)
    raise AssertionError(f"step {step} was not reached: {process.communicate(timeout=5)}")


def _whole_lines(run):
    lines = (run / "metrics.jsonl").read_text().split("\n")[:-1]
    return [json.loads(line) for line in lines]


def process_of_rank(parent, rank):
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    (found,) = [int(c) for c in children if f"RANK={rank}" in Path(f"/proc/{c}/environ").read_text().split("\0")]
    return found


def distance(actual, expected):
    """Norm of the difference, in that of what is expected."""
    expected = expected.double()
    return float((actual.double() - expected).norm() / expected.norm().clamp_min(1e-12))


@pytest.fixture(scope="module")
def pair(scene_folder, tmp_path_factory, tiny_config):
    """The same run by one process and by two: eight steps, two sweeps, a frame held out."""
    folder = tmp_path_factory.mktemp("ranks")
    config = tiny_config(steps=8, hold_out=(2,), device="cpu", preview_every=4)
    train(scene_folder, folder / "one", config)
    code, out, error = ended(start(2, scene_folder, folder / "two", config))
    assert code == 0, error
    assert out.count("Trained:") == 1
    return folder / "one", folder / "two"


@pytest.mark.slow
def test_two_processes_train_what_one_does(pair):
    expected, actual = (final_state(run) for run in pair)
    assert actual.keys() == expected.keys()
    for name in expected:
        if name.startswith("field."):
            assert distance(actual[name], expected[name]) < 1e-5, name
        elif name.startswith("textures."):
            torch.testing.assert_close(actual[name], expected[name], atol=2e-3, rtol=2e-3)  # float16 of rounding
        elif not name.startswith(("optimiser.", "occupancy.")):
            assert torch.equal(actual[name], expected[name]), name
    seen = [state["occupancy.static_weight"] for state in (actual, expected)]
    torch.testing.assert_close(*seen)


@pytest.mark.slow
def test_two_processes_log_what_one_does(pair):
    one, two = (metrics(run) for run in pair)
    assert [entry["step"] for entry in two] == list(range(1, 9))
    for expected, actual in zip(one, two, strict=True):
        assert actual["loss"].keys() == expected["loss"].keys()
        for name, value in expected["loss"].items():
            assert actual["loss"][name] == pytest.approx(value, rel=1e-5, abs=1e-8), (expected["step"], name)
        for name in ("psnr", "samples_per_ray", "dynamic_samples_per_ray"):
            assert actual[name] == pytest.approx(expected[name], rel=1e-5), name


@pytest.mark.slow
def test_a_process_may_have_no_moving_rays(scene_folder, tmp_path, tiny_config):
    """Of few rays, one that is drawn where things move: the other process has none, and no term of theirs."""
    config = tiny_config(steps=3, device="cpu")
    config = replace(config, train=replace(config.train, rays=40, moving_rays=1))
    train(scene_folder, tmp_path / "one", config)
    code, _, error = ended(start(2, scene_folder, tmp_path / "two", config), seconds=60)
    assert code == 0, error
    expected, actual = (final_state(tmp_path / name) for name in ("one", "two"))
    for name in expected:
        if name.startswith("field."):
            assert distance(actual[name], expected[name]) < 1e-5, name


@pytest.mark.slow
def test_only_the_first_writes(pair):
    one, two = ({path.relative_to(run) for path in run.rglob("*") if path.is_file()} for run in pair)
    assert one == two


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_a_killed_process_ends_the_others(scene_folder, tmp_path, tiny_config, rank):
    run, config = tmp_path / "run", tiny_config(steps=100_000, log_every=1)
    process = start(2, scene_folder, run, config)
    wait_for_step(run, 12, process)
    os.kill(process_of_rank(process.pid, rank), signal.SIGKILL)
    code, _, error = ended(process, seconds=60)
    assert code != 0
    told = [line for line in error.splitlines() if line.startswith("saff-fast:")]
    assert len(told) == 1, error
    assert "another one has ended" in told[0]
    checkpoint = load_checkpoint(run / "checkpoints")
    assert checkpoint.step >= 10
    assert all(tensor.isfinite().all() for tensor in checkpoint.tensors.values())


@pytest.mark.slow
def test_what_two_began_one_ends(scene_folder, tmp_path, tiny_config):
    """Only one of them is told to stop: both do, after the same step."""
    run, config = tmp_path / "run", tiny_config(steps=150, log_every=1, checkpoint_every=1000)
    process = start(2, scene_folder, run, config)
    wait_for_step(run, 3, process)
    os.kill(process_of_rank(process.pid, 1), signal.SIGTERM)
    assert ended(process)[0] != 0
    stopped = load_checkpoint(run / "checkpoints").step
    assert 3 <= stopped < 150
    code, _, error = ended(start(1, scene_folder, run, config))
    assert code == 0, error
    assert load_checkpoint(run / "checkpoints").step == 150
    assert [entry["step"] for entry in metrics(run)] == list(range(1, 151))


@pytest.mark.slow
def test_a_mistake_is_told_once(tmp_path, tiny_config):
    code, _, error = ended(start(2, tmp_path / "absent", tmp_path / "run", tiny_config()))
    assert code != 0
    assert error.count("saff-fast: ") == 1, error
    assert "absent must be a scene folder" in error


def test_more_processes_than_frames(scene_folder, tmp_path, tiny_config, monkeypatch):
    monkeypatch.setattr(frames, "n_ranks", lambda: 5)
    with pytest.raises(UserError, match=r"there are 5 for 4 trained frames; start at most 4"):
        train(scene_folder, tmp_path / "run", tiny_config(hold_out=(2, 3)))
    assert not (tmp_path / "run").exists()


def test_batches_of_all_processes_are_the_batch_of_one(scene_folder, tmp_path, tiny_config, monkeypatch):
    """Whole frames each, in the same order, those drawn where things move first."""
    training = Trainer(read_scene(scene_folder, 36), tmp_path, tiny_config(hold_out=(2,)))
    whole, generator = training.batch(3, 300, 100)
    after = torch.rand(4, generator=generator)
    monkeypatch.setattr(batch, "n_ranks", lambda: 2)
    parts = []
    for own in ([0, 3, 5], [1, 4]):
        part, generator = batch.draw_batch(training.sampler, 3, (300, 100), own, ())
        assert torch.equal(torch.rand(4, generator=generator), after)
        rows = torch.isin(whole.targets.frames, torch.tensor(own)).nonzero().flatten()
        assert torch.equal(part.jitter, whole.jitter[rows])
        assert torch.equal(part.targets.pixels, whole.targets.pixels[rows])
        assert part.n_moving == int((rows < 100).sum())
        parts.append(len(part.jitter))
    assert sum(parts) == 300
