"""Several processes that train one run together, as torchrun starts them: what they tell one another.

A process that is alone is the first of one, and every function here leaves what it is given as it is. What is computed
from a result of these functions is the same in all processes, bit for bit.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import NoReturn, TypeVar

import torch
import torch.distributed as dist
from jaxtyping import Shaped
from torch import Tensor

from saff_fast.errors import SaidElsewhere, UserError

_T = TypeVar("_T")
_PATIENCE = timedelta(minutes=5)
"""How long a process waits for the others before it takes them for lost: longer than writing any checkpoint."""


@contextmanager
def joined(device: str) -> Iterator[None]:
    """Meet the other processes that torchrun has started, until the block ends; alone, nothing.

    Args:
        device: What is trained on: "cpu", or else CUDA where there is one, a device a process.

    Raises:
        UserError: if they do not come together in time.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield
        return
    backend = "gloo" if device == "cpu" or not torch.cuda.is_available() else "cpu:gloo,cuda:nccl"
    with _noticing_loss():
        dist.init_process_group(backend, timeout=_PATIENCE)
    try:
        yield
        with _noticing_loss():
            dist.barrier()  # a process that leaves while another works on may abort on its way out
    finally:
        dist.destroy_process_group()


def n_ranks() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """Which of them this is, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def take_device() -> None:
    """Make the CUDA device of this process's number among those of its machine the current one; alone, nothing.

    Raises:
        UserError: if the machine has fewer devices than processes.
    """
    if n_ranks() == 1:
        return
    local, n_devices = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if local >= n_devices:
        raise UserError(
            f"every process must have a GPU of its own, but process {local} of this machine finds {n_devices}; "
            "start no more processes than GPUs, or take --device cpu"
        )
    torch.cuda.set_device(local)


def together(action: Callable[[], _T]) -> _T:
    """What `action` returns; where it fails in one process it fails in all.

    To be called by all; `action` must not wait for the others.

    Raises:
        UserError: The first that an action raised, in the first process.
        SaidElsewhere: In the other processes, then.
    """
    if n_ranks() == 1:
        return action()
    failure: str | None = None
    try:
        result = action()
    except UserError as error:
        failure = str(error)
    failures: list[str | None] = [None] * n_ranks()
    with _noticing_loss():
        dist.all_gather_object(failures, failure)
    first = next((text for text in failures if text is not None), None)
    if first is not None:
        refuse(first)
    return result


def refuse(sentence: str) -> NoReturn:
    """Raise a `UserError` that all processes have come upon; the first tells it."""
    raise UserError(sentence) if rank() == 0 else SaidElsewhere(sentence)


def by_first(action: Callable[[], object]) -> None:
    """Run `action` in the first process, while the others wait; where it fails it fails in all (`together`)."""
    together(action if rank() == 0 else lambda: None)


def largest(value: float) -> float:
    """The largest of a number that every process has; no device waits for it."""
    if n_ranks() == 1:
        return value
    agreed = torch.tensor(value, dtype=torch.float64)
    with _noticing_loss():
        dist.all_reduce(agreed, dist.ReduceOp.MAX)
    return float(agreed)


def total(values: Shaped[Tensor, "*shape"]) -> Shaped[Tensor, "*shape"]:
    """Sum of a tensor over all processes.

    The gradient passes unchanged: each process has the same loss, a function of sums like this one, and its gradients
    are the share that went through its own summands; `add_gradients` adds the shares.
    """
    return values if n_ranks() == 1 else _Total.apply(values)


def add_gradients(parameters: Iterable[Tensor]) -> None:
    """Replace gradients by their sums over all processes, one message a dtype; no gradient counts as zero."""
    if n_ranks() == 1:
        return
    by_dtype: dict[torch.dtype, list[Tensor]] = {}
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        by_dtype.setdefault(parameter.dtype, []).append(parameter.grad)
    for gradients in by_dtype.values():
        flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
        with _noticing_loss():
            dist.all_reduce(flat)
        for gradient, part in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(part.view_as(gradient))


def keep_largest(tensors: Iterable[Tensor]) -> None:
    """Replace every entry by the largest that any process has in its place."""
    if n_ranks() == 1:
        return
    for tensor in tensors:
        with _noticing_loss():
            dist.all_reduce(tensor, dist.ReduceOp.MAX)


def gathered(values: Shaped[Tensor, " n"]) -> Shaped[Tensor, " n_total"]:
    """Entries of all processes, one process after the other; carries no gradient."""
    if n_ranks() == 1:
        return values
    own = torch.tensor(len(values))
    sizes = [torch.zeros_like(own) for _ in range(n_ranks())]
    with _noticing_loss():
        dist.all_gather(sizes, own)
        longest = max(int(size) for size in sizes)
        padded = torch.nn.functional.pad(values.detach(), (0, longest - len(values)))
        parts = [torch.empty_like(padded) for _ in sizes]
        dist.all_gather(parts, padded)
    return torch.cat([part[: int(size)] for part, size in zip(parts, sizes, strict=True)])


def check_same(tensors: Iterable[Tensor]) -> None:
    """Make sure that all processes hold the same tensors, by the sums of their bytes; waits for the device.

    Raises:
        UserError: if they do not.
    """
    if n_ranks() == 1:
        return
    sums = torch.stack(
        [t.detach().contiguous().view(-1).view(torch.uint8).sum(dtype=torch.int64).cpu() for t in tensors]
    )
    low, high = sums, sums.clone()
    with _noticing_loss():
        dist.all_reduce(low, dist.ReduceOp.MIN)
        dist.all_reduce(high, dist.ReduceOp.MAX)
    if not torch.equal(low, high):
        refuse(
            "all processes of a run must hold the same parameters, but they differ; "
            "give all of them the same scene, the same run folder and the same kind of device"
        )


class _Total(torch.autograd.Function):
    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, values: Tensor) -> Tensor:
        summed = values.clone()
        with _noticing_loss():
            dist.all_reduce(summed)
        return summed

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *gradients: Tensor) -> Tensor:
        return gradients[0]


@contextmanager
def _noticing_loss() -> Iterator[None]:
    """Says in a sentence that another process is gone."""
    try:
        yield
    except RuntimeError as error:
        raise UserError(
            "every process of a run must live until its end, but another one has ended or does not answer; "
            "what was trained until the last checkpoint is kept: the same command again goes on"
        ) from error
