"""What a run leaves beside its checkpoints: previews, TensorBoard's files."""

import sys
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from saff_fast.errors import UserError
from saff_fast.train.run import train
from tests.train.runs import assert_same_state, final_state, metrics


class Writer:
    """Stands in for torch's SummaryWriter and remembers what it is told."""

    opened: list["Writer"]

    def __init__(self, folder, purge_step):
        self.folder, self.purge_step, self.closed = folder, purge_step, False
        self.scalars, self.images = {}, {}
        Writer.opened.append(self)

    def add_scalar(self, name, value, step):
        self.scalars[name, step] = value

    def add_image(self, name, picture, step, dataformats):
        assert dataformats == "HWC"
        self.images[name, step] = picture

    def close(self):
        self.closed = True


@pytest.fixture
def writers(monkeypatch):
    """All writers that were opened."""
    Writer.opened = []
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", SimpleNamespace(SummaryWriter=Writer))
    return Writer.opened


def test_previews_change_nothing(scene_folder, tmp_path, tiny_config, finished):
    run = tmp_path / "run"
    train(scene_folder, run, tiny_config(preview_every=4))
    assert sorted(path.name for path in (run / "preview").iterdir()) == [
        "step_000004.png",
        "step_000008.png",
        "step_000012.png",
    ]
    assert_same_state(final_state(run), final_state(finished))
    assert not (finished / "preview").exists()


def test_a_preview_begins_with_the_frame(scene_folder, tmp_path, tiny_config):
    train(scene_folder, tmp_path / "run", tiny_config(steps=2, preview_every=2, hold_out=(3,)))
    picture = cv2.imread(str(tmp_path / "run" / "preview" / "step_000002.png"))
    assert picture.shape == (36, 5 * 64, 3)
    (images,) = scene_folder.glob("images_64x36")
    frame = cv2.imread(str(sorted(images.iterdir())[2]))  # the middle of 0, 1, 2, 4, 5
    np.testing.assert_array_equal(picture[:, :64], frame)


def test_tensorboard_has_the_log_and_the_previews(scene_folder, tmp_path, tiny_config, writers):
    train(scene_folder, tmp_path / "run", tiny_config(preview_every=6), tensorboard=True)
    (writer,) = writers
    assert (writer.folder, writer.purge_step, writer.closed) == (tmp_path / "run" / "tensorboard", 1, True)
    for entry in metrics(tmp_path / "run"):
        step, loss = entry["step"], entry["loss"]
        assert {f"train/{name}" for name in loss} < {name for name, at in writer.scalars if at == step}
        assert writer.scalars["train/rgb", step] == loss["rgb"]
        assert writer.scalars["train/loss", step] == pytest.approx(sum(loss.values()))
        assert writer.scalars["train/psnr", step] == entry["psnr"]
        for name in ("rays_per_second", "learning_rate", "samples_per_ray"):
            assert writer.scalars[f"rates/{name}", step] == entry[name]
    assert sorted(writer.images) == [("preview", 6), ("preview", 12)]


def test_tensorboard_forgets_what_a_run_takes_back(scene_folder, tmp_path, tiny_config, writers, poison):
    poison(7)
    train(scene_folder, tmp_path / "run", tiny_config(), tensorboard=True)
    assert [(writer.purge_step, writer.closed) for writer in writers] == [(1, True), (6, True)]


def test_without_tensorboard_a_sentence_says_how_to_get_it(scene_folder, tmp_path, tiny_config, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(UserError, match=r"pip install 'saff-fast\[log\]'"):
        train(scene_folder, tmp_path / "run", tiny_config(), tensorboard=True)
    assert not (tmp_path / "run").exists()


def test_real_event_files(scene_folder, tmp_path, tiny_config):
    pytest.importorskip("tensorboard")
    train(scene_folder, tmp_path / "run", tiny_config(preview_every=6), tensorboard=True)
    assert list((tmp_path / "run" / "tensorboard").glob("events.*"))
