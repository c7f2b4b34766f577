"""The stages of a preparation: a graph by what they read and write, each run when its inputs changed."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from saff_fast.errors import UserError
from saff_fast.priors.record import Record


@dataclass(frozen=True)
class StageProgress:
    """How far one stage is."""

    stage: str
    done: int
    total: int
    """Pieces of work; 0 where the stage is one piece."""
    seconds: float
    """Since it began."""
    kept: int = 0
    """Pieces of `done` that an interrupted run left finished."""


@dataclass(frozen=True)
class Stage:
    """One step from pictures to a scene."""

    name: str
    reads: tuple[str, ...]
    """Patterns of the top-level names, in the scene folder, of what it reads: all that earlier stages tell it."""
    owned: tuple[str, ...]
    """Patterns of what it writes."""
    run: Callable[[Callable[[int, int, int], None]], str]
    """Computes; told a function to call with done, total and kept pieces. Gives the method or network behind it."""
    options: tuple[object, ...] = ()
    """What it depends on beside the files it reads; anything that JSON can hold."""
    check: Callable[[], object] = lambda: None
    """Raises what would stop the stage, before it writes anything."""
    version: int = 1
    """Raised whenever the same inputs would give other files."""


def run_stages(
    stages: Sequence[Stage],
    record: Record,
    redo: Sequence[str] = (),
    on_progress: Callable[[StageProgress], None] = lambda progress: None,
) -> tuple[str, ...]:
    """Run the stages whose inputs changed since they ran; gives the names of those that ran.

    A stage's key is the hash of its version, its options and the contents of the files it reads. So a stage that is
    redone and writes the same files as before has no consequences, and what no stage reads of another ties them not.

    Args:
        stages: In an order in which each comes after those whose files it reads.
        record: Of the scene folder.
        redo: Stages to run again in any case. Those that read what they write follow if that comes out differently.
        on_progress: Told how far the stage at hand is.

    Raises:
        UserError: A name in `redo` that no stage has.
    """
    names = [stage.name for stage in stages]
    for name in redo:
        if name not in names:
            raise UserError(f"--redo must name one of the steps {', '.join(names)}, but it is {name!r}.")
    record.forget(redo)
    ran = []
    for stage in stages:
        key = record.key([stage.name, stage.version, stage.options], stage.reads)
        if record.is_done(stage.name, key):
            continue
        stage.check()
        record.begin(stage.name, key, stage.owned)
        began = time.monotonic()

        def tell(done: int, total: int, kept: int = 0, name: str = stage.name, began: float = began) -> None:
            on_progress(StageProgress(name, done, total, time.monotonic() - began, kept))

        tell(0, 0)
        made_by = stage.run(tell)
        record.finish(stage.name, stage.owned, made_by, time.monotonic() - began)
        ran.append(stage.name)
    return tuple(ran)
