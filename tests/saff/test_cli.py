"""`import-checkpoint`, `train --saff-config` and `--hold-out odd` from the command line."""

import shutil

import pytest
import torch

from saff_fast.cli.main import main
from saff_fast.preparation import prepare_synthetic
from saff_fast.train import run as training
from saff_fast.train.run_folder import read_config
from tests.saff.published import random_checkpoint


@pytest.fixture(scope="session")
def scene(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saff_cli") / "scene"
    prepare_synthetic(folder, 18, 32, 7)
    return folder


@pytest.fixture
def asked(monkeypatch):
    """What training is called with, in place of training."""
    calls = []
    monkeypatch.setattr(training, "train", lambda *arguments, **options: calls.append((*arguments, options)))
    return calls


def test_import_with_the_configuration_beside_it(scene, tmp_path, capsys):
    torch.save(random_checkpoint(n_semantic=64, width=8, deep=True), tmp_path / "360000.tar")
    (tmp_path / "config.txt").write_text("final_height = 18\nN_samples = 16\nuse_tanh = False\nnetwidth = 256\n")
    arguments = ["import-checkpoint", tmp_path / "360000.tar", scene, "--out", tmp_path / "run"]
    arguments += ["--saff-config", tmp_path / "config.txt", "--set", "field.reference.static_part=false"]
    assert main([str(argument) for argument in arguments]) == 0
    assert "step 360000, 8 layers of 8, 16 samples" in capsys.readouterr().out
    config = read_config(tmp_path / "run")
    reference = config.field.reference
    assert (config.train.height, config.field.kind) == (18, "reference")
    assert (reference.n_samples, reference.tanh, reference.static_part) == (16, False, False)
    assert (reference.width, reference.deep_semantics) == (8, True)  # the file knows better


def test_import_refuses_in_one_sentence(scene, tmp_path, capsys):
    (tmp_path / "360000.tar").write_text("letter")
    assert main(["import-checkpoint", str(tmp_path / "360000.tar"), str(scene), "--out", str(tmp_path / "run")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("word", "frames"), [("odd", (1, 3, 5)), ("even", (0, 2, 4, 6)), ("2,4", (2, 4))])
def test_words_for_held_out_frames(scene, tmp_path, asked, word, frames):
    main(["train", str(scene), "--out", str(tmp_path / "run"), "--hold-out", word])
    assert asked[0][2].train.hold_out == frames


def test_train_takes_a_published_configuration(scene, tmp_path, asked, capsys, monkeypatch):
    shutil.copytree(scene, tmp_path / "Umbrella-2" / "dense")
    (tmp_path / "config.txt").write_text("datadir = Umbrella/dense\nfinal_height = 18\nw_cycle = 0.7\nllffhold = 3\n")
    monkeypatch.chdir(tmp_path)
    assert main(["train", "--out", "run", "--saff-config", "config.txt", "--set", "published.w_sm=0.3"]) == 0
    folder, _, config, options = asked[0]
    assert str(folder) == "Umbrella-2/dense"
    assert (config.objective, config.train.height, config.field.kind) == ("published", 18, "hash")
    assert (config.published.w_cycle, config.published.w_sm, config.published.w_sf_reg) == (0.7, 0.3, 0.1)
    text = options["notes"]["saff_config.txt"]
    assert "w_cycle = 0.7 -> published.w_cycle=0.7" in text
    assert text in capsys.readouterr().out


def test_notes_lie_beside_the_configuration(scene, tmp_path):
    from saff_fast.config import override
    from saff_fast.train.config import ExperimentConfig

    config = override(ExperimentConfig(), ["train.height=18", "train.steps=1", "train.rays=8", "train.moving_rays=4"])
    training.train(scene, tmp_path / "run", config, notes={"saff_config.txt": "mine\n"})
    assert (tmp_path / "run" / "saff_config.txt").read_text() == "mine\n"
    training.train(scene, tmp_path / "run", config)
