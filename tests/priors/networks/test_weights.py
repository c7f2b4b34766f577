"""Weights as they are saved by various people, and those of the wrong network."""

import pickle

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from saff_fast.errors import UserError
from saff_fast.priors.networks.weights import WeightsSource, load_weights, read_state

SOURCE = WeightsSource("Net", "--net-weights", ("net-1.pth", "net-2.pth"), "owner/net")


@pytest.fixture
def state():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).state_dict()


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"model": state, "optimizer": {"lr": 1.0}},
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {f"module.{key}": value for key, value in state.items()},
    ],
    ids=["bare", "model", "state_dict", "parallel"],
)
def test_parameters_are_found_in_what_wraps_them(tmp_path, state, wrap):
    torch.save(wrap(state), tmp_path / "net.pth")
    found = read_state(tmp_path / "net.pth")
    assert list(found) == list(state)
    torch.testing.assert_close(found["0.weight"], state["0.weight"])


def test_safetensors(tmp_path, state):
    save_file(state, tmp_path / "net.safetensors")
    assert set(read_state(tmp_path / "net.safetensors")) == set(state)


class Malice:
    def __reduce__(self):
        return (print, ("code of the file runs",))


@pytest.mark.parametrize(("name", "content"), [("a.pth", b"no weights"), ("a.pth", b""), ("a.safetensors", b"no")])
def test_a_file_that_is_no_weights(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=r"must be a file of weights .* does not load .* download it again"):
        read_state(tmp_path / name)


def test_a_file_whose_code_would_run(tmp_path, capsys):
    (tmp_path / "a.pth").write_bytes(pickle.dumps(Malice(), protocol=2))
    with pytest.raises(UserError, match="does not load"):
        read_state(tmp_path / "a.pth")
    assert capsys.readouterr().out == ""


def test_a_file_of_something_else(tmp_path):
    torch.save([1, 2], tmp_path / "a.pth")
    with pytest.raises(UserError, match="must hold the parameters of a network by name"):
        read_state(tmp_path / "a.pth")


def test_loaded_weights_are_those_of_the_file_and_ready_for_use(tmp_path, state):
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    del state["1.num_batches_tracked"]  # as in files of old
    load_weights(module, state, tmp_path, "Net")
    torch.testing.assert_close(module[0].weight.detach(), state["0.weight"])
    assert not module[1].training
    assert not module[0].weight.requires_grad


def test_weights_of_another_network_are_named(tmp_path, state):
    state |= {f"extra.{i}": torch.zeros(1) for i in range(5)}
    del state["0.bias"]
    state["1.weight"] = torch.zeros(8, 2)
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    before = module[0].weight.clone()
    with pytest.raises(UserError) as caught:
        load_weights(module, state, tmp_path / "b.pth", "Net")
    assert str(caught.value) == (
        f"{tmp_path / 'b.pth'} must hold the weights of Net, but 1 parameters are missing (0.bias), 5 parameters are "
        "not of this network (extra.0, extra.1, extra.2, ...), 1 parameters are of another shape "
        "(1.weight 8 x 2 instead of 4); pass another file."
    )
    torch.testing.assert_close(module[0].weight, before)


def test_weights_are_found_in_local_caches(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    assert SOURCE.find() is None
    snapshot = tmp_path / "hf" / "hub" / "models--owner--net" / "snapshots" / "abc" / "model.safetensors"
    snapshot.parent.mkdir(parents=True)
    snapshot.touch()
    assert SOURCE.find() == snapshot
    cached = tmp_path / "torch" / "hub" / "checkpoints" / "net-2.pth"
    cached.parent.mkdir(parents=True)
    cached.touch()
    assert SOURCE.find() == cached
    cached.with_name("net-1.pth").touch()
    assert SOURCE.find() == cached.with_name("net-1.pth")


def test_how_to_get_weights():
    assert SOURCE.how_to_get() == (
        "put net-1.pth or net-2.pth in ~/.cache/torch/hub/checkpoints, or owner/net in the Hugging Face cache, "
        "or pass the file with --net-weights"
    )
    assert WeightsSource("Net", "--net-weights").how_to_get() == "pass the file with --net-weights"
