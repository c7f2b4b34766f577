"""Checkpoints survive what can happen to them."""

import resource

import pytest
import torch

from saff_fast.errors import UserError
from saff_fast.train.checkpoint import Checkpoint, load_checkpoint, save_checkpoint


def checkpoint(step, size=10):
    return Checkpoint(step, 1.5, {"scene": "s"}, {"a": torch.full((size,), float(step))})


def test_round_trip(tmp_path):
    save_checkpoint(tmp_path, checkpoint(3))
    loaded = load_checkpoint(tmp_path)
    assert (loaded.step, loaded.seconds, loaded.facts) == (3, 1.5, {"scene": "s"})
    assert torch.equal(loaded.tensors["a"], torch.full((10,), 3.0))


def test_none_without_a_pointer(tmp_path):
    assert load_checkpoint(tmp_path) is None


def test_two_are_kept_and_the_last_is_loaded(tmp_path):
    for step in (1, 2, 3):
        save_checkpoint(tmp_path, checkpoint(step))
    assert len(list(tmp_path.glob("step_*.safetensors"))) == 2
    assert load_checkpoint(tmp_path).step == 3


def test_a_full_disk_leaves_the_previous_checkpoint(tmp_path):
    save_checkpoint(tmp_path, checkpoint(1))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
        with pytest.raises(UserError, match="could not be written"):
            save_checkpoint(tmp_path, checkpoint(2, size=100_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert load_checkpoint(tmp_path).step == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["latest", "step_00000001.safetensors"]


def test_a_damaged_checkpoint_is_named(tmp_path):
    save_checkpoint(tmp_path, checkpoint(1))
    path = tmp_path / "step_00000001.safetensors"
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(UserError, match=r"step_00000001\.safetensors"):
        load_checkpoint(tmp_path)
