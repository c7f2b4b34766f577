"""Finds, loads and calls the compiled kernels: plain C functions, no torch ABI.

The host library is built once for each instruction set and each op is taken from the best one that this processor has
and that holds the op, so one wheel serves every machine. The CUDA library is a file of its own and is loaded when a
CUDA tensor first arrives. The environment variable SAFF_HOST_LIBRARY names another host library to load, such as one
built with a sanitizer.
"""

import ctypes
import os
import platform
from functools import cache
from importlib.resources import files
from pathlib import Path

import torch
from torch import Tensor

_SUFFIX = {torch.float16: "f16", torch.float32: "f32", torch.float64: "f64"}
_X86_LEVELS = {"AVX512": ("v4", "v3", "v2"), "AVX2": ("v3", "v2")}
_REBUILD = "rebuild it with `pip install .` in the source tree (or `make env`)"


class _Launch(ctypes.Structure):
    _fields_ = [("stream", ctypes.c_void_p), ("n_threads", ctypes.c_int64)]


def host_library_names() -> tuple[str, ...]:
    """Names of the host libraries this processor can run, best first."""
    if platform.machine().lower() in ("x86_64", "amd64"):
        levels = _X86_LEVELS.get(torch.backends.cpu.get_cpu_capability(), ("v2",))
        return tuple(f"libsaff_x86_64_{level}.so" for level in levels)
    return ("libsaff_host.so",)


def library_paths(device_type: str) -> list[Path]:
    """Files of the kernels for `"cpu"` or `"cuda"`, best first; empty if this installation has none.

    Raises:
        FileNotFoundError: if SAFF_HOST_LIBRARY names no file.
    """
    if device_type == "cpu" and "SAFF_HOST_LIBRARY" in os.environ:
        chosen = Path(os.environ["SAFF_HOST_LIBRARY"])
        if not chosen.is_file():
            raise FileNotFoundError(f"SAFF_HOST_LIBRARY must be the path of a host library, got {chosen}")
        return [chosen]
    names = host_library_names() if device_type == "cpu" else ("libsaff_cuda.so",)
    # importlib.resources also finds the library of an editable install, which is not beside this file.
    paths = [Path(str(files("saff_fast").joinpath(name))) for name in names]
    return [path for path in paths if path.is_file()]


_load = cache(ctypes.CDLL)


@cache
def _function(name: str, device_type: str) -> ctypes._CFuncPtr:
    symbol = f"saff_{name}_{device_type}"
    for path in library_paths(device_type):
        library = _load(str(path))
        if hasattr(library, symbol):
            function = getattr(library, symbol)
            function.restype = ctypes.c_char_p
            return function
    raise ImportError(f"this installation of saff_fast has no compiled {symbol}: {_REBUILD}")


def _to_c(value: int | float | Tensor | None) -> object:
    if value is None:
        return ctypes.c_void_p(None)
    if isinstance(value, Tensor):
        return ctypes.c_void_p(value.data_ptr())
    return ctypes.c_double(value) if isinstance(value, float) else ctypes.c_int64(value)


def call(name: str, *args: int | float | Tensor | None, like: Tensor) -> None:
    """Run kernel `name` on `like`'s device and dtype.

    Tensors must be contiguous and already checked; an int arrives as int64_t, a float as double, None as a null
    pointer. Raises RuntimeError with the kernel's own reason if it reports one.
    """
    stream = torch.cuda.current_stream(like.device).cuda_stream if like.is_cuda else None
    function = _function(f"{name}_{_SUFFIX[like.dtype]}", like.device.type)
    error = function(*map(_to_c, args), _Launch(stream, torch.get_num_threads()))
    if error:
        raise RuntimeError(f"{name}: {error.decode()}")
