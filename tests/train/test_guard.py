"""Losses that are not finite: the run goes back to its last good state with a smaller step size."""

import dataclasses

import pytest
import torch

from saff_fast.errors import UserError
from saff_fast.train.checkpoint import load_checkpoint
from saff_fast.train.guard import FiniteGuard, smaller
from saff_fast.train.run import train
from saff_fast.train.trainer import Trainer
from tests.train.runs import assert_same_state, final_state, metrics


@pytest.fixture
def interrupt(monkeypatch):
    """Interrupts the run after each of these numbers of training steps of a session, in turn."""

    def after(*counts):
        left, train_step = list(counts), Trainer.train_step

        def counted(self):
            result = train_step(self)
            if left and self._session_steps + 1 == left[0]:
                left.pop(0)
                raise KeyboardInterrupt
            return result

        monkeypatch.setattr(Trainer, "train_step", counted)

    return after


def test_the_run_goes_back_and_says_so_once(scene_folder, tmp_path, tiny_config, poison):
    poison(7)
    sentences = []
    train(scene_folder, tmp_path / "run", tiny_config(), notice=sentences.append)
    assert sentences == [
        "Step 8: the losses are not finite. Training goes on from step 5, with 0.5 of the learning rate."
    ]
    checkpoint = load_checkpoint(tmp_path / "run" / "checkpoints")
    assert (checkpoint.step, checkpoint.step_size) == (12, 0.5)
    assert all(tensor.isfinite().all() for tensor in checkpoint.tensors.values())
    log = metrics(tmp_path / "run")
    assert [entry["step"] for entry in log] == list(range(1, 13))
    before, after = log[4]["learning_rate"], log[5]["learning_rate"]
    assert after < 0.7 * before


def test_before_the_first_checkpoint_the_run_begins_anew(scene_folder, tmp_path, tiny_config, poison):
    train(scene_folder, tmp_path / "slow", tiny_config(learning_rate=0.005))
    poison(3)
    train(scene_folder, tmp_path / "run", tiny_config())
    assert_same_state(final_state(tmp_path / "run"), final_state(tmp_path / "slow"))


def test_what_is_looked_at_late_is_not_saved(scene_folder, tmp_path, tiny_config, poison):
    """The loss is read only where something is logged or saved: here at the next checkpoint."""
    poison(6)
    sentences = []
    train(scene_folder, tmp_path / "run", tiny_config(log_every=100), notice=sentences.append)
    assert [sentence[:8] for sentence in sentences] == ["Step 10:"]
    assert all(tensor.isfinite().all() for tensor in final_state(tmp_path / "run").values())


@pytest.mark.parametrize(
    ("step", "interruptions"), [(7, (7,)), (7, (6, 1)), (7, (9,)), (7, (7, 3)), (7, (7, 1, 1, 1)), (8, (7, 1, 2))]
)
def test_where_it_was_interrupted_changes_nothing(
    scene_folder, tmp_path, tiny_config, poison, interrupt, step, interruptions
):
    """Neither before the step that fails nor after going back."""
    poison(step)
    train(scene_folder, tmp_path / "whole", tiny_config())
    interrupt(*interruptions)
    for _ in interruptions:
        with pytest.raises(KeyboardInterrupt):
            train(scene_folder, tmp_path / "run", tiny_config())
    train(scene_folder, tmp_path / "run", tiny_config())
    assert_same_state(final_state(tmp_path / "run"), final_state(tmp_path / "whole"))
    assert load_checkpoint(tmp_path / "run" / "checkpoints").step_size == 0.5


def test_a_state_that_is_not_finite_is_not_saved_when_interrupted(
    scene_folder, tmp_path, tiny_config, poison, interrupt
):
    poison(6)
    interrupt(8)
    with pytest.raises(KeyboardInterrupt):
        train(scene_folder, tmp_path / "run", tiny_config(log_every=100))
    assert load_checkpoint(tmp_path / "run" / "checkpoints").step == 5


def test_in_the_end_it_gives_up(scene_folder, tmp_path, tiny_config, poison):
    poison(7, until=0.0)
    sentences = []
    with pytest.raises(UserError, match=r"at step 8 they are not even with 0\.0625 of the learning rate"):
        train(scene_folder, tmp_path / "run", tiny_config(), notice=sentences.append)
    assert len(sentences) == 4
    assert load_checkpoint(tmp_path / "run" / "checkpoints").step == 5


def test_parameters_are_looked_at_too():
    guard, parameter = FiniteGuard(torch.device("cpu")), torch.ones(3)
    guard.watch(torch.tensor(1.0))
    assert guard.is_sound([parameter])
    parameter[1] = torch.inf
    assert not guard.is_sound([parameter])


def test_a_loss_is_not_forgotten():
    guard = FiniteGuard(torch.device("cpu"))
    for loss in (1.0, torch.nan, 1.0):
        guard.watch(torch.tensor(loss))
    assert not guard.is_sound([])


def test_step_sizes_are_halved_a_few_times():
    assert [smaller(size, 3) for size in (1, 1 / 2, 1 / 4, 1 / 8)] == [1 / 2, 1 / 4, 1 / 8, 1 / 16]
    with pytest.raises(UserError, match=r"lower train\.learning_rate"):
        smaller(1 / 16, 3)


def test_a_checkpoint_without_a_step_size_is_read(scene_folder, tmp_path, tiny_config):
    """As written before there was one."""
    from saff_fast.train.checkpoint import save_checkpoint

    train(scene_folder, tmp_path / "run", tiny_config(steps=5))
    folder = tmp_path / "run" / "checkpoints"
    checkpoint = load_checkpoint(folder)
    save_checkpoint(folder, dataclasses.replace(checkpoint, good_step=None))
    loaded = load_checkpoint(folder)
    assert (loaded.step_size, loaded.good_step) == (1.0, None)
