"""Training and rendering on a device other than the CPU: same values, nothing on the wrong device, few waits."""

import dataclasses

import pytest
import torch

from saff_fast.backends import BackendConfig
from saff_fast.scene.reader import read_scene
from saff_fast.train import rendering, trainer
from saff_fast.train.checkpoint import load_checkpoint
from saff_fast.train.rendering import load_run, render_view
from saff_fast.train.trainer import Trainer, train
from tests.pretend_device import DEVICE, PretendDevice, PretendTensor

CPU = torch.device("cpu")
BACKENDS = {
    "native": BackendConfig(encoding="native", mlp="native"),
    "torch": BackendConfig(encoding="torch", mlp="torch"),
}
WAITS = {
    ("_pack", "_to_copy"): 1,  # how many samples there are
    ("_moving_part", "_local_scalar_dense"): 1,  # how many of them are dynamic ones of the first rays
}
"""What a training step waits for a GPU for."""


@pytest.fixture
def on_device(monkeypatch):
    """Sets where training and rendering take place; the backends run on the pretended device too, and Adam, unfused."""

    def move(device):
        for module in (trainer, rendering):
            monkeypatch.setattr(module, "resolve_device", lambda name: device)

    monkeypatch.setattr(BackendConfig, "resolved", lambda self, device_type: self)
    monkeypatch.setattr(
        trainer,
        "_optimiser",
        lambda model, config: torch.optim.Adam(model.field.parameters(), lr=1e-2, eps=1e-15, foreach=False),
    )
    return move


@pytest.fixture(params=BACKENDS.values(), ids=BACKENDS.keys())
def with_backend(request, tiny_config):
    return lambda **train: dataclasses.replace(tiny_config(**train), backend=request.param)


def test_a_run_is_the_same_on_both_devices(scene_folder, tmp_path, on_device, with_backend):
    """Resumed on the other device, too: the last steps of the second run are done on the CPU."""
    config = with_backend(hold_out=(2,))

    def interrupt(progress):
        if progress.step == 9:  # after two sweeps
            raise KeyboardInterrupt

    on_device(CPU)
    train(scene_folder, tmp_path / "cpu", config)
    on_device(DEVICE)
    with PretendDevice(), pytest.raises(KeyboardInterrupt):
        train(scene_folder, tmp_path / "device", config, interrupt)
    on_device(CPU)
    train(scene_folder, tmp_path / "device", config)
    expected, actual = (load_checkpoint(tmp_path / name / "checkpoints").tensors for name in ("cpu", "device"))
    assert [name for name in expected if not torch.equal(actual[name], expected[name])] == []


def test_a_view_is_the_same_on_both_devices(scene_folder, tmp_path, on_device, with_backend):
    """At an untrained time, so that scene flow has carried occupancy there."""
    on_device(CPU)
    train(scene_folder, tmp_path / "run", with_backend(hold_out=(2,), first_sweep=100))
    expected = render_view(load_run(tmp_path / "run"), 2, 2)
    on_device(DEVICE)
    with PretendDevice():
        view = render_view(load_run(tmp_path / "run"), 2, 2)
        assert isinstance(view.rgb, PretendTensor)
        actual = view.to("cpu")
    for name, value in vars(expected).items():
        assert torch.equal(getattr(actual, name), value), name


def test_a_step_waits_for_the_device_only_where_it_must(scene_folder, tmp_path, on_device, with_backend):
    on_device(DEVICE)
    with PretendDevice() as device:
        training = Trainer(read_scene(scene_folder, 36).to(DEVICE), tmp_path, with_backend())
        device.waits.clear()
        terms, statistics = training.train_step()
        assert device.waits == WAITS
        training._write_log(terms, statistics, 1.0)
        assert device.waits["<dictcomp>", "_local_scalar_dense"] == len(terms) + 1
        device.waits.clear()
        training.sweep(torch.Generator().manual_seed(0))
        assert set(device.waits) == {("_pack", "_to_copy")}


@pytest.mark.parametrize(
    ("name", "operation"),
    [
        ("sizes", lambda x: x[x > 0]),
        ("values", lambda x: float(x.sum())),
        ("copies", lambda x: x.cpu()),
        ("uploads", lambda x: x + torch.ones(2).to(DEVICE)),
    ],
)
def test_the_pretended_device_counts_waits(name, operation):
    with PretendDevice() as device:
        there = torch.ones(2).to(DEVICE, non_blocking=True)
        assert not device.waits
        operation(there)
        assert device.waits.total() == 1


@pytest.mark.parametrize(
    "operation",
    [
        lambda x: x + torch.ones(2),
        lambda x: x[torch.tensor([0, 1])],
        lambda x: torch.cat([x, torch.zeros(1)]),
        lambda x: x * x.new_tensor([1.0, 2.0]),
    ],
)
def test_the_pretended_device_finds_strangers(operation):
    with PretendDevice(), pytest.raises(AssertionError, match=r"takes tensors of both devices|of Python values"):
        operation(torch.ones(2).to(DEVICE))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_run_on_cuda_learns_and_renders_anywhere(scene_folder, tmp_path, tiny_config):
    config = tiny_config(steps=100, device="cuda")
    train(scene_folder, tmp_path / "run", config)
    views = [render_view(load_run(tmp_path / "run", device), 0, 0).to("cpu") for device in ("cuda", "cpu")]
    torch.testing.assert_close(views[0].rgb, views[1].rgb, rtol=0, atol=0.05)  # half precision on CUDA
