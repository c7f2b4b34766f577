"""Devices and backends: what `auto` takes, and what is said when something cannot run."""

import typing

import pytest
import torch

from saff_fast import backends, kernels
from saff_fast.backends import AUTO, BackendConfig, resolve, resolve_device, why_not
from saff_fast.config import load_config, override
from saff_fast.errors import UserError
from saff_fast.train.config import ExperimentConfig

CHOICES = {
    "encoding": backends.Encoding,
    "mlp": backends.Mlp,
    "kmeans": backends.KMeansBackend,
}


@pytest.fixture
def everything_installed(monkeypatch):
    """A machine on which every import and kernel is there."""
    monkeypatch.setattr(backends, "_kernels", lambda device_type: None)
    monkeypatch.setattr(backends, "_import_failure", lambda module, remedy: None)
    monkeypatch.setattr(backends, "_faiss_gpu", lambda device_type: None)
    table = {"native": lambda device_type: None}
    monkeypatch.setitem(backends._BACKENDS, "encoding", backends._BACKENDS["encoding"] | table)
    monkeypatch.setitem(
        backends._BACKENDS, "kmeans", backends._BACKENDS["kmeans"] | {"faiss-gpu": lambda device_type: None}
    )


@pytest.mark.parametrize("job", CHOICES)
def test_the_tables_hold_the_names_of_the_configuration(job):
    assert {"auto", *backends.names(job)} == set(typing.get_args(CHOICES[job]))
    for choices in AUTO[job].values():
        assert set(choices) <= set(backends.names(job))


@pytest.mark.usefixtures("everything_installed")
def test_auto_is_the_first_of_the_table():
    assert BackendConfig().resolved("cpu") == BackendConfig(encoding="native", mlp="native")
    assert BackendConfig().resolved("cuda") == BackendConfig(encoding="native", mlp="tcnn")
    assert resolve("kmeans", "auto", "cpu") == "faiss-cpu"
    assert resolve("kmeans", "auto", "cuda") == "faiss-gpu"


def test_auto_goes_on_to_what_is_there(monkeypatch):
    monkeypatch.setattr(kernels, "library_paths", lambda device_type: [])
    monkeypatch.setattr(backends.importlib, "import_module", lambda name: missing(name))
    assert resolve("encoding", "auto", "cpu") == "torch"
    assert resolve("mlp", "auto", "cuda") == "torch"
    assert resolve("kmeans", "auto", "cpu") == "torch"
    with pytest.raises(
        UserError, match="the encoding backend 'native' cannot run on cpu: this installation has no comp"
    ):
        resolve("encoding", "native", "cpu")


def missing(name):
    raise ModuleNotFoundError(f"No module named {name!r}", name=name)


@pytest.mark.parametrize(
    ("job", "name", "device_type", "reason"),
    [
        ("encoding", "tcnn", "cpu", "tiny-cuda-nn takes CUDA tensors only"),
        ("encoding", "tcnn", "cuda", "tinycudann is not installed; build it from https"),
        ("mlp", "native", "cuda", "its kernel is for the CPU; take 'tcnn' or 'torch'"),
        ("kmeans", "faiss-cpu", "cuda", "it takes points on the CPU only"),
        ("kmeans", "faiss-cpu", "cpu", r"faiss is not installed; install it with `pip install 'saff-fast\[cpu\]'`"),
        ("kmeans", "faiss-gpu", "cuda", r"faiss is not installed; install it with `pip install 'saff-fast\[cuda\]'`"),
        ("kmeans", "magic", "cpu", "backends are auto, faiss-gpu, faiss-cpu, torch"),
    ],
)
def test_a_backend_by_name_runs_or_says_why_not(job, name, device_type, reason, monkeypatch):
    monkeypatch.setattr(backends.importlib, "import_module", lambda name: missing(name))
    with pytest.raises(UserError, match=f"^the {job} backend '{name}' cannot run on {device_type}: {reason}.*'auto'$"):
        resolve(job, name, device_type)


def test_broken_packages_are_described(monkeypatch):
    def broken(name):
        raise missing("dependency") if name == "faiss" else OSError("no driver\nlong story")

    monkeypatch.setattr(backends.importlib, "import_module", broken)
    assert why_not("mlp", "tcnn", "cuda") == "tinycudann cannot be imported (OSError: no driver)"
    assert why_not("kmeans", "faiss-cpu", "cpu") == "faiss cannot be imported (No module named 'dependency')"


def test_faiss_for_the_cpu_is_no_faiss_for_the_gpu():
    faiss = pytest.importorskip("faiss")
    expected = "finds no GPU" if hasattr(faiss, "StandardGpuResources") else "built for the CPU"
    reason = why_not("kmeans", "faiss-gpu", "cpu")
    assert reason is None or expected in reason


def test_devices(monkeypatch):
    assert resolve_device("cpu") == torch.device("cpu")
    monkeypatch.setattr(torch.version, "cuda", None)
    assert resolve_device("auto") == torch.device("cpu")
    with pytest.raises(UserError, match=r"device 'cuda' cannot be used: torch .* is built without CUDA"):
        resolve_device("cuda")
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match=r"built for CUDA 13\.0 but finds no device or driver"):
        resolve_device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    monkeypatch.setattr(kernels, "library_paths", lambda device_type: [])
    assert resolve_device("auto") == torch.device("cpu")  # the kernels are needed too
    with pytest.raises(UserError, match="no compiled cuda kernels; put nvcc on PATH"):
        resolve_device("cuda")
    monkeypatch.setattr(kernels, "library_paths", lambda device_type: ["there"])
    assert resolve_device("auto") == torch.device("cuda", 1)


def test_configuration(tmp_path):
    (tmp_path / "run.toml").write_text("[backend]\nencoding = 'torch'\n[train]\ndevice = 'cpu'")
    config = load_config(ExperimentConfig, tmp_path / "run.toml")
    assert config.backend == BackendConfig(encoding="torch")
    assert override(config, ["backend.mlp=tcnn"]).backend == BackendConfig(encoding="torch", mlp="tcnn")
    with pytest.raises(UserError, match=r"backend\.mlp must be one of 'auto', 'native', 'tcnn', 'torch', got 'magic'"):
        override(config, ["backend.mlp=magic"])
    with pytest.raises(UserError, match=r"backend\.encoding = 'tcnn' needs field\.dynamic\.time_axis = 'shared'"):
        override(config, ["backend.encoding=tcnn"])
    shared = ["backend.encoding=tcnn", "field.dynamic.time_axis=shared", "field.static.finest_depth=320"]
    with pytest.raises(UserError, match=r"no finest_depth .* got 'shared', 320 of 320 and 64 of 128"):
        override(config, shared)
    assert override(config, [*shared, "field.dynamic.finest_depth=128"]).backend.encoding == "tcnn"
    with pytest.raises(UserError, match=r"train\.device must be one of 'auto', 'cpu', 'cuda', got 'gpu'"):
        override(config, ["train.device=gpu"])
