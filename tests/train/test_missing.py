"""Scenes that lack something, or have little to say, or have many frames: training goes on and says so."""

import dataclasses
import shutil
import subprocess
import sys

import numpy as np
import pytest

from saff_fast import files
from saff_fast.config import dump_config
from saff_fast.errors import UserError
from saff_fast.scene.reader import read_scene
from saff_fast.train.config import LossConfig
from saff_fast.train.missing import missing_priors
from saff_fast.train.run import train
from saff_fast.train.trainer import Trainer
from tests.train.runs import final_state, metrics


@pytest.fixture
def scene(scene_folder, tmp_path):
    """A copy of the scene, to be spoilt."""
    return shutil.copytree(scene_folder, tmp_path / "scene")


def trained(scene, tmp_path, config):
    """What a short run says, and its log; its last state is finite."""
    sentences = []
    train(scene, tmp_path / "run", config, notice=sentences.append)
    assert all(tensor.isfinite().all() for tensor in final_state(tmp_path / "run").values())
    return sentences, metrics(tmp_path / "run")


def test_nothing_is_missing(scene_folder):
    assert missing_priors(read_scene(scene_folder, 36)) == []


@pytest.mark.parametrize(
    ("folders", "sentences", "off"),
    [
        (["flow_i1"], ["optical flow"], ["flow_next", "flow_previous"]),
        (["disp", "confidence"], ["depth"], ["depth", "dynamic_depth"]),
        (["motion_masks"], ["evidence of motion"], ["motion_missing"]),
        (["semantics", "saliency"], ["semantics", "saliency"], []),
        (
            ["flow_i1", "disp", "confidence", "motion_masks", "semantics", "saliency"],
            ["depth", "optical flow", "evidence of motion", "semantics", "saliency"],
            ["flow_next", "flow_previous", "depth", "dynamic_depth", "motion_missing"],
        ),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else None,
)
def test_a_prior_is_missing(scene, tmp_path, tiny_config, folders, sentences, off):
    for folder in folders:
        shutil.rmtree(scene / folder, ignore_errors=True)
    said, log = trained(scene, tmp_path, tiny_config(steps=6))
    assert [sentence.removeprefix("The scene has no ").split(":")[0] for sentence in said] == sentences
    for entry in log:
        assert [name for name in off if entry["loss"][name] != 0] == []
        assert ("semantic" in entry["loss"]) == ("semantics" not in folders)


def test_without_depth_the_whole_space_is_searched(scene, tmp_path, tiny_config):
    shutil.rmtree(scene / "disp")
    shutil.rmtree(scene / "confidence", ignore_errors=True)
    trainer = Trainer(read_scene(scene, 36), tmp_path / "run", tiny_config(hold_out=(2,)))
    occupancy = trainer.model.occupancy
    assert occupancy.static_candidates.all()
    assert occupancy.dynamic_candidates.all()
    assert occupancy.trained.tolist() == [True, True, False, True, True, True]


def test_disparities_that_are_the_same_everywhere_are_none(scene, tmp_path, tiny_config):
    for path in (scene / "disp").iterdir():
        files.save_npy(path, np.full_like(np.load(path), 0.5))
    said, log = trained(scene, tmp_path, tiny_config(steps=2))
    assert said == ["The scene has no depth: its losses are off, and the whole space is searched."]
    assert log[-1]["loss"]["depth"] == 0


def test_part_of_a_prior_is_a_mistake(scene, tmp_path, tiny_config):
    (scene / "flow_i1" / "00002_fwd.npz").unlink()
    with pytest.raises(UserError, match=r"00002_fwd\.npz must exist"):
        train(scene, tmp_path / "run", tiny_config())


def test_all_weights_zero(scene_folder, tmp_path, tiny_config):
    """What is left is the colour of the joint render."""
    zeros = LossConfig(**{field.name: 0.0 for field in dataclasses.fields(LossConfig)})
    _, log = trained(scene_folder, tmp_path, dataclasses.replace(tiny_config(steps=6), loss=zeros))
    assert {name for name, value in log[-1]["loss"].items() if value} == {"rgb"}


def still_scene(folder, n_frames, size=(36, 64)):
    """One picture seen by one camera `n_frames` times: nothing moves, and nothing has a parallax."""
    height, width = size
    generator = np.random.default_rng(0)
    picture = generator.integers(0, 256, (height, width, 3), dtype=np.uint8)
    camera = np.concatenate([np.eye(4)[:3], np.array([[height], [width], [float(width)]])], 1)
    rows = np.concatenate([camera.reshape(-1), [1.0, 10.0]])
    files.save_npy(folder / "poses_bounds.npy", np.tile(rows, (n_frames, 1)))
    flow = {"flow": np.zeros((height, width, 2), np.float16), "mask": np.ones((height, width), bool)}
    for frame in range(n_frames):
        files.write_image(folder / "images" / f"{frame:05d}.png", picture)
        files.save_npy(folder / "disp" / f"{frame:05d}.npy", np.linspace(0, 1, height * width).reshape(size))
        for direction in ("fwd", "bwd"):
            files.save_npz(folder / "flow_i1" / f"{frame:05d}_{direction}.npz", **flow)
    return folder


@pytest.mark.parametrize("n_frames", [4, 9])
def test_identical_frames(tmp_path, tiny_config, n_frames):
    said, log = trained(still_scene(tmp_path / "scene", n_frames), tmp_path, tiny_config(steps=40, log_every=4))
    assert "The scene has no evidence of motion: what moves is left to the colours." in said
    assert log[-1]["loss"]["rgb"] < log[0]["loss"]["rgb"]


@pytest.mark.slow
def test_many_frames_need_no_more_than_their_share(tmp_path, tiny_config):
    """What 300 frames take beyond 100 is what they are: pictures, priors, occupancy."""
    peaks = []
    config = dataclasses.replace(
        tiny_config(steps=5, device="cpu"), occupancy=dataclasses.replace(tiny_config().occupancy, resolution=32)
    )
    (tmp_path / "tiny.toml").write_text(dump_config(config))
    code = "import sys, torch; from saff_fast.cli.main import main; from saff_fast.train.memory_limit import peak; "
    code += "code = main(sys.argv[1:]); print(peak(torch.device('cpu'))); sys.exit(code)"
    for n_frames in (100, 300):
        scene = still_scene(tmp_path / f"scene{n_frames}", n_frames)
        arguments = ["train", scene, "--out", tmp_path / f"run{n_frames}", "--config", tmp_path / "tiny.toml"]
        command = [sys.executable, "-c", code, *map(str, arguments), "--preset", "demo"]
        finished = subprocess.run(command, capture_output=True, text=True, check=True, timeout=400)
        peaks.append(int(finished.stdout.splitlines()[-1]))
    pixels, cells = 36 * 64, 32**3
    frame = pixels * (3 + 9 * 4 + 2) + cells * 3  # weights in half precision and candidates
    assert peaks[1] - peaks[0] < 200 * 5 * frame
