"""A device that is not there: tensors with values in host memory that say that they are somewhere else.

Code that runs under `PretendDevice` gives the values it gives on the CPU, but a tensor on the wrong device is found
as on a GPU: an operation on tensors of both devices fails. What would make the host wait for a GPU is counted. The
device has the name `meta`, the one that torch knows without a library and whose backward pass runs without a driver.
"""

import sys
from collections import Counter
from pathlib import Path

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

DEVICE = torch.device("meta")
_OF_VALUES = {"_local_scalar_dense", "equal", "is_nonzero", "masked_select", "nonzero", "repeat_interleave", "_unique2"}
"""Operations whose result, or its size, the host has to know."""


class PretendTensor(torch.Tensor):
    """A tensor in host memory, `inner`, that says it is on `DEVICE`."""

    @staticmethod
    def __new__(cls, inner):
        return torch.Tensor._make_wrapper_subclass(
            cls,
            inner.shape,
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=DEVICE,
        )

    def __init__(self, inner):
        self.inner = inner

    def tolist(self):
        return self.cpu().tolist()  # torch's own takes no subclass

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        raise AssertionError(f"{function} on a pretended tensor outside of PretendDevice")


class PretendDevice(TorchDispatchMode):
    """Makes `DEVICE` work; `waits` counts what would wait for it, by function of the package and operation."""

    def __init__(self):
        super().__init__()
        self.waits = Counter()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        name = function.overloadpacket.__name__
        tensors = [value for value in tree_flatten((args, kwargs))[0] if isinstance(value, torch.Tensor)]
        here = [tensor for tensor in tensors if not isinstance(tensor, PretendTensor)]
        there = [tensor for tensor in tensors if isinstance(tensor, PretendTensor)]
        target = kwargs.get("device")
        is_copy = name in ("_to_copy", "copy_")
        if target is not None:
            kwargs["device"] = torch.device("cpu")
        is_there = bool(there) if target is None else torch.device(target) == DEVICE
        self._check(function, here, there, is_copy)
        crosses = is_copy and (bool(there) != is_there or bool(here and there))
        blocks = not (kwargs.get("non_blocking") or (name == "copy_" and len(args) > 2 and args[2])) or not is_there
        if (crosses and blocks) or (there and (name in _OF_VALUES or _selects(name, args))):
            self.waits[_caller(), name] += 1
        inner_args, inner_kwargs = tree_map(_inner, (args, kwargs))
        known = {id(tensor.inner): tensor for tensor in there} | {id(tensor): tensor for tensor in here}
        result = function(*inner_args, **inner_kwargs)
        return tree_map(lambda value: _outer(value, known, is_there), result)

    @staticmethod
    def _check(function, here, there, is_copy):
        """On a GPU only numbers (tensors without axes) may come from the host; our own ops check for themselves."""
        if function.namespace == "saff_fast" or is_copy:
            return
        strangers = [tensor for tensor in here if tensor.dim()]
        lost = [tensor for tensor in here if tensor.device == DEVICE]
        if lost:
            raise AssertionError(f"{_caller()} makes a tensor on the device of Python values, which waits for a GPU")
        if there and strangers:
            raise AssertionError(f"{function} in {_caller()} takes tensors of both devices")


def _selects(name, args):
    """Whether this is an index by booleans."""
    if name not in ("index", "index_put", "index_put_"):
        return False
    return any(index is not None and index.dtype in (torch.bool, torch.uint8) for index in args[1])


def _inner(value):
    return value.inner if isinstance(value, PretendTensor) else value


def _outer(value, known, is_there):
    if not isinstance(value, torch.Tensor):
        return value
    if id(value) in known:
        return known[id(value)]
    return PretendTensor(value) if is_there else value


def _caller():
    """Name of the innermost function of the package that is running."""
    frame = sys._getframe()
    while frame is not None:
        if "saff_fast" in Path(frame.f_code.co_filename).parts:
            return frame.f_code.co_name
        frame = frame.f_back
    return "?"
