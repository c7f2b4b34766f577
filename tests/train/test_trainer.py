"""Training: it learns, it is deterministic, and neither SIGINT nor SIGKILL changes where it ends."""

import dataclasses
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from saff_fast.config import dump_config
from saff_fast.errors import UserError
from saff_fast.train.checkpoint import load_checkpoint
from saff_fast.train.config import TrainConfig
from saff_fast.train.run import train
from saff_fast.train.run_folder import read_meta
from saff_fast.train.schedule import sweeps_after
from tests.train.runs import assert_same_state, final_state, metrics


def test_a_hundred_steps_lower_the_losses(scene_folder, tmp_path, tiny_config):
    train(scene_folder, tmp_path / "run", tiny_config(steps=100, first_sweep=1000))
    log = metrics(tmp_path / "run")
    # Saliency is left out: it starts at its mean here, and so small a field gets no further.
    for term in ("rgb", "semantic", "depth", "dynamic_rgb", "next_rgb", "previous_rgb"):
        first, last = (sum(entry["loss"][term] for entry in part) for part in (log[:5], log[-5:]))
        assert last < first, term


def test_the_same_seed_gives_the_same_bits(scene_folder, finished, tmp_path, config):
    train(scene_folder, tmp_path / "again", config)
    assert_same_state(final_state(tmp_path / "again"), final_state(finished))


def test_a_finished_run_is_left_with_the_cells_that_are_seen(finished, config):
    state = final_state(finished)
    seen = state["occupancy.static_weight"] > 0.5 * config.occupancy.static_threshold
    left = state["occupancy.static_candidates"].flatten()
    assert left.any()
    assert not seen.all(), "what was remembered before the last look is forgotten"
    assert not (left & ~seen).any()


def test_a_run_says_where_and_by_what_it_was_computed(finished, config):
    resolved = config.backend.resolved("cpu")
    assert resolved.encoding == "native"
    assert read_meta(finished)["backend"] == dataclasses.asdict(resolved)
    facts = load_checkpoint(finished / "checkpoints").facts
    assert (facts["device"], facts["backend"]) == ("cpu", dataclasses.asdict(resolved))


def test_another_seed_gives_other_bits(scene_folder, finished, tmp_path, tiny_config):
    train(scene_folder, tmp_path / "other", tiny_config(seed=1))
    name = "field.static.grid.table"
    assert not torch.equal(final_state(tmp_path / "other")[name], final_state(finished)[name])


def test_interrupted_and_resumed_ends_in_the_same_bits(scene_folder, finished, tmp_path, config):
    def interrupt(progress):
        if progress.step == 7:  # between two checkpoints and after a sweep
            raise KeyboardInterrupt

    run = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train(scene_folder, run, config, interrupt)
    assert load_checkpoint(run / "checkpoints").step == 7
    train(scene_folder, run, config)
    assert_same_state(final_state(run), final_state(finished))
    assert [entry["step"] for entry in metrics(run)] == list(range(1, 13))


@pytest.mark.slow
@pytest.mark.parametrize("attempt", range(3))
def test_killed_at_random_moments_ends_in_the_same_bits(scene_folder, finished, tmp_path, attempt, tiny_config):
    (tmp_path / "tiny.toml").write_text(dump_config(tiny_config()))
    run = tmp_path / "run"
    command = [Path(sys.executable).parent / "saff-fast", "train", scene_folder, "--out", run, "--preset", "demo"]
    command += ["--config", tmp_path / "tiny.toml"]
    environment = os.environ | {"OMP_NUM_THREADS": "2"}
    generator = random.Random(attempt)
    for signal_number in (signal.SIGKILL, signal.SIGINT, signal.SIGKILL):
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while not (run / "metrics.jsonl").exists() and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.02)
        time.sleep(generator.uniform(0.0, 0.6))
        process.send_signal(signal_number)
        process.wait(timeout=60)
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=120)
    assert_same_state(final_state(run), final_state(finished))


def test_held_out_frames_are_never_drawn(scene_folder, tmp_path, tiny_config):
    from saff_fast.scene.reader import read_scene
    from saff_fast.train.trainer import Trainer

    trainer = Trainer(read_scene(scene_folder, 36), tmp_path, tiny_config(hold_out=(2, 3)))
    drawn = torch.cat([trainer.sampler.sample(step, 500, 200)[0].frames for step in range(4)])
    assert set(drawn.tolist()) == {0, 1, 4, 5}


@pytest.mark.parametrize(("held_out", "message"), [((6,), "frames 0 to 5, got 6"), ((0, 1, 2), "fewer than 4")])
def test_bad_hold_out(scene_folder, tmp_path, held_out, message, tiny_config):
    with pytest.raises(UserError, match=message):
        train(scene_folder, tmp_path / "run", tiny_config(hold_out=held_out))
    assert not (tmp_path / "run").exists()


def test_another_configuration_is_refused(scene_folder, finished, config):
    before = final_state(finished)
    changed = dataclasses.replace(config, train=dataclasses.replace(config.train, learning_rate=0.02))
    with pytest.raises(UserError, match=r"another configuration \(train.learning_rate: 0.01 there, 0.02 asked\)"):
        train(scene_folder, finished, changed)
    assert_same_state(final_state(finished), before)


def test_a_folder_with_other_files_is_refused(scene_folder, tmp_path, config):
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(UserError, match="holds other files"):
        train(scene_folder, tmp_path, config)
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_one_process_at_a_time_trains_a_run(scene_folder, tmp_path, config):
    from saff_fast.train.run_folder import open_run, sole_writer

    run = tmp_path / "run"
    open_run(run, scene_folder, config, {})
    with sole_writer(run), pytest.raises(UserError, match="another process is training this run"):
        train(scene_folder, run, config)
    train(scene_folder, run, config)
    assert load_checkpoint(run / "checkpoints").step == config.train.steps


def test_sweeps_become_rarer():
    config = TrainConfig(sweep_every=50, first_sweep=100)
    sweeps = [step for step in range(1, 801) if sweeps_after(config, step)]
    assert sweeps == [*range(100, 501, 50), 600, 700, 800]
