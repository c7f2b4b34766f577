"""Memory that a call takes at most, beyond what was held before it."""

import ctypes
import re
from collections.abc import Callable
from pathlib import Path

import torch
from harness import DEVICE


def peak_mib(run: Callable[[], object]) -> float:
    """On CUDA what torch allocates; on Linux the process's resident memory, kernels' own buffers included."""
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        run()
        torch.cuda.synchronize()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    ctypes.CDLL(None).malloc_trim(0)  # freed memory that the allocator keeps would hide what is taken anew
    Path("/proc/self/clear_refs").write_text("5")  # the peak is now what is resident
    before = _resident_kib("VmRSS")
    run()
    return (_resident_kib("VmHWM") - before) / 2**10


def _resident_kib(name: str) -> int:
    found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1])
