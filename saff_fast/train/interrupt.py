"""Ctrl-C between steps only, and after the same step in all processes."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from saff_fast.distributed import largest


@contextmanager
def between_steps() -> Iterator[Callable[[], None]]:
    """Hold SIGINT and SIGTERM back until the yielded function is called, which then raises KeyboardInterrupt.

    A step that stops halfway would leave parameters of one step with optimiser state of another. Of several processes
    all stop as soon as one is told to. Outside the main thread, where Python delivers no signals, nothing is held back.
    """
    pending = False

    def remember(number: int, frame: FrameType | None) -> None:
        nonlocal pending
        pending = True

    def check() -> None:
        if largest(pending):
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield check
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, remember) for number in numbers]
    try:
        yield check
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
