"""Argument checks shared by the ops: `function: argument must <requirement>, got <value>`."""

import torch
from torch import Tensor


def floats(function: str, **tensors: Tensor) -> None:
    """All `tensors` must be float32, or all float64."""
    dtypes = [tensor.dtype for tensor in tensors.values()]
    if dtypes[0] not in (torch.float32, torch.float64) or any(dtype != dtypes[0] for dtype in dtypes):
        got = ", ".join(map(str, dtypes))
        raise ValueError(f"{function}: {_names(tensors)} must be all float32 or all float64, got {got}")


def dtype(function: str, expected: torch.dtype, **tensors: Tensor) -> None:
    """Each of `tensors` must have dtype `expected`."""
    for name, tensor in tensors.items():
        if tensor.dtype != expected:
            raise ValueError(f"{function}: {name} must be {str(expected)[6:]}, got {tensor.dtype}")


def shape(function: str, axes: dict[str, int | None], **tensors: Tensor) -> None:
    """Each of `tensors` must have the sizes of `axes` (name to size, None for any)."""
    for name, tensor in tensors.items():
        sizes = tuple(axes.values())
        if len(sizes) != tensor.dim() or any(s not in (None, n) for s, n in zip(sizes, tensor.shape, strict=True)):
            expected = ", ".join(axis if size in (None, axis) else f"{axis} = {size}" for axis, size in axes.items())
            raise ValueError(f"{function}: {name} must have shape ({expected}), got {list(tensor.shape)}")


def packed_info(function: str, tensor: Tensor) -> None:
    """`tensor` must be an int64 `packed_info` of shape (n_rays, 2)."""
    shape(function, {"n_rays": None, "first_and_count": 2}, packed_info=tensor)
    dtype(function, torch.int64, packed_info=tensor)


def one_device(function: str, **tensors: Tensor) -> None:
    """All `tensors` must be on the same device."""
    devices = [tensor.device for tensor in tensors.values()]
    if any(device != devices[0] for device in devices):
        got = ", ".join(map(str, devices))
        raise ValueError(f"{function}: {_names(tensors)} must be on one device, got {got}")


def constant(function: str, **tensors: Tensor) -> None:
    """None of `tensors` may require gradients, as the op does not differentiate them."""
    for name, tensor in tensors.items():
        if tensor.requires_grad:
            raise ValueError(f"{function}: {name} must not require gradients, it is not differentiated")


def _names(tensors: dict[str, Tensor]) -> str:
    return ", ".join(tensors)
