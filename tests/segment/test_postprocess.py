import shutil
from dataclasses import replace

import numpy as np
import pytest

from saff_fast.cli.main import main
from saff_fast.errors import UserError
from saff_fast.evaluate.masks import read_prediction
from saff_fast.files import read_labels, write_image
from saff_fast.segment import postprocess as module
from saff_fast.segment.labels import write_labels
from saff_fast.segment.postprocess import PostprocessConfig, is_current, postprocess_run, run_masks
from saff_fast.segment.renders import View
from tests.segment.rendered_run import HEIGHT, MOVER_A, MOVER_B, WIDTH, instances, write_run

CONFIG = PostprocessConfig()
WITH_CRF = PostprocessConfig(use_crf=True, min_component=0, backend="torch", device="cpu")


def objects(time):
    labels = instances(time)
    return np.where((labels == MOVER_A) | (labels == MOVER_B), labels, 0)


@pytest.fixture
def run(tmp_path):
    """A run whose masks are right but for a hole in each view; colour and depth show the objects' edges."""
    views = write_run(tmp_path / "run", tmp_path / "scene")
    for view in views:
        labels = objects(view["time"])
        colours = np.array([[40, 60, 50], [200, 90, 60], [60, 80, 220]], np.uint8)[labels]
        write_image(tmp_path / "run" / "render" / f"{view['id']}_rgb.png", colours)
        write_image(tmp_path / "run" / "render" / f"{view['id']}_depth.png", (220 - 60 * labels).astype(np.uint8))
        y, x = np.argwhere(labels == MOVER_A)[0] + 3
        labels[y : y + 2, x : x + 1] = 0
        write_labels(tmp_path / "run" / "segment" / "final", view["id"], labels)
    return tmp_path / "run"


def read(run, view):
    return read_labels(run / "postprocess" / "final" / "labels" / f"{view:05d}.png")


def test_holes_are_filled_in_every_view_and_labels_keep_their_numbers(run):
    assert postprocess_run(run, CONFIG) == 12
    for view, time in ((0, 0), (3, 3), (5, 1), (8, 0)):
        np.testing.assert_array_equal(read(run, view), objects(time))


def test_as_published_the_holes_stay(run):
    postprocess_run(run, PostprocessConfig(parity=True))
    assert (read(run, 0) != objects(0)).any()


@pytest.mark.parametrize("backend", ["torch", "pydensecrf"])
def test_the_crf_moves_edges_to_those_of_colour_and_depth(run, backend):
    if backend == "pydensecrf":
        pytest.importorskip("pydensecrf", reason="pydensecrf is not installed")
    shifted = np.roll(objects(0), 1, axis=1)
    write_labels(run / "segment" / "final", 0, shifted)
    # Widths at 288 pixels would reach over the whole of this picture.
    settings = ("--set", f"backend={backend}", "--set", "min_component=0", "--set", "device=cpu")
    assert main(["postprocess", str(run), "--crf", *settings]) == 0
    assert (read(run, 0) != objects(0)).mean() < 0.2 * (shifted != objects(0)).mean()


def test_labels_of_the_crf_are_those_of_the_view_whatever_their_numbers(run):
    write_labels(run / "segment" / "final", 0, np.array([0, 4, 9])[objects(0)])
    postprocess_run(run, WITH_CRF)
    np.testing.assert_array_equal(read(run, 0), np.array([0, 4, 9])[objects(0)])


def test_lengths_of_the_crf_follow_the_height_unless_as_published(run, monkeypatch):
    scales = []
    given = module.pairwise_terms
    monkeypatch.setattr(module, "pairwise_terms", lambda *args: scales.append(args[-1]) or given(*args))
    monkeypatch.setattr(module, "clean_as_published", lambda labels: labels)  # nothing of this size would be left
    postprocess_run(run, WITH_CRF)
    postprocess_run(run, replace(WITH_CRF, parity=True))
    assert set(scales) == {HEIGHT / 288, 1.0}


def test_an_interrupted_run_is_not_taken_for_complete(run, monkeypatch):
    postprocess_run(run, CONFIG)

    def interrupt(*_args, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "clean", interrupt)
    with pytest.raises(KeyboardInterrupt):
        postprocess_run(run, CONFIG)
    assert not is_current(run)


def test_a_view_of_one_label_passes(run):
    write_labels(run / "segment" / "final", 0, np.zeros((HEIGHT, WIDTH), np.int64))
    postprocess_run(run, WITH_CRF)
    assert not read(run, 0).any()


def test_evaluation_takes_the_cleaned_masks_until_the_run_is_segmented_anew(run):
    view = View(0, "input", 0, 0)
    assert run_masks(run) == run / "segment" / "final"
    postprocess_run(run, CONFIG)
    assert run_masks(run) == run / "postprocess" / "final"
    np.testing.assert_array_equal(read_prediction(run, view), objects(0))
    write_labels(run / "segment" / "final", 3, objects(3))
    assert not is_current(run)
    assert run_masks(run) == run / "segment" / "final"


def test_mistakes(run):
    write_labels(run / "segment" / "final", 2, np.zeros((5, 5), np.int64))
    with pytest.raises(UserError, match=r"00002\.png must be 40x24 like the renders, got 5x5"):
        postprocess_run(run, CONFIG)
    assert not is_current(run)
    (run / "segment" / "final" / "labels" / "00003.png").unlink()
    with pytest.raises(UserError, match="but lacks 3; run `saff-fast segment"):
        postprocess_run(run, CONFIG)
    with pytest.raises(ValueError, match=r"min_component must be in \[0, 1\], got 2"):
        PostprocessConfig(min_component=2)
    shutil.rmtree(run / "render")
    with pytest.raises(UserError, match="run `saff-fast render"):
        postprocess_run(run, CONFIG)
