"""Devices and backends: where work can be done, by which library, and what `auto` takes.

`auto` reads a fixed table, never a timing, so that a configuration means the same on every machine of a kind. Whatever
the backend, a run has the same parameters, so a checkpoint of one is a checkpoint of all.
"""

import importlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Literal

import torch

from saff_fast import kernels
from saff_fast.errors import UserError

Device = Literal["auto", "cpu", "cuda"]
Encoding = Literal["auto", "native", "tcnn", "torch"]
Mlp = Literal["auto", "native", "tcnn", "torch"]
KMeansBackend = Literal["auto", "faiss-gpu", "faiss-cpu", "torch"]

AUTO: dict[str, dict[str, tuple[str, ...]]] = {
    # tcnn's grid is taken by name only: it has no time axis of its own growth, and gives float16.
    "encoding": {"cpu": ("native", "torch"), "cuda": ("native", "torch")},
    "mlp": {"cpu": ("native", "torch"), "cuda": ("tcnn", "torch")},
    "kmeans": {"cpu": ("faiss-cpu", "torch"), "cuda": ("faiss-gpu", "torch")},
}
"""For each job and type of device the backends that `auto` takes, the first that runs there."""


@dataclass(frozen=True, kw_only=True)
class BackendConfig:
    """Libraries that train and render; `auto` is the best that runs on the device."""

    encoding: Encoding = "auto"
    """Hash encodings: `native`, `tcnn` (tiny-cuda-nn, on CUDA) or `torch`."""
    mlp: Mlp = "auto"
    """Networks behind them: `native` (on the CPU), `tcnn` (fused, half precision, on CUDA) or `torch` (half precision
    on CUDA)."""

    def resolved(self, device_type: str) -> "BackendConfig":
        """The same with the names that `auto` stands for on `"cpu"` or `"cuda"`.

        Raises:
            UserError: if a backend asked for by name cannot run there.
        """
        names = {job: resolve(job, name, device_type) for job, name in asdict(self).items()}
        return BackendConfig(**names)  # type: ignore[arg-type]


def resolve(job: str, name: str, device_type: str) -> str:
    """The backend that `name` stands for on `"cpu"` or `"cuda"`.

    Args:
        job: A key of `AUTO`.
        name: A backend of the job, or `"auto"`.
        device_type: Where the tensors are.

    Raises:
        UserError: if it cannot run there, with the reason and how to get it.
    """
    if name == "auto":
        name = best(job, device_type) or AUTO[job][device_type][0]
    reason = why_not(job, name, device_type)
    if reason is not None:
        raise UserError(f"the {job} backend {name!r} cannot run on {device_type}: {reason}; or set it to 'auto'")
    return name


def best(job: str, device_type: str) -> str | None:
    """What `auto` stands for; None if nothing can do the job there."""
    return next((name for name in AUTO[job][device_type] if why_not(job, name, device_type) is None), None)


def why_not(job: str, name: str, device_type: str) -> str | None:
    """Why backend `name` of `job` cannot run on tensors of `device_type` here, and how to get it; None if it can."""
    backends = _BACKENDS[job]
    if name not in backends:
        return f"backends are auto, {', '.join(backends)}"
    return backends[name](device_type)


def names(job: str) -> tuple[str, ...]:
    """All backends of a job."""
    return tuple(_BACKENDS[job])


def resolve_device(name: Device) -> torch.device:
    """The device that `name` stands for; `auto` is CUDA where it can be used.

    Raises:
        UserError: if CUDA is asked for and cannot be used, with the reason.
    """
    if name == "cpu":
        return torch.device("cpu")
    reason = why_no_cuda()
    if reason is None:
        return torch.device("cuda", torch.cuda.current_device())
    if name == "cuda":
        raise UserError(f"device 'cuda' cannot be used: {reason}; or take device 'cpu'")
    return torch.device("cpu")


def why_no_cuda() -> str | None:
    """Why training and rendering cannot run on CUDA tensors here; None if they can."""
    return why_no_gpu() or _kernels("cuda")


def why_no_gpu() -> str | None:
    """Why torch has no CUDA tensors here; None if it has."""
    if torch.version.cuda is None:
        return f"torch {torch.__version__} is built without CUDA; install a CUDA build of torch"
    if not torch.cuda.is_available():
        return f"torch is built for CUDA {torch.version.cuda} but finds no device or driver"
    return None


def _anywhere(device_type: str) -> str | None:
    return None


def _kernels(device_type: str) -> str | None:
    if kernels.library_paths(device_type):
        return None
    hint = "put nvcc on PATH and install saff-fast again" if device_type == "cuda" else "install saff-fast again"
    return f"this installation has no compiled {device_type} kernels; {hint}"


def _host_kernels(device_type: str) -> str | None:
    return _kernels("cpu") if device_type == "cpu" else "its kernel is for the CPU; take 'tcnn' or 'torch'"


def _tcnn(device_type: str) -> str | None:
    if device_type != "cuda":
        return "tiny-cuda-nn takes CUDA tensors only"
    return _import_failure(
        "tinycudann", "build it from https://github.com/NVlabs/tiny-cuda-nn, folder bindings/torch, for your GPU"
    )


def _faiss_cpu(device_type: str) -> str | None:
    if device_type != "cpu":
        return "it takes points on the CPU only; take 'faiss-gpu' or 'torch'"
    return _import_failure("faiss", "install it with `pip install 'saff-fast[cpu]'`")


def _faiss_gpu(device_type: str) -> str | None:
    missing = _import_failure("faiss", "install it with `pip install 'saff-fast[cuda]'`")
    if missing is not None:
        return missing
    import faiss

    if not hasattr(faiss, "StandardGpuResources"):
        return "the installed faiss is built for the CPU; `pip uninstall faiss-cpu; pip install 'saff-fast[cuda]'`"
    return None if faiss.get_num_gpus() else "faiss finds no GPU"


def _import_failure(module: str, remedy: str) -> str | None:
    """Why `module` cannot be imported; a package broken in itself may raise anything at import."""
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name == module:
            return f"{module} is not installed; {remedy}"
        return f"{module} cannot be imported ({error})"
    except Exception as error:
        first_line = str(error).partition("\n")[0]
        return f"{module} cannot be imported ({type(error).__name__}: {first_line})"
    return None


_BACKENDS: dict[str, dict[str, Callable[[str], str | None]]] = {
    "encoding": {"native": _kernels, "tcnn": _tcnn, "torch": _anywhere},
    "mlp": {"native": _host_kernels, "tcnn": _tcnn, "torch": _anywhere},
    "kmeans": {"faiss-gpu": _faiss_gpu, "faiss-cpu": _faiss_cpu, "torch": _anywhere},
}
