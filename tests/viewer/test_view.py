"""`saff-fast view` and `train --view`, from the command line."""

import socket
import subprocess
import sys
import threading
import time
import urllib.request

import pytest
import torch

from saff_fast.cli import view as module
from saff_fast.cli.main import main
from saff_fast.cli.view import beside_training
from saff_fast.errors import UserError
from saff_fast.playback.path import CameraPath
from saff_fast.playback.shot import shot_of
from saff_fast.train.run_folder import is_being_trained, sole_writer
from saff_fast.viewer.beside import beside_of
from saff_fast.viewer.draft import PathDraft
from saff_fast.viewer.look import Look
from saff_fast.viewer.opened import OpenRun
from saff_fast.viewer.port import LOOPBACK, free_port, is_loopback
from saff_fast.viewer.survey import Survey
from saff_fast.viewer.video import PathVideo
from tests.viewer.conftest import camera_of, eventually


@pytest.fixture
def taken():
    with socket.socket() as listener:
        listener.bind((LOOPBACK, 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_port_in_use_is_passed_over(taken):
    assert taken < free_port(LOOPBACK, taken) < taken + 100


def test_a_host_that_is_none_of_this_machine_is_named():
    for host in ("203.0.113.7", "no such host", "a" * 300):
        with pytest.raises(UserError, match="--host must be"):
            free_port(host, 8080)


def test_only_loopback_goes_without_a_warning():
    assert [is_loopback(host) for host in ("127.0.0.1", "localhost", "0.0.0.0")] == [True, True, False]


def test_bad_arguments(few_steps, tmp_path, capsys):
    cases = {
        "--port must be in [1, 65535], got 0": [few_steps, "--port", "0"],
        "must be the folder of a run": [tmp_path],
        "nowhere: must be the folder of a run": [few_steps, "--beside", tmp_path / "nowhere"],
        "--host must be": [few_steps, "--host", "203.0.113.7"],
    }
    for sentence, arguments in cases.items():
        assert main(["view", *map(str, arguments)]) == 2
        assert sentence in capsys.readouterr().err


def test_a_run_without_a_checkpoint_is_told_so_unless_it_is_being_trained(run, capsys):
    (run / "checkpoints" / "latest").unlink()
    assert main(["view", str(run)]) == 2
    assert "holds no checkpoint yet" in capsys.readouterr().err
    assert not is_being_trained(run)
    with sole_writer(run):
        assert is_being_trained(run)
        waiting = threading.Thread(target=module._wait_for_a_checkpoint, args=(run,))
        waiting.start()
        time.sleep(0.1)
        assert waiting.is_alive()
        (run / "checkpoints" / "latest").write_text("x")
        waiting.join(5)
        assert not waiting.is_alive()


def test_without_viser_it_is_named(run, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "viser", None)
    assert main(["view", str(run)]) == 2
    assert "pip install 'saff-fast[viewer]'" in capsys.readouterr().err


def test_training_starts_one_viewer_and_ends_it(tmp_path, monkeypatch):
    popen, started = subprocess.Popen, []

    def start(command, **options):
        assert command[-2:] == ["view", str(tmp_path)]
        started.append(popen(["/bin/sleep", "60"], **options))
        return started[-1]

    monkeypatch.setattr(module.subprocess, "Popen", start)
    with beside_training(tmp_path) as show:
        show()
        show()
        assert started[0].poll() is None
    assert len(started) == 1
    assert started[0].poll() is not None


def test_the_input_beside_needs_its_scene(opened, scene_folder, monkeypatch, tmp_path):
    shot = camera_of(shot_of(opened.loaded.model, 0, 0)).shot(36, 3.4)
    assert beside_of("input", opened)(Look(), shot, lambda: False).shape == (36, 64, 3)
    monkeypatch.setattr("saff_fast.viewer.beside.read_meta", lambda _: {"scene": str(tmp_path / "gone")})
    with pytest.raises(UserError, match="is no more; leave --beside out"):
        beside_of("input", opened)


def test_another_run_beside(opened, run):
    shot = camera_of(shot_of(opened.loaded.model, 0, 0)).shot(36, 0)
    drawn = beside_of(str(run), opened)(Look(), shot, lambda: False)
    assert drawn.std() > 5


def test_a_survey_finds_objects_for_any_number_of_clusters(opened):
    survey = Survey.of(opened.loaded.renderer)
    assert [view.id for view in survey.views] == list(range(6))
    for n_clusters in (1, 4):
        assert len(survey.objects(n_clusters, 0.0).prototypes) == n_clusters
    assert survey.objects(4, 0.0).ids
    assert survey.features.shape == (6 * survey.height * survey.width, 64)


def draft(opened, seconds):
    camera = camera_of(shot_of(opened.loaded.model, 0, 0))
    return PathDraft().added(camera, 0, 1).added(camera, 5, seconds).at_rate(10)


def test_a_path_is_rendered_beside_the_page(run, opened):
    told = []
    path = draft(opened, 0.4).save(run, "short")
    video = PathVideo(run, path, "rgb", "cpu", lambda *progress: told.append(progress))
    eventually(lambda: not video.alive)
    assert told[-1] == (1, 1, f"Rendered: {run / 'path'}")
    assert len(list((run / "path" / "images").glob("*.png"))) == 5


def test_a_video_ends_with_its_browser(run, opened):
    told = []
    video = PathVideo(run, draft(opened, 500).save(run, "long"), "rgb", "cpu", lambda *p: told.append(p))
    eventually(lambda: told)
    video.stop()
    assert not video.alive
    assert not (run / "path" / "rgb.gif").exists()


def test_a_video_that_fails_says_why(run, tmp_path):
    told = []
    video = PathVideo(run, tmp_path / "none.json", "rgb", "cpu", lambda *p: told.append(p))
    eventually(lambda: not video.alive)
    assert "none.json must be a readable file" in told[-1][2]


def test_a_draft_keeps_its_limits(opened):
    camera = camera_of(shot_of(opened.loaded.model, 0, 0))
    with pytest.raises(ValueError, match="at most 500 keys and 600 seconds"):
        PathDraft().added(camera, 0, 1).added(camera, 1, 601)
    two = PathDraft().added(camera, 0, 1).added(camera, 4, 2)
    assert two.shortened().shortened() == PathDraft(CameraPath(()))
    assert two.seconds == 2
    seen, time_there = two.seen(opened.loaded.model, 1.0, camera)
    assert time_there == 2
    torch.testing.assert_close(seen.shot(36, 0).c2w, camera.shot(36, 0).c2w, atol=1e-5, rtol=0)


@pytest.mark.slow
def test_training_is_watched(scene_folder, tmp_path):
    pytest.importorskip("viser", reason="viser is not installed")
    run = tmp_path / "run"
    settings = ["train.height=36", "train.rays=256", "train.moving_rays=64", "train.checkpoint_every=5"]
    options = [part for setting in settings for part in ("--set", setting)]
    command = ["train", str(scene_folder), "--out", str(run), "--view", "--time-budget", "40s", *options]
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "saff_fast", *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    said = (line.split() for line in process.stdout)
    address = next(line[1] for line in said if line[:1] == ["Viewer:"] and line[1].startswith("http"))
    with urllib.request.urlopen(address) as page:
        assert b"<html" in page.read()
    process.stdout.read()
    assert process.wait() == 0
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(address)
    assert OpenRun(run, "cpu").loaded.name.startswith("step_")
