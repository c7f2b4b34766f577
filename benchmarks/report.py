"""The committed outcomes under `benchmarks/results/` as `benchmarks/REPORT.md`, with plots.

    python benchmarks/report.py

Every `.json` there that has rows becomes a section. Rows `scaling.QUANTITY.SIZE` are drawn: `results/*.svg`.
"""

import json
from pathlib import Path
from typing import Any

from svg import Line, plot

from saff_fast.files import atomic_path

FOLDER = Path(__file__).resolve().parent
RESULTS, REPORT = "results", "REPORT.md"
_HEAD = """# Measured speed

Made by `python benchmarks/report.py` from the files in `benchmarks/results/`. `ratio` is the time of the reference over
ours for the same work, both measured in turn in one run; `spread` is the distance of the quartiles. What a row times,
and what its reference is, the script named in the command says.
"""


def main() -> None:
    write(FOLDER)


def write(folder: Path) -> None:
    """Make the report and the plots of the results in `folder`."""
    sections = [_HEAD]
    for path in sorted((folder / RESULTS).glob("*.json")):
        document = json.loads(path.read_text())
        if document.get("rows"):
            sections.append(section(path.stem, document))
            sections += [draw(folder / RESULTS, path.stem, *found) for found in sweeps(document["rows"]).items()]
            if len(curve := [row for row in document["rows"] if row["name"].startswith("time_to_quality.")]) > 1:
                sections.append(draw_curve(folder / RESULTS, path.stem, curve))
    _write(folder / REPORT, "\n".join(sections))


def section(name: str, document: dict[str, Any]) -> str:
    """Heading, circumstances and table of one run."""
    lines = [f"## {name}", ""]
    if document.get("quick"):
        lines += ["A `--quick` run: fewer repeats, less work.", ""]
    threads = f", {document['threads']} threads" if "threads" in document else ""
    lines += [f"{document['device']}{threads}, commit {document['commit']}: `{document['command']}`", ""]
    lines += ["| row | backend | ms | spread | ratio | reference | unit | figures |"]
    lines += ["| --- | --- | ---: | ---: | ---: | --- | --- | --- |"]
    for row in document["rows"]:
        numbers = [_number(row[key]) for key in ("median_ms", "spread_ms", "ratio")]
        figures = ", ".join(f"{key} {_number(value)}" for key, value in row.get("figures", {}).items())
        cells = [row["name"], row["backend"], *numbers, row["reference"], row.get("unit", ""), figures]
        lines.append(f"| {' | '.join(cells)} |")
    lines += [f"\nNot measured: {entry['name']} ({entry['reason']})." for entry in document.get("skipped", [])]
    return "\n".join(lines) + "\n"


def sweeps(rows: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Rows of one scaled quantity each."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        kind, _, rest = row["name"].partition(".")
        if kind == "scaling":
            found.setdefault(rest.rpartition(".")[0], []).append(row)
    return found


def draw(folder: Path, name: str, quantity: str, rows: list[dict[str, Any]]) -> str:
    """Write the plot of one quantity; the line that shows it."""
    times, memory = (
        [(row["figures"][quantity], value) for row, value in zip(rows, values, strict=True) if value > 0]
        for values in ([row["median_ms"] for row in rows], [row["figures"]["peak_mib"] for row in rows])
    )
    lines = [Line("time [ms]", "#1f77b4", times), Line("memory [MiB]", "#d62728", memory)]
    title = quantity.replace("_", " ")
    file = f"{name}_{quantity}.svg"
    _write(folder / file, plot(f"a training step against {title}", title, lines))
    return f"![a training step against {title}]({RESULTS}/{file})\n"


def draw_curve(folder: Path, name: str, rows: list[dict[str, Any]]) -> str:
    """Write the plot of PSNR against time to train; the line that shows it."""
    colours = {"input": ("#1f77b4", "#aec7e8"), "novel": ("#d62728", "#ff9896")}
    lines = [
        Line(f"{views} views, {side}", colour, [(row["figures"]["seconds"], row["figures"][key]) for row in rows])
        for views, pair in colours.items()
        for side, colour, key in zip(
            ("hash grids", "published networks"), pair, (f"{views}_psnr", f"reference_{views}_psnr"), strict=True
        )
        if key in rows[0]["figures"]
    ]
    _write(folder / f"{name}.svg", plot("PSNR [dB] against time to train", "seconds", lines))
    return f"![PSNR against time to train]({RESULTS}/{name}.svg)\n"


def _write(path: Path, text: str) -> None:
    with atomic_path(path) as partial:
        partial.write_text(text)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


if __name__ == "__main__":
    main()
