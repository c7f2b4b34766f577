"""What the doctor finds."""

import re
import shutil

import numpy as np
import pytest

from saff_fast import backends, kernels
from saff_fast.cli import doctor as module
from saff_fast.cli.doctor import doctor, openmp_runtimes
from saff_fast.cli.main import main
from saff_fast.scene import writer
from saff_fast.scene.synthetic import SyntheticScene, write_synthetic_truth


def test_healthy(capsys):
    assert doctor() == 0
    out = capsys.readouterr().out
    assert re.search(r"yes kernels for CPU +\S+\.so\n", out)
    assert "The main job can run here." in out


def test_missing_kernels_stop_the_main_job(capsys, monkeypatch):
    monkeypatch.setattr(kernels, "library_paths", lambda device_type: [])
    assert doctor() == 1
    out = capsys.readouterr().out
    assert re.search(r"no +kernels for CPU +RuntimeError: not in this installation", out)
    assert "The main job cannot run without: kernels for CPU." in out


def test_says_why_an_optional_package_is_unusable(capsys, monkeypatch, tmp_path):
    (tmp_path / "tinycudann.py").write_text("raise EnvironmentError('no GPU\\nmore')")
    monkeypatch.syspath_prepend(tmp_path)
    assert doctor() == 0
    out = capsys.readouterr().out
    assert re.search(r"no +mlp tcnn +tinycudann cannot be imported \(OSError: no GPU\)\n", out)


def test_lists_all_backends_and_what_auto_takes(capsys):
    doctor()
    out = capsys.readouterr().out
    for job in backends.AUTO:
        for name in backends.names(job):
            assert re.search(rf"(yes|no) +{job} {name} +\S", out)
        assert re.search(rf"yes {job} {backends.best(job, 'cpu')} +cpu \(auto\)", out)


def test_openmp_runtimes_are_listed():
    import torch

    torch.ones(8).sum()
    assert any("libgomp" in path or "libomp" in path or "libiomp" in path for path in openmp_runtimes())


@pytest.mark.parametrize("module_name", ["not_a_module_of_anyone"])
def test_missing_package_names_its_extra(module_name):
    finding = module._package(module_name, "x", "nothing", "crf")()
    assert not finding.usable
    assert finding.detail == "not installed, for nothing; pip install 'saff-fast[crf]'"


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """A published scene folder with all that training must have."""
    folder = tmp_path_factory.mktemp("doctor") / "scene"
    rig = SyntheticScene(45, 80, 4)
    write_synthetic_truth(folder, rig)
    (folder / "cameras.json").unlink()
    for i in range(4):
        view = rig.render(i, i)
        writer.write_disparity(folder, f"{i:05d}", 1 / view.depth)
        for direction, other in (("fwd", i + 1), ("bwd", i - 1)):
            if 0 <= other < 4:
                motion = rig.flow(view, other, other)
                writer.write_flow(folder, f"{i:05d}", direction, motion.flow, ~motion.occlusion)
    return folder


def test_a_scene_that_can_be_trained(scene, capsys):
    assert main(["doctor", str(scene)]) == 0
    out = capsys.readouterr().out
    assert re.search(r"flow_i1 +present +6 of 80 x 45", out)
    assert re.search(r"semantics +missing", out)
    assert f"{scene} can be trained." in out


def test_a_published_scene_is_known_by_any_name(scene, tmp_path, capsys):
    folder = shutil.copytree(scene, tmp_path / "Umbrella-2" / "dense")
    assert main(["doctor", str(folder)]) == 0
    assert "NVIDIA scene Umbrella, SAFF's config_umbrella_4.txt" in capsys.readouterr().out


def test_a_scene_that_train_would_refuse(scene, tmp_path, capsys):
    folder = shutil.copytree(scene, tmp_path / "scene")
    (folder / "flow_i1" / "00001_fwd.npz").unlink()
    assert main(["doctor", str(folder)]) == 2
    out, error = capsys.readouterr()
    assert re.search(r"flow_i1 +incomplete +5 of 6, without 00001_fwd\.npz", out)
    assert "00001_fwd.npz must exist" in error
    assert "can be trained" not in out


def test_cameras_that_look_all_ways_are_refused(scene, tmp_path, capsys):
    folder = shutil.copytree(scene, tmp_path / "scene")
    rows = np.load(folder / "poses_bounds.npy")
    rows[3, [0, 2, 5, 7, 10, 12]] *= -1  # the last camera looks back
    np.save(folder / "poses_bounds.npy", rows)
    assert main(["doctor", str(folder)]) == 2
    assert "the cameras must all face one way" in capsys.readouterr().err


def test_no_scene(tmp_path, capsys):
    assert main(["doctor", str(tmp_path / "none")]) == 2
    assert "none must be a scene folder, but there is no such folder" in capsys.readouterr().err


def test_without_a_scene_it_is_the_installation(capsys):
    assert main(["doctor"]) == 0
    assert "The main job can run here." in capsys.readouterr().out


def test_weights_that_prepare_would_take_are_listed(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    weights = tmp_path / "hub" / "checkpoints" / "midas_v21_384.pt"
    weights.parent.mkdir(parents=True)
    weights.touch()
    doctor()
    out = capsys.readouterr().out
    assert re.search(rf"yes MiDaS v2\.1 +{weights}\n", out)
    for network, option in (("RAFT", "flow"), ("Depth Anything V2 small", "depth")):
        assert re.search(rf"no +{network} +none found; put .*, or pass the file with --{option}-weights\n", out)
    assert re.search(r"no +DINO ViT-S/8 +none found; put dino_deitsmall8_pretrain\.pth in .* with --weights\n", out)
