"""Independent tasks in this process or spread over spawned ones, with the same results either way."""

import contextlib
import multiprocessing
import os
import signal
import traceback
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, Self, TypeVar

from saff_fast.errors import UserError

Context = TypeVar("Context")
Item = TypeVar("Item")

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Workers(Generic[Context]):
    """Runs tasks; processes are spawned when first needed and live until the block ends.

    Args:
        make_context: Makes what every task is given, once in each process; sent there by pickling.
        n_workers: How many processes at most; 1 never spawns any.

    Example:
        >>> with Workers(list, n_workers=1) as workers:
        ...     workers.each(list.append, [3, 4], spread=True)
        ...     workers.context
        [3, 4]
    """

    def __init__(self, make_context: Callable[[], Context], n_workers: int):
        self._make_context, self.n_workers = make_context, n_workers
        self._processes: dict[Connection, multiprocessing.process.BaseProcess] = {}

    @cached_property
    def context(self) -> Context:
        """What tasks that run in this process are given."""
        return self._make_context()

    def __enter__(self) -> Self:
        """Itself; no process is started yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """End all processes."""
        self.stop()

    def stop(self) -> None:
        """End all processes at once, whatever they are doing; what they were writing stays under a temporary name.

        The next `each` that spreads its items starts others.
        """
        for process in self._processes.values():
            process.kill()
        for process in self._processes.values():
            process.join()
        self._processes.clear()

    def each(
        self,
        task: Callable[[Context, Item], object],
        items: Sequence[Item],
        spread: bool,
        on_done: Callable[[int], None] = lambda count: None,
    ) -> None:
        """Run `task(context, item)` for every item, in any order; what it returns is dropped.

        Args:
            task: A function of a module. Must give the same whatever ran before it and wherever it runs.
            items: Small things, such as indices: they are sent to the processes.
            spread: Whether the items are worth several processes.
            on_done: Told how many items are done, after each.

        Raises:
            Exception: The first that a task raises.
            UserError: A process died, for instance for want of memory.
        """
        if spread and min(self.n_workers, len(items)) > 1:
            self._each_in_processes(task, items, on_done)
            return
        with _one_thread():
            for count, item in enumerate(items, start=1):
                task(self.context, item)
                on_done(count)

    def _each_in_processes(
        self, task: Callable[[Context, Item], object], items: Sequence[Item], on_done: Callable[[int], None]
    ) -> None:
        if not self._processes:
            self._start()
        waiting, busy, count = iter(items), set[Connection](), 0

        def give(connection: Connection) -> None:
            for item in waiting:
                with self._noticing_death(connection):
                    connection.send((task, item))
                busy.add(connection)
                return

        for connection in self._processes:
            give(connection)
        while busy:
            for connection in wait(list(busy)):
                assert isinstance(connection, Connection)
                busy.remove(connection)
                with self._noticing_death(connection):
                    failure = connection.recv()
                if failure is not None:
                    raise failure
                count += 1
                on_done(count)
                give(connection)

    @contextlib.contextmanager
    def _noticing_death(self, connection: Connection) -> Iterator[None]:
        """Says in a sentence that the process at the other end is gone."""
        try:
            yield
        except (EOFError, OSError) as error:
            process = self._processes[connection]
            process.join()
            raise UserError(
                "every worker process must live until the work is done, but one died with exit code "
                f"{process.exitcode}; if memory ran out (-9), choose a smaller --height."
            ) from error

    def _start(self) -> None:
        spawn = multiprocessing.get_context("spawn")
        resource_tracker.ensure_running()  # starting it with the first worker would lift the block
        # Ctrl-C reaches every process of a terminal. Workers inherit the block and leave it to this one to end them.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            with _environment(dict.fromkeys(_THREAD_VARIABLES, "1")):
                for _ in range(self.n_workers):
                    connection, theirs = spawn.Pipe()
                    process = spawn.Process(target=_work, args=(theirs, self._make_context), daemon=True)
                    process.start()
                    theirs.close()
                    self._processes[connection] = process
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(connection: Connection, make_context: Callable[[], Any]) -> None:
    """A worker process: it ends when told to, or when the one that started it is gone."""
    with _one_thread(), contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        context = make_context()
        while True:
            task, item = connection.recv()
            connection.send(_failure(task, context, item))


def _failure(task: Callable[[Context, Item], object], context: Context, item: Item) -> Exception | None:
    try:
        task(context, item)
    except Exception as error:
        error.add_note(f"In a worker process:\n{traceback.format_exc()}")
        return error
    return None


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Libraries compute in one thread: processes are what is spread, and results cannot depend on thread counts."""
    import cv2
    import torch

    before = cv2.getNumThreads(), torch.get_num_threads()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before[0])
        torch.set_num_threads(before[1])


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
