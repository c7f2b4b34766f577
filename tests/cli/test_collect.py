import json

import numpy as np
import pytest

from saff_fast.cli.main import main
from saff_fast.files import read_image, write_image
from tests.evaluate.scored_run import labels, write_run, write_scene


def test_tables_and_pictures_of_a_run_and_of_a_peer(tmp_path, capsys):
    write_scene(tmp_path / "Umbrella")
    write_run(tmp_path / "run", tmp_path / "Umbrella")
    for frame in (0, 3):
        write_image(tmp_path / "truth" / "Umbrella" / f"{frame:05d}.png", labels(frame))
        write_image(tmp_path / "peer" / "umbrella" / f"{frame}.png", labels(frame) * 9)
    arguments = [str(tmp_path / name) for name in ("run", "peer")]
    out = tmp_path / "out"
    assert main(["collect", *arguments, "--truth", str(tmp_path / "truth"), "--out", str(out)]) == 0
    assert "| run | Umbrella |" in capsys.readouterr().out
    results = json.loads((out / "results.json").read_text())
    assert [(entry["system"], entry["truth"]["fg_iou"]) for entry in results] == [("run", 1.0), ("peer", 1.0)]
    assert {path.name for path in out.iterdir()} == {"table.md", "table.tex", "table.csv", "results.json", "grid.png"}
    grid = read_image(out / "grid.png")
    assert len(np.unique(grid.reshape(-1, 3), axis=0)) > 3


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["absent"], "absent must be a run folder"),
        (["absent", "--relabel", "Truck-2:2"], "such as 3=2 or Truck-2:2=0, got 'Truck-2:2'"),
    ],
)
def test_mistakes(arguments, sentence, capsys):
    assert main(["collect", *arguments]) == 2
    assert sentence in capsys.readouterr().err
