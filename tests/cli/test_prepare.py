"""`saff-fast prepare` as a process: interrupted, killed, and the report it writes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from saff_fast.cli.main import main
from saff_fast.files import write_image
from saff_fast.scene.synthetic import SyntheticScene
from tests.stand_ins import HEIGHT, N_FRAMES, WIDTH, put_in_place

ROOT = Path(__file__).parents[2]


def contents(folder):
    return {
        p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.name != "prepare.json"
    }


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("a source") / "photos"
    scene = SyntheticScene(HEIGHT, WIDTH, N_FRAMES)
    for k in range(N_FRAMES):
        write_image(folder / f"{k}.png", scene.render(k, k).rgb)
    return folder


def start(source, scene):
    command = [sys.executable, "-m", "tests.stand_ins", source, scene, "--height", str(HEIGHT)]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=ROOT, start_new_session=True, **streams)


@pytest.fixture(scope="module")
def whole(tmp_path_factory, source):
    """Contents of the scene that an undisturbed run writes."""
    scene = tmp_path_factory.mktemp("whole") / "scene"
    process = start(source, scene)
    _, error = process.communicate(timeout=300)
    assert (process.returncode, error) == (0, "")
    return contents(scene)


def wait_for(condition, seconds=120):
    ends = time.monotonic() + seconds
    while not condition() and time.monotonic() < ends:
        time.sleep(0.02)
    assert condition()


def gone(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.slow
@pytest.mark.parametrize("part", ["flow_i1", "disp"])
def test_ctrl_c_ends_all_processes_and_the_next_call_goes_on(source, whole, tmp_path, part):
    scene = tmp_path / "scene"
    process = start(source, scene)
    wait_for(lambda: len([*scene.glob(f"{part}/0*")]) > 3)
    began = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    _, error = process.communicate(timeout=60)
    assert time.monotonic() - began < 10
    assert process.returncode == 130
    assert error == "saff-fast: interrupted; the same command again goes on.\n"
    wait_for(lambda: gone(process.pid), 10)
    done = {path: path.stat().st_mtime_ns for path in scene.glob(f"{part}/0*")}

    assert start(source, scene).wait(300) == 0
    assert contents(scene) == whole
    again = [path for path in done if path.stat().st_mtime_ns != done[path]]
    assert len(again) <= 2, "at most the first file of what each process was at is written again"


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["kill", "term"])
def test_a_kill_midway_leaves_a_folder_that_the_next_call_completes(source, whole, tmp_path, number):
    scene = tmp_path / "scene"
    process = start(source, scene)
    wait_for(lambda: [*scene.glob("disp/0*")])
    os.kill(process.pid, number)
    assert process.wait(30) == -number
    wait_for(lambda: gone(process.pid), 60)
    assert start(source, scene).wait(300) == 0
    assert contents(scene) == whole


def test_a_report_is_written_on_request_also_of_a_finished_scene(source, tmp_path, monkeypatch, capsys):
    synthetic = SyntheticScene(HEIGHT, WIDTH, N_FRAMES)
    put_in_place(monkeypatch.setattr, synthetic, [synthetic.render(k, k) for k in range(N_FRAMES)])
    scene = tmp_path / "scene"
    assert main(["prepare", str(source), str(scene), "--height", "36"]) == 0
    page = scene / "report.html"
    assert not page.exists()
    assert main(["prepare", str(source), str(scene), "--height", "36", "--report"]) == 0
    assert "nothing to do" in capsys.readouterr().out
    assert page.stat().st_size < 2e6
    for text in ("flat", "DIS optical flow", "0.25 pixels, mean"):
        assert text in page.read_text(encoding="utf-8")
    before = page.stat().st_mtime_ns
    assert main(["prepare", str(source), str(scene), "--height", "36"]) == 0
    assert page.stat().st_mtime_ns == before
