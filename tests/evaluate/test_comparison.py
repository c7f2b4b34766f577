import csv
import io

import pytest

from saff_fast.evaluate.collect import Entry
from saff_fast.evaluate.comparison import COLUMNS, as_csv, as_latex, as_markdown, compare
from saff_fast.evaluate.evaluate_run import evaluate_run
from saff_fast.files import write_image
from tests.evaluate.scored_run import labels, write_run, write_scene


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


def test_letters_that_mean_something_to_latex():
    (text,) = as_latex(
        compare([Entry("50%_a&b\\c", "A", {"truth": {"ari": 1.0}}, lambda view: None, ())])
    ).splitlines()[4:5]
    assert text == "50\\%\\_a\\&b/c & A & 1.000 \\\\"


def test_columns_are_keys_of_what_protocols_write(tmp_path):
    write_scene(tmp_path / "scene")
    write_run(tmp_path / "run", tmp_path / "scene", held_out=(13,))
    write_image(tmp_path / "true" / "00000.png", labels(0))
    known = set()
    for protocol in ("saff-clean", "davis-uvos"):
        results = evaluate_run(tmp_path / "run", tmp_path / "true", protocol)
        known |= {column.path for column in compare([Entry("a", "b", results, lambda view: None, ())]).columns}
    elsewhere = {("page_codec", "psnr"), ("splits", "novel", "psnr"), ("splits", "novel", "dynamic_psnr")}
    assert known == {column.path for column in COLUMNS} - elsewhere


def test_csv_keeps_all_digits(table):
    rows = list(csv.reader(io.StringIO(as_csv(table))))
    assert rows[0] == ["system", "scene", "truth.fg_iou", "truth.ari"]
    assert rows[2] == ["our_run", "B", "0.6", ""]
