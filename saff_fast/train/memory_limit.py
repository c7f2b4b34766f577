"""How many rays a step may have so that a run stays within a given memory: found by trying, from few rays up.

On CUDA it is the memory of the device that counts, on the CPU all that the process has: the scene, the fields, the
optimiser, a checkpoint being written, and a step. Bounded is what the first batch shows; batches of a later occupancy
have about as many samples or fewer.
"""

import ctypes
import re
import resource
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import torch
from torch import Tensor

from saff_fast.distributed import largest, refuse
from saff_fast.train.model import SceneModel

_FEWEST = 64
_SLACK = 1.25
"""Room for batches that have more samples than the one that was tried, and for gaps between buffers."""
_GIB = 2**30
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024  # of getrusage


@dataclass(frozen=True)
class Beside:
    """What a run holds beside the buffers of a step."""

    device: torch.device
    reserve: int
    """Bytes that are not taken yet: the optimiser's moments and, on the CPU, a checkpoint on its way to the disk."""


def beside_a_step(model: SceneModel) -> Beside:
    """What a run of this model, whose optimiser has not begun, holds beside a step."""
    device = model.cameras.c2w.device
    moments = 2 * sum(_n_bytes(parameter) for parameter in model.field.parameters())
    saved = sum(_n_bytes(tensor) for tensor in model.tensors().values()) + moments
    return Beside(device, moments + (saved if device.type == "cpu" else 0))


def fitting_rays(limit: float, wanted: int, beside: Beside, trial: Callable[[int], object]) -> int:
    """The most rays, up to `wanted`, whose step stays within the limit.

    Each trial has twice the rays of the one before and is made only if it must fit: memory grows in proportion to the
    rays, or more slowly. Several processes get the same number, that of the one with the most to hold.

    Args:
        limit: GiB of each process.
        wanted: Rays to have if they fit.
        beside: What else needs memory, and where.
        trial: Computes a step of so many rays, without consequences.

    Raises:
        UserError: if even few rays do not fit.
    """
    device, reserve = beside.device, beside.reserve
    before = largest(bytes_in_use(device) + reserve)
    fewest = n_rays = min(_FEWEST, wanted)
    if largest(peak(device)) > limit * _GIB:
        _refuse(limit, largest(peak(device)), n_rays)
    while True:
        trial(n_rays)
        step = _SLACK * (largest(peak(device) + reserve) - before)
        fitting = int(n_rays * (limit * _GIB - before) / max(step, 1.0))
        if fitting < fewest:
            _refuse(limit, before + step, n_rays)
        if n_rays == wanted or fitting < 2 * n_rays:
            return min(wanted, fitting)
        n_rays = min(2 * n_rays, wanted)


def _n_bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _refuse(limit: float, needed: float, n_rays: int) -> NoReturn:
    refuse(
        f"--max-memory must be at least {needed / _GIB:.2f}G for a step of {n_rays} rays of this scene and "
        f"configuration, got {limit:g}G; raise it, or lower train.height or the sizes of the fields"
    )


def bytes_in_use(device: torch.device) -> float:
    """Bytes in use now."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return torch.cuda.memory_allocated(device)
    statm = Path("/proc/self/statm")
    if not statm.is_file():
        return peak(device)
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)  # what was freed and kept is not in use
    return int(statm.read_text().split()[1]) * resource.getpagesize()


def peak(device: torch.device) -> float:
    """The most bytes in use so far.

    On Linux `getrusage` starts at what the process held that started this one, so the kernel's own mark is read.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    status = Path("/proc/self/status")
    mark = re.search(r"VmHWM:\s*(\d+)", status.read_text()) if status.is_file() else None
    return int(mark[1]) * 1024 if mark else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT
