"""Schedules by steps and by time."""

import math
from types import SimpleNamespace

import pytest

from saff_fast.train import schedule, trainer
from saff_fast.train.checkpoint import load_checkpoint
from saff_fast.train.config import ExperimentConfig, TrainConfig
from saff_fast.train.published_config import Moment
from saff_fast.train.run import train
from saff_fast.train.schedule import Stopwatch, learning_rate, share_done
from saff_fast.train.trainer import Trainer
from tests.train.runs import metrics


@pytest.fixture
def clock(monkeypatch):
    """A clock that only goes on when told to; `clock.now` in seconds."""
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(schedule, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


@pytest.fixture
def second_a_step(clock, monkeypatch):
    """Each training step takes a second."""
    train_step = Trainer.train_step

    def slow(self):
        result = train_step(self)
        clock.now += 1
        return result

    monkeypatch.setattr(Trainer, "train_step", slow)
    return clock


def test_the_rate_has_one_shape_however_long_the_run():
    short, long = (ExperimentConfig(train=TrainConfig(steps=steps)) for steps in (3_000, 300_000))
    for share in (0.1, 0.5, 0.9, 1.0):
        rates = [
            learning_rate(c, Moment(step, share_done(c.train, step, 0.0)))
            for c, step in ((short, int(share * 3_000)), (long, int(share * 300_000)))
        ]
        assert math.isclose(*rates)
    assert math.isclose(rates[0], 0.01 * 0.15)


def test_the_rate_warms_up():
    config = ExperimentConfig(train=TrainConfig(learning_rate_end=1.0))
    assert [round(100 * learning_rate(config, Moment(step, 0.0)), 3) for step in (0, 9, 19, 500)] == [
        0.05,
        0.5,
        1.0,
        1.0,
    ]


def test_time_takes_the_place_of_steps():
    config = TrainConfig(steps=100, time_budget=60.0)
    assert [share_done(config, 99, seconds) for seconds in (0, 15, 60, 90)] == [0, 0.25, 1, 1]
    assert share_done(TrainConfig(steps=100), 25, 90.0) == 0.25


def test_the_watch_counts_all_sessions_but_not_pauses(clock):
    watch = Stopwatch(5.0)
    clock.now = 100.0
    assert watch.seconds == 5
    watch.start()
    clock.now += 2
    with watch.paused():
        clock.now += 50
    clock.now += 1
    assert (watch.session_seconds, watch.seconds) == (3, 8)


def test_a_budget_is_trained_to_its_end(scene_folder, tmp_path, tiny_config, second_a_step):
    config, reported = tiny_config(time_budget=10.0, steps=1), []
    train(scene_folder, tmp_path / "run", config, reported.append)
    assert load_checkpoint(tmp_path / "run" / "checkpoints").step == 10
    rates = [entry["learning_rate"] for entry in metrics(tmp_path / "run")]
    assert math.isclose(rates[-1], learning_rate(config, Moment(9, 0.9)), rel_tol=1e-6)
    assert [progress.steps for progress in reported] == [None] * 10
    assert [round(progress.seconds_left) for progress in reported] == list(range(9, -1, -1))


def test_a_resumed_run_has_what_is_left_of_its_budget(scene_folder, tmp_path, tiny_config, second_a_step):
    def interrupt(progress):
        if progress.step == 4:
            raise KeyboardInterrupt

    run, config = tmp_path / "run", tiny_config(time_budget=10.0)
    with pytest.raises(KeyboardInterrupt):
        train(scene_folder, run, config, interrupt)
    second_a_step.now += 1000
    train(scene_folder, run, config)
    checkpoint = load_checkpoint(run / "checkpoints")
    assert (checkpoint.step, checkpoint.seconds) == (10, 10)
    train(scene_folder, run, config)
    assert load_checkpoint(run / "checkpoints").step == 10


def test_a_budget_too_short_for_a_step_gives_one(scene_folder, tmp_path, tiny_config, second_a_step):
    sentences = []
    train(scene_folder, tmp_path / "run", tiny_config(time_budget=0.3), notice=sentences.append)
    assert load_checkpoint(tmp_path / "run" / "checkpoints").step == 1
    assert sentences == ["The time budget of 0.3 s was over after one step."]


def test_previews_take_no_time_of_the_run(scene_folder, tmp_path, tiny_config, second_a_step, monkeypatch):
    make = trainer.preview

    def slow(*arguments):
        second_a_step.now += 100
        return make(*arguments)

    monkeypatch.setattr(trainer, "preview", slow)
    train(scene_folder, tmp_path / "run", tiny_config(time_budget=6.0, preview_every=2))
    assert load_checkpoint(tmp_path / "run" / "checkpoints").step == 6
    assert len(list((tmp_path / "run" / "preview").iterdir())) == 3
