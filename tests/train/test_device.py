"""Training and rendering on a device other than the CPU: same values, nothing on the wrong device, few waits."""

import dataclasses

import pytest
import torch

from saff_fast.backends import BackendConfig
from saff_fast.scene.reader import read_scene
from saff_fast.train import rendering, trainer
from saff_fast.train import run as whole
from saff_fast.train.checkpoint import load_checkpoint
from saff_fast.train.metrics import read_values
from saff_fast.train.published_config import Moment, PublishedLossConfig
from saff_fast.train.rendering import load_run
from saff_fast.train.run import train
from saff_fast.train.trainer import Trainer
from tests.pretend_device import DEVICE, PretendDevice, PretendTensor
from tests.views import view_of

CPU = torch.device("cpu")
BACKENDS = {
    "native": BackendConfig(encoding="native", mlp="native"),
    "torch": BackendConfig(encoding="torch", mlp="torch"),
}
COUNTING = {("_pack", "_to_copy"), ("of", "_to_copy")}
"""What a step waits for that has to count samples before it."""


@pytest.fixture
def on_device(monkeypatch):
    """Sets where training and rendering take place; the backends run on the pretended device too, and Adam, unfused."""

    def move(device):
        for module in (whole, rendering):
            monkeypatch.setattr(module, "resolve_device", lambda name: device)

    monkeypatch.setattr(BackendConfig, "resolved", lambda self, device_type: self)
    monkeypatch.setattr(
        trainer,
        "_optimiser",
        lambda model, config: torch.optim.Adam(
            model.field.parameters(), lr=torch.tensor(1e-2), eps=1e-15, foreach=False
        ),
    )
    return move


@pytest.fixture(params=BACKENDS.values(), ids=BACKENDS.keys())
def with_backend(request, tiny_config):
    return lambda **train: dataclasses.replace(tiny_config(**train), backend=request.param)


def test_a_run_is_the_same_on_both_devices(scene_folder, tmp_path, on_device, with_backend, monkeypatch):
    """Resumed on the other device, too: the last steps of the second run are done on the CPU.

    With buffers as long as needed on both: sums over longer ones are rounded otherwise.
    """
    monkeypatch.setattr(Trainer, "_budget", lambda *_: None)
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
    expected = view_of(load_run(tmp_path / "run"), 2, 2)
    on_device(DEVICE)
    with PretendDevice():
        view = view_of(load_run(tmp_path / "run"), 2, 2)
        assert isinstance(view.rgb, PretendTensor)
        actual = {name: value.to("cpu") for name, value in vars(view).items()}
    for name, value in vars(expected).items():
        assert torch.equal(actual[name], value), name


def test_a_step_waits_for_nothing_on_the_device(scene_folder, tmp_path, on_device, with_backend):
    on_device(DEVICE)
    with PretendDevice() as device:
        config = with_backend(first_sweep=2, sweep_every=2)
        training = Trainer(read_scene(scene_folder, 36).to(DEVICE), tmp_path, config)
        device.waits.clear()
        training.train_step()
        assert set(device.waits) == COUNTING
        device.waits.clear()
        terms, statistics = training.train_step()  # and a sweep, which marches frame by frame
        assert set(device.waits) == {("_pack", "_to_copy")}
        read_values(terms | statistics)
        assert device.waits["<dictcomp>", "_local_scalar_dense"] == len(terms) + len(statistics)
        device.waits.clear()
        assert training.is_sound()
        assert device.waits.total() == 1
        device.waits.clear()
        training.train_step()
        assert set(device.waits) == COUNTING  # since the sweep has changed the occupancy
        device.waits.clear()
        training.config = with_backend(first_sweep=100)
        training.train_step()
        assert not device.waits


def test_a_published_step_waits_for_nothing_on_the_device(scene_folder, tmp_path, on_device, with_backend):
    on_device(DEVICE)
    with PretendDevice() as device:
        losses = PublishedLossConfig(stage=0.1)
        config = dataclasses.replace(with_backend(first_sweep=100), objective="published", published=losses)
        training = Trainer(read_scene(scene_folder, 36).to(DEVICE), tmp_path, config)
        training.train_step()
        training.step = 6  # in the last stage
        device.waits.clear()
        training.train_step()
        assert not device.waits


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
    views = [view_of(load_run(tmp_path / "run", device), 0, 0).rgb.cpu() for device in ("cuda", "cpu")]
    torch.testing.assert_close(*views, rtol=0, atol=0.05)  # half precision on CUDA


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_cuda_graph_holds_a_step(scene_folder, tmp_path, tiny_config):
    training = Trainer(read_scene(scene_folder, 36).to(torch.device("cuda")), tmp_path, tiny_config(device="cuda"))
    batch, _ = training.batch(0, 300, 100)
    share = torch.full((), 0.5, device="cuda")
    arguments = batch, Moment(0, 0.5), share, training._budget(batch)
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            before, _ = training.update(*arguments)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        after, _ = training.update(*arguments)
    for _ in range(20):
        graph.replay()
    assert after["rgb"] < before["rgb"]
