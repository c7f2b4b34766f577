"""The run folder: what a run was asked to do, and on what."""

import fcntl
import json
import platform
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

import saff_fast
from saff_fast.backends import BackendConfig
from saff_fast.config import dump_config, load_config
from saff_fast.errors import UserError
from saff_fast.files import read_json, save_json
from saff_fast.train.config import ExperimentConfig


def open_run(run: Path, scene: Path, config: ExperimentConfig, environment: dict[str, Any]) -> None:
    """Make the run folder, or check that an existing one is the same run.

    Args:
        run: The folder.
        scene: The scene folder.
        config: The configuration.
        environment: What else `meta.json` says of how the run began (`environment`).

    Raises:
        UserError: if the folder holds something else, or a run of another scene or configuration.
    """
    described = {"scene": str(scene.resolve()), "config": json.loads(json.dumps(asdict(config)))}
    meta = run / "meta.json"
    if run.is_file():
        raise UserError(f"{run}: the run folder must be a folder but is a file; choose another --out")
    if not meta.is_file():
        if run.is_dir() and any(run.iterdir()):
            raise UserError(
                f"{run}: the run folder must be new or hold this run, but holds other files; choose another"
            )
        run.mkdir(parents=True, exist_ok=True)
        (run / "config.toml").write_text(dump_config(config))
        save_json(meta, described | environment)
        return
    known = read_meta(run)
    if known.get("scene") != described["scene"]:
        raise UserError(f"{run}: holds a run on the scene {known.get('scene')}, not on {scene}; choose another --out")
    if known.get("config") != described["config"]:
        changed = ", ".join(_differences(known.get("config", {}), described["config"]))
        raise UserError(
            f"{run}: holds a run of another configuration ({changed}); choose another --out or the same settings"
        )


@contextmanager
def sole_writer(run: Path) -> Iterator[None]:
    """Keep other processes from training the run meanwhile; the lock ends with the process, however that ends.

    Raises:
        UserError: if another process holds it.
    """
    with (run / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(
                f"{run}: another process is training this run; wait for it to end, or choose another --out"
            ) from error
        yield


def is_being_trained(run: Path) -> bool:
    """Whether a process trains the run right now."""
    try:
        with (run / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def read_meta(run: Path) -> dict[str, Any]:
    """What `meta.json` says of a run.

    Raises:
        UserError: if the folder holds no run or the file is damaged.
    """
    path = run / "meta.json"
    if not path.is_file():
        raise UserError(f"{run}: must be the folder of a run, with meta.json; make one with `saff-fast train`")
    return dict(read_json(path))


def read_config(run: Path) -> ExperimentConfig:
    """The resolved configuration of a run."""
    return load_config(ExperimentConfig, run / "config.toml")


def environment(device: torch.device, backend: BackendConfig) -> dict[str, Any]:
    """Versions, commit, machine and resolved backends, for the record."""
    return {
        "version": saff_fast.__version__,
        "commit": commit(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else _processor(),
        "backend": asdict(backend),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0]} x{len(names)}" if names else platform.processor() or platform.machine()


def commit() -> str:
    """Commit of the source tree this package is imported from; "unknown" for an installed package."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _differences(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> list[str]:
    found = []
    for key in sorted(old.keys() | new.keys()):
        a, b = old.get(key), new.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            found += _differences(a, b, f"{prefix}{key}.")
        elif a != b:
            found.append(f"{prefix}{key}: {a} there, {b} asked")
    return found
