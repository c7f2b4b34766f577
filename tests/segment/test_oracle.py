import numpy as np
import pytest
import torch

from saff_fast.cli.main import main
from saff_fast.errors import UserError
from saff_fast.files import read_json, read_labels, save_json, write_image
from saff_fast.segment.config import SegmentConfig
from saff_fast.segment.oracle import Oracle, read_oracle
from saff_fast.segment.pipeline import segment_run
from saff_fast.segment.renders import read_renders
from tests.segment.rendered_run import HEIGHT, MOVER_A, STATIC_OBJECT, WIDTH, instances, write_run


@pytest.fixture
def run(tmp_path):
    write_run(tmp_path / "run", tmp_path / "scene")
    return tmp_path / "run"


def test_share_of_a_label_in_the_foreground_decides():
    labels = torch.tensor([[0] * 10, [1] * 10, [3] * 10])
    foreground = torch.zeros(3, 10, dtype=torch.bool)
    foreground[0, :2], foreground[1, :3], foreground[2, :10] = True, True, True
    assert Oracle(0, foreground).elect(labels, 5, 0.3).tolist() == [False, True, False, True, False]


def test_what_the_oracle_names_is_an_object_in_all_views_though_it_never_moves(run):
    write_image(run / "true.png", 7 * (instances(0) == STATIC_OBJECT).astype(np.uint8))
    report = segment_run(run, SegmentConfig(), run / "true.png")
    assert report.n_objects == 1
    for view in (0, 3, 6):
        found = read_labels(run / "segment" / "final" / "labels" / f"{view:05d}.png") > 0
        true = instances(view % 4) == STATIC_OBJECT
        assert (found & true).sum() / (found | true).sum() > 0.95
    assert read_json(run / "segment" / "segment.json")["oracle"] == "true.png"
    segment_run(run, SegmentConfig())
    assert read_json(run / "segment" / "segment.json")["oracle"] is None


def test_masks_of_colmap_are_black_where_something_moves(run, capsys):
    mask = np.where(instances(0) == MOVER_A, 0, 255).astype(np.uint8)
    write_image(run / "00000.png.png", np.kron(mask, np.ones((2, 2), np.uint8)))  # of another size
    oracle = read_oracle(run / "00000.png.png", read_renders(run))
    np.testing.assert_array_equal(oracle.foreground.numpy(), instances(0) == MOVER_A)
    assert main(["segment", str(run), "--oracle", str(run / "00000.png.png")]) == 0
    assert "1 objects" in capsys.readouterr().out


def test_a_run_without_view_0_is_refused(run):
    write_image(run / "true.png", np.ones((HEIGHT, WIDTH), np.uint8))
    listing = read_json(run / "render" / "views.json")
    save_json(run / "render" / "views.json", listing | {"views": listing["views"][1:]})
    with pytest.raises(UserError, match=r"must hold view 0, which .*true\.png is of"):
        segment_run(run, SegmentConfig(), run / "true.png")
    with pytest.raises(UserError, match=r"lacking\.png"):
        segment_run(run, SegmentConfig(), run / "lacking.png")
