"""One way to time two sides of a comparison, and one form for the outcome: a table on the screen, JSON in a file.

Both sides run in turn within one process, so that whatever else the machine does falls on both. The device is CUDA
where there is one and the CPU elsewhere.
"""

import argparse
import math
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from command import command
from rich.console import Console
from rich.table import Table

from saff_fast.backends import BackendConfig
from saff_fast.files import save_json
from saff_fast.train.memory import keep_freed_memory
from saff_fast.train.run_folder import environment

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
_SHORTEST_MS = 20.0  # what is quicker is repeated within one timing: a clock and a synchronisation cost microseconds
_LONG_MS = 1000.0

Run = Callable[[], object]


@dataclass(frozen=True)
class Timing:
    """Milliseconds of one call."""

    median_ms: float
    spread_ms: float
    """Distance of the quartiles."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """Two ways to do the same work."""

    name: str
    unit: str
    """What a unit of work is."""
    ours: Run
    reference: Run
    reference_name: str
    """The file of a baseline, or the package."""
    backend: str = "native"
    """What ours runs on."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the outcome."""

    name: str
    backend: str
    median_ms: float
    spread_ms: float
    ratio: float
    """Time of the reference over ours, per unit of work."""
    reference: str
    reference_ms: float
    unit: str
    figures: dict[str, float] = field(default_factory=dict)
    """Whatever else was measured."""


def timings(runs: Sequence[Run], repeats: int) -> list[Timing]:
    """Time several functions in turn, `repeats` rounds after a warm-up."""
    calls = [max(1, math.ceil(_SHORTEST_MS / max(_warm_ms(run), 1e-3))) for run in runs]
    rounds = [[_milliseconds(run, n) for run, n in zip(runs, calls, strict=True)] for _ in range(repeats)]
    return [_summary(list(values)) for values in zip(*rounds, strict=True)]


def compare(case: Case, repeats: int) -> Row:
    """Time both sides of a case in turn."""
    ours, reference = timings([case.ours, case.reference], repeats)
    return row(case.name, case.unit, (ours, reference), case.reference_name, backend=case.backend)


def row(
    name: str,
    unit: str,
    times: tuple[Timing, Timing],
    reference: str,
    units: tuple[float, float] = (1.0, 1.0),
    backend: str = "native",
    figures: dict[str, float] | None = None,
) -> Row:
    """The line of a comparison: `times` of one call, and `units` of work in it, of ours and of the reference."""
    ours, theirs = times
    return Row(
        name=name,
        backend=backend,
        median_ms=ours.median_ms,
        spread_ms=ours.spread_ms,
        ratio=theirs.median_ms / units[1] / (ours.median_ms / units[0]),
        reference=reference,
        reference_ms=theirs.median_ms,
        unit=unit,
        figures=figures or {},
    )


def best_size(sizes: Sequence[int], run: Callable[[int], object]) -> int:
    """The size of which most units pass a second."""
    rates = {}
    for size in sizes:
        run(size)
        rates[size] = size / _milliseconds(lambda size=size: run(size), 1)
    return max(rates, key=lambda size: rates[size])


def parser(description: str | None) -> argparse.ArgumentParser:
    """The options that every benchmark has."""
    options = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--json", type=Path, metavar="FILE", help="where to write the outcome")
    options.add_argument("--quick", action="store_true", help="fewer repeats and less work: under 3 minutes on 2 cores")
    return options


class Report:
    """The rows of one benchmark, as they come in."""

    def __init__(self, options: argparse.Namespace) -> None:
        keep_freed_memory()  # what training and rendering do; both sides of a comparison profit
        self.options = options
        self.repeats = 3 if options.quick else 9
        self._rows: list[Row] = []
        self._skipped: list[dict[str, str]] = []

    def compare(self, case: Case) -> None:
        """Time a case."""
        self.add(compare(case, self.repeats))

    def add(self, *rows: Row) -> None:
        """Take rows that are timed already, and say so."""
        for new in rows:
            self._rows.append(new)
            print(f"{new.name}: {new.median_ms:.3g} ms, {new.ratio:.3g} x {new.reference}", file=sys.stderr)

    def skip(self, name: str, reason: str) -> None:
        """Note a row that cannot be had here."""
        self._skipped.append({"name": name, "reason": reason})

    def finish(self) -> None:
        """Print the table; write the file if one was asked for."""
        print_table(asdict(new) for new in self._rows)
        for line in self._skipped:
            print(f"skipped {line['name']}: {line['reason']}")
        if self.options.json is not None:
            backend = BackendConfig().resolved(DEVICE.type)
            document = environment(DEVICE, backend) | {"command": command(), "quick": self.options.quick}
            document |= {"rows": [asdict(new) for new in self._rows], "skipped": self._skipped}
            save_json(self.options.json, document)


def print_table(rows: Iterable[dict[str, Any]]) -> None:
    table = Table()
    for column in ("row", "backend"):
        table.add_column(column, overflow="fold")
    for column in ("ms", "spread", "ratio"):
        table.add_column(column, justify="right")
    for column in ("reference", "unit", "figures"):
        table.add_column(column, overflow="fold")
    for entry in rows:
        numbers = (f"{entry[name]:.4g}" for name in ("median_ms", "spread_ms", "ratio"))
        figures = ", ".join(f"{name} {value:.4g}" for name, value in entry["figures"].items())
        table.add_row(entry["name"], entry["backend"], *numbers, entry["reference"], entry["unit"], figures)
    Console(width=None if sys.stdout.isatty() else 200).print(table)


def _warm_ms(run: Run) -> float:
    """Milliseconds of the second call, since the first may compile, allocate and load; of a long call, the first's."""
    first = _milliseconds(run, 1)
    return first if first > _LONG_MS else _milliseconds(run, 1)


def _milliseconds(run: Run, calls: int) -> float:
    _synchronise()
    start = time.perf_counter()
    for _ in range(calls):
        run()
    _synchronise()
    return (time.perf_counter() - start) / calls * 1e3


def _synchronise() -> None:
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()


def _summary(milliseconds: list[float]) -> Timing:
    low, middle, high = statistics.quantiles(milliseconds, n=4, method="inclusive")
    return Timing(middle, high - low)
