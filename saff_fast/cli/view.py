"""`saff-fast view`."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Literal

import tyro

from saff_fast.errors import UserError

_CHECKPOINT_EVERY = 0.5
"""Seconds between looks for the first checkpoint."""


def view(
    run: Annotated[Path, tyro.conf.arg(metavar="RUN")],
    /,
    *,
    beside: Annotated[str | None, tyro.conf.arg(metavar="RUN|input", help_behavior_hint="(default: none)")] = None,
    host: Annotated[str, tyro.conf.arg(metavar="HOST")] = "127.0.0.1",
    port: Annotated[int, tyro.conf.arg(metavar="PORT")] = 8080,
    device: Literal["auto", "cpu", "cuda"] = "auto",
) -> None:
    """Show a run in the browser, also while it is being trained: any camera, any time, its objects to be edited.

    Args:
        run: Run folder of `saff-fast train`.
        beside: What stands on the right: another run of the scene, or input, the frames themselves.
        host: Address to listen at; by default only this machine can see the page.
        port: Port to listen at, or the next one that is free.
        device: Where to render; auto is CUDA where it can be used.
    """
    if not 1 <= port <= 65535:
        raise UserError(f"--port must be in [1, 65535], got {port}")
    check_viser()
    from saff_fast.viewer.beside import beside_of
    from saff_fast.viewer.opened import OpenRun
    from saff_fast.viewer.port import free_port, is_loopback
    from saff_fast.viewer.serve import Viewer

    chosen = free_port(host, port)
    _wait_for_a_checkpoint(run)
    opened = OpenRun(run, device)
    right = None if beside is None else beside_of(beside, opened)
    with Viewer(opened, host, chosen, right) as viewer:
        if viewer.port != port:
            print(f"Port {port} is in use, so {viewer.port} is taken.")
        if not is_loopback(host):
            print(f"Warning: whoever reaches {host}:{viewer.port} can see this run and edit its objects.")
        print(f"Viewer: http://{host}:{viewer.port}  (Ctrl-C ends it)", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            viewer.wait()


@contextlib.contextmanager
def beside_training(run: Path) -> Iterator[Callable[[], None]]:
    """What starts, when first called, a process that shows the run until the block ends.

    Another process, since a viewer in this one would draw random numbers and take the interpreter from training.
    """
    processes: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        if not processes:
            command = [sys.executable, "-P", "-m", "saff_fast", "view", str(run)]
            processes.append(subprocess.Popen(command, start_new_session=True))  # Ctrl-C is for training

    try:
        yield start
    finally:
        for process in processes:
            process.terminate()
            process.wait()


def check_viser() -> None:
    """Raise UserError where the page cannot be served."""
    try:
        import viser  # noqa: F401
    except ImportError as error:
        raise UserError(f"view needs viser ({error}); run `pip install 'saff-fast[viewer]'`") from error


def _wait_for_a_checkpoint(run: Path) -> None:
    """A run in training has one soon."""
    from saff_fast.train.run_folder import is_being_trained

    said = False
    while not (run / "checkpoints" / "latest").is_file() and is_being_trained(run):
        if not said:
            print("Viewer: waiting for the first checkpoint of the run", flush=True)
        said = True
        time.sleep(_CHECKPOINT_EVERY)
