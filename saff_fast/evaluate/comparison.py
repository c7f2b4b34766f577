"""Scores of many entries as one table: Markdown, LaTeX, CSV."""

import csv
import io
import statistics
from dataclasses import dataclass
from typing import Any

from saff_fast.evaluate.collect import Entry

MEAN = "mean"


@dataclass(frozen=True)
class Column:
    """A figure of the table."""

    path: tuple[str, ...]
    """Keys in the JSON."""
    title: str
    digits: int


COLUMNS = (
    Column(("splits", "input", "psnr"), "PSNR input", 2),
    Column(("held_out", "static_psnr"), "held-out static", 2),
    Column(("held_out", "moving_psnr"), "held-out moving", 2),
    Column(("splits", "fix_cam0", "psnr"), "PSNR camera 0", 2),
    Column(("splits", "fix_time0", "psnr"), "PSNR time 0", 2),
    Column(("splits", "novel", "psnr"), "PSNR novel", 2),
    Column(("splits", "novel", "dynamic_psnr"), "PSNR dynamic", 2),
    Column(("page_codec", "psnr"), "PSNR page codec", 2),
    Column(("splits", "input", "ari"), "ARI input", 3),
    Column(("splits", "input", "fg_ari"), "fg-ARI input", 3),
    Column(("splits", "input", "fg_jaccard"), "J input", 3),
    Column(("splits", "input", "fg_boundary_f"), "F input", 3),
    Column(("splits", "fix_cam0", "ari"), "ARI camera 0", 3),
    Column(("splits", "fix_cam0", "fg_ari"), "fg-ARI camera 0", 3),
    Column(("splits", "fix_cam0", "fg_jaccard"), "J camera 0", 3),
    Column(("splits", "fix_time0", "ari"), "ARI time 0", 3),
    Column(("splits", "fix_time0", "fg_ari"), "fg-ARI time 0", 3),
    Column(("splits", "fix_time0", "fg_jaccard"), "J time 0", 3),
    Column(("truth", "fg_iou"), "fg IoU", 3),
    Column(("truth", "ari"), "ARI", 3),
    Column(("truth", "fg_ari"), "fg-ARI", 3),
    Column(("truth", "boundary_f"), "F", 3),
    Column(("davis", "jf_mean"), "J&F", 3),
    Column(("consistency", "times", "objects"), "consistency", 3),
)
"""What may be shown, in this order; a column that no entry has is left out."""


@dataclass(frozen=True)
class Comparison:
    """Rows of scores: each system on each scene, and its mean over scenes where there are several."""

    columns: tuple[Column, ...]
    rows: list[tuple[str, str, list[float | None]]]
    """System, scene, values."""


def compare(entries: list[Entry]) -> Comparison:
    """The table of the entries, system by system; a mean is over the scenes that have the figure."""
    values = [[_value(entry.results, column.path) for column in COLUMNS] for entry in entries]
    kept = [k for k in range(len(COLUMNS)) if any(row[k] is not None for row in values)]
    rows: list[tuple[str, str, list[float | None]]] = []
    for system in dict.fromkeys(entry.system for entry in entries):
        own = [
            (system, entry.scene, [row[k] for k in kept])
            for entry, row in zip(entries, values, strict=True)
            if entry.system == system
        ]
        rows += own
        if len(own) > 1:
            rows.append((system, MEAN, [_mean(list(column)) for column in zip(*(row for *_, row in own), strict=True)]))
    return Comparison(tuple(COLUMNS[k] for k in kept), rows)


def as_markdown(table: Comparison) -> str:
    """GitHub's kind of table."""
    header = ["system", "scene", *(column.title for column in table.columns)]
    rule = ["---", "---", *("---:" for _ in table.columns)]
    return "".join(f"| {' | '.join(line)} |\n" for line in (header, rule, *_cells(table)))


def as_latex(table: Comparison) -> str:
    """A `tabular` with the rules of booktabs."""
    header = ["system", "scene", *(column.title for column in table.columns)]
    lines = [f"\\begin{{tabular}}{{ll{'r' * len(table.columns)}}}", "\\toprule", _latex_row(header), "\\midrule"]
    lines += [_latex_row(cells) for cells in _cells(table)]
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}", ""])


def as_csv(table: Comparison) -> str:
    """All digits; an absent figure is an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["system", "scene", *(".".join(column.path) for column in table.columns)])
    writer.writerows([system, scene, *("" if v is None else v for v in values)] for system, scene, values in table.rows)
    return text.getvalue()


def _cells(table: Comparison) -> list[list[str]]:
    return [
        [
            system,
            scene,
            *(
                "-" if value is None else f"{value:.{column.digits}f}"
                for value, column in zip(values, table.columns, strict=True)
            ),
        ]
        for system, scene, values in table.rows
    ]


def _latex_row(cells: list[str]) -> str:
    escaped = (cell.replace("\\", "/").replace("_", "\\_").replace("&", "\\&").replace("%", "\\%") for cell in cells)
    return " & ".join(escaped) + " \\\\"


def _value(results: dict[str, Any], path: tuple[str, ...]) -> float | None:
    value: Any = results
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return float(value) if isinstance(value, int | float) else None


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None
