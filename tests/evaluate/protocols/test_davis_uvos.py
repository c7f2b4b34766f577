import shutil

import numpy as np
import pytest

from saff_fast.errors import UserError
from saff_fast.evaluate.boundary import boundary_f
from saff_fast.evaluate.evaluate_run import evaluate_run
from saff_fast.evaluate.protocols.davis_uvos import score_masks
from saff_fast.evaluate.subject import MaskPair
from saff_fast.evaluate.truth import ViewMask
from saff_fast.segment.renders import View
from tests.evaluate.scored_run import write_run, write_scene


def clip(predictions, truths):
    return [
        MaskPair(ViewMask(View(k, "input", k, k), truth, np.ones(truth.shape, bool)), predicted)
        for k, (truth, predicted) in enumerate(zip(truths, predictions, strict=True))
    ]


def blocks(*labels):
    """Squares of 20 pixels side by side."""
    return np.pad(np.kron(np.array([labels]), np.ones((20, 20), np.int64)), 6)


def test_label_numbers_do_not_matter_but_must_stay():
    truths = [blocks(1, 2)] * 2
    right = score_masks(clip([blocks(9, 4)] * 2, truths), 0)["davis"]
    assert right == {"j_mean": 1, "f_mean": 1, "jf_mean": 1, "j_recall": 1, "f_recall": 1}
    exchanged = score_masks(clip([blocks(9, 4), blocks(4, 9)], truths), 0)
    assert exchanged["davis"]["j_mean"] == 0.5
    assert exchanged["davis"]["j_recall"] == 0.5
    assert sorted(frame["j"] for frame in exchanged["frames"]) == [0, 1]


def test_matching_is_by_the_mean_of_j_and_f():
    # One prediction covers both objects: it can have only one of them.
    scores = score_masks(clip([blocks(3, 3)], [blocks(1, 2)]), 0)
    f = boundary_f(blocks(1, 0) > 0, blocks(3, 3) > 0)
    assert scores["davis"]["j_mean"] == pytest.approx((0.5 + 0) / 2)
    assert scores["davis"]["f_mean"] == pytest.approx((f + 0) / 2)
    assert scores["n_true_objects"] == 2


def test_an_object_that_is_absent_is_right_where_nothing_is_found():
    scores = score_masks(clip([blocks(3), blocks(0)], [blocks(1), blocks(0)]), 0)
    assert scores["davis"]["jf_mean"] == 1


def test_input_views_of_a_run(tmp_path):
    write_scene(tmp_path / "scene")
    write_run(tmp_path / "run", tmp_path / "scene")
    results = evaluate_run(tmp_path / "run", protocol="davis-uvos")
    assert results["davis"]["jf_mean"] == 1
    assert len(results["frames"]) == 14
    shutil.rmtree(tmp_path / "scene" / "gt_masks")
    with pytest.raises(UserError, match="must have true masks of input views in gt_masks/"):
        evaluate_run(tmp_path / "run", protocol="davis-uvos")
    with pytest.raises(UserError, match="but are all background"):
        score_masks(clip([blocks(1)], [blocks(0)]), 0)
