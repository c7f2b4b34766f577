"""The published schedule, in shares of a run, and what its options refuse."""

import pytest

from saff_fast.config import load_config
from saff_fast.train.config import ExperimentConfig, TrainConfig
from saff_fast.train.published_config import Moment, PublishedLossConfig
from saff_fast.train.schedule import learning_rate

CONFIG = PublishedLossConfig()


def phase(step, steps=370_000, config=CONFIG):
    return config.phase(Moment(step, step / steps))


def test_published_decay():
    assert [phase(step).decay for step in (0, 29_999, 30_000, 360_000)] == pytest.approx([1, 1, 0.1, 1e-12], rel=1e-9)


def test_published_stages():
    assert [phase(step).masked for step in (0, 30_000, 30_001, 369_999)] == [False, False, True, True]
    assert [phase(step).chained for step in (30_001, 60_000, 60_001, 369_999)] == [False, False, True, True]
    assert not phase(369_999, config=PublishedLossConfig(chain_sf=False)).chained


@pytest.mark.parametrize("steps", [3_000, 37_000, 300_000, 370_000])
def test_the_schedule_has_the_same_shape_for_any_length(steps):
    """Stages change, to a step, at the same share of the run."""
    for attribute, share in (("masked", 30 / 370), ("chained", 60 / 370)):
        flips = [step for step in range(1, steps) if getattr(phase(step, steps), attribute)]
        assert abs(flips[0] - share * steps) <= 1.01
        assert len(flips) == steps - flips[0]
    drops = [step for step in range(1, steps) if phase(step, steps).decay < phase(step - 1, steps).decay]
    assert len(drops) == 12
    for number, step in enumerate(drops, start=1):
        assert 0 <= step - number * 30 / 370 * steps < 1


def test_the_chain_alternates_and_begins_backwards():
    assert [phase(step).direction for step in range(4)] == [-1, 1, -1, 1]


def test_published_learning_rate():
    config = load_config(ExperimentConfig, "published")
    assert config.train.steps == 370_000
    rates = [learning_rate(config, Moment(step, step / 370_000)) for step in (0, 300_000, 360_000)]
    assert rates == pytest.approx([5e-4, 5e-5, 5e-4 * 0.1**1.2], rel=1e-5)


def test_all_weights_zero_is_refused():
    with pytest.raises(ValueError, match=r"one of w_render, dino_coe, .* must be above 0, got 0 for all"):
        PublishedLossConfig(**dict.fromkeys(CONFIG.weights, 0.0))


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"w_cycle": -1.0}, "w_cycle must not be negative, got -1.0"),
        ({"w_depth": float("nan")}, "w_depth must not be negative, got nan"),
        ({"noise_std": -0.5}, "noise_std must not be negative, got -0.5"),
        ({"stage": 0.0}, r"stage must be in \(0, 1\], got 0.0"),
    ],
)
def test_bad_options(option, message):
    with pytest.raises(ValueError, match=message):
        PublishedLossConfig(**option)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"warmup_steps": -1}, "warmup_steps must not be negative, got -1"),
        ({"adam_betas": (0.9, 1.0)}, r"adam_betas must be in \[0, 1\), got \(0.9, 1.0\)"),
        ({"adam_eps": 0.0}, "adam_eps must be positive, got 0.0"),
    ],
)
def test_bad_optimiser(option, message):
    with pytest.raises(ValueError, match=message):
        TrainConfig(**option)
