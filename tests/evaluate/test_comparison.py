import csv
import io

import pytest

from saff_fast.evaluate.collect import Entry
from saff_fast.evaluate.comparison import as_csv, as_latex, as_markdown, compare


@pytest.fixture
def table():
    def entry(system, scene, **truth):
        return Entry(system, scene, {"truth": truth}, lambda view: None, ())

    return compare(
        [
            entry("our_run", "A", fg_iou=0.8, ari=0.75),
            entry("peer", "A", fg_iou=0.5),
            entry("our_run", "B", fg_iou=0.6),
        ]
    )


def test_rows_by_system_with_a_mean_where_there_are_several_scenes(table):
    assert [column.title for column in table.columns] == ["fg IoU", "ARI"]
    assert table.rows == [
        ("our_run", "A", [0.8, 0.75]),
        ("our_run", "B", [0.6, None]),
        ("our_run", "mean", [pytest.approx(0.7), 0.75]),
        ("peer", "A", [0.5, None]),
    ]


def test_markdown(table):
    lines = as_markdown(table).splitlines()
    assert lines[0] == "| system | scene | fg IoU | ARI |"
    assert lines[1] == "| --- | --- | ---: | ---: |"
    assert lines[3] == "| our_run | B | 0.600 | - |"


def test_latex_is_a_whole_tabular_with_its_letters_escaped(table):
    text = as_latex(table)
    assert text.startswith("\\begin{tabular}{llrr}\n\\toprule\n")
    assert "our\\_run & A & 0.800 & 0.750 \\\\\n" in text
    assert text.endswith("\\bottomrule\n\\end{tabular}\n")


def test_csv_keeps_all_digits(table):
    rows = list(csv.reader(io.StringIO(as_csv(table))))
    assert rows[0] == ["system", "scene", "truth.fg_iou", "truth.ari"]
    assert rows[2] == ["our_run", "B", "0.6", ""]
