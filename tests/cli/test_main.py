"""The console command: help, exit codes, one sentence for every mistake."""

import errno
import math
import subprocess
import sys
from pathlib import Path

import pytest

from saff_fast.cli import main as cli
from saff_fast.errors import UserError

COLUMNS, LINES = 100, 45


def shown_lines(text):
    """Lines that a terminal shows, long ones wrapped."""
    return sum(max(1, math.ceil(len(line) / COLUMNS)) for line in text.splitlines())


@pytest.fixture
def run(capsys):
    """Run the command; gives its exit code, output and error output."""

    def call(*arguments):
        try:
            code = cli.main([str(argument) for argument in arguments])
        except SystemExit as exit_request:
            code = exit_request.code
        return code, *capsys.readouterr()

    return call


@pytest.fixture
def command(monkeypatch):
    """Put a function in the place of `render`."""

    def replace(function):
        def render(run: Path, /) -> None:
            function()

        monkeypatch.setitem(cli.COMMANDS, "render", render)

    return replace


@pytest.mark.parametrize("name", [None, *cli.COMMANDS])
def test_help_fits_a_screen(name, run, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(COLUMNS))
    code, out, _ = run(*([name] if name else []), "--help")
    assert code == 0
    assert shown_lines(out) <= LINES


def test_help_shows_defaults_and_units(run):
    assert "--height PIXELS" in run("prepare", "--help")[1]
    assert "default: 288" in run("prepare", "--help")[1]
    assert "default: cpu-preview" in run("train", "--help")[1]


def test_help_loads_no_torch():
    code = """
import sys
from saff_fast.cli.main import main
try:
    main(["train", "--help"])
finally:
    assert "torch" not in sys.modules
"""
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr


def images(folder, n):
    """A folder of `n` files that are not pictures."""
    folder.mkdir()
    for k in range(n):
        (folder / f"{k}.png").write_bytes(b"no picture")
    return folder


def other_files(folder):
    folder.mkdir()
    (folder / "thesis.tex").write_text("precious")
    return folder


def toml(path, text):
    path.write_text(text)
    return path


BAD_INPUT = {
    "no_such_scene": (lambda t: ("train", t / "absent", "--out", t / "run"), "absent"),
    "scene_is_empty": (lambda t: ("train", other_files(t / "scene"), "--out", t / "run"), "scene"),
    "unknown_preset": (
        lambda t: ("train", t, "--out", t / "run", "--preset", "best"),
        "preset 'best' does not exist; the presets are 'cpu', 'cpu-preview', 'demo', 'nvidia', 'published'",
    ),
    "no_such_config": (lambda t: ("train", t, "--out", t / "run", "--config", t / "my.toml"), "my.toml"),
    "unknown_key": (
        lambda t: ("train", t, "--out", t / "run", "--config", toml(t / "my.toml", "[train]\nstep = 3")),
        "my.toml: train: unknown keys 'step'; known: 'height', 'steps'",
    ),
    "out_of_range": (
        lambda t: ("train", t, "--out", t / "run", "--config", toml(t / "my.toml", "[train]\nsteps = 0")),
        "my.toml: train: steps must be at least 1, got 0",
    ),
    "unknown_key_set": (
        lambda t: ("train", t, "--out", t / "run", "--set", "trian.steps=3"),
        "known: 'train', 'field'",
    ),
    "wrong_type_set": (
        lambda t: ("train", t, "--out", t / "run", "--set", "train.steps=few"),
        "train.steps must be an integer",
    ),
    "out_of_range_flag": (
        lambda t: ("train", t, "--out", t / "run", "--steps", "0"),
        "steps must be at least 1, got 0",
    ),
    "hold_out": (lambda t: ("train", t, "--out", t / "run", "--hold-out", "4;10"), "4,10,16,22, got '4;10'"),
    "train_no_scene": (lambda t: ("train", "--out", t / "run"), "SCENE must be given, or a --saff-config"),
    "saff_config": (
        lambda t: ("train", t, "--out", t / "run", "--saff-config", toml(t / "c.txt", "w_cycel = 1")),
        "c.txt, line 1: w_cycel is no option of SAFF",
    ),
    "import_no_scene": (lambda t: ("import-checkpoint", t / "1.tar", t / "absent", "--out", t / "run"), "absent"),
    "time_budget": (
        lambda t: ("train", t, "--out", t / "run", "--time-budget", "10 minutes"),
        "--time-budget must be a time such as 90s, 10m or 1h30m, got '10 minutes'",
    ),
    "no_time": (lambda t: ("train", t, "--out", t / "run", "--time-budget", "0s"), "got '0s'"),
    "max_memory": (
        lambda t: ("train", t, "--out", t / "run", "--max-memory", "8"),
        "--max-memory must be an amount of memory such as 8G or 500M, got '8'",
    ),
    "render_no_run": (lambda t: ("render", t / "absent"), "absent"),
    "backend_not_here": (
        lambda t: ("train", t, "--out", t / "run", "--device", "cpu", "--set", "backend.mlp=tcnn"),
        "the mlp backend 'tcnn' cannot run on cpu: tiny-cuda-nn takes CUDA tensors only; or set it to 'auto'",
    ),
    "no_such_backend": (
        lambda t: ("segment", t, "--set", "kmeans.backend=magic"),
        "kmeans.backend must be one of 'auto', 'faiss-gpu', 'faiss-cpu', 'torch', got 'magic'",
    ),
    "segment_no_run": (lambda t: ("segment", t / "absent"), "absent"),
    "evaluate_no_run": (lambda t: ("evaluate", t / "absent"), "absent"),
    "evaluate_protocol": (lambda t: ("evaluate", t, "--protocol", "mine"), "protocol must be one of"),
    "evaluate_relabel": (lambda t: ("evaluate", t, "--relabel", "3:2"), "two labels such as 3=2, got '3:2'"),
    "postprocess_no_run": (lambda t: ("postprocess", t / "absent", "--crf"), "absent must hold rendered views"),
    "postprocess_setting": (
        lambda t: ("postprocess", t, "--set", "crf.contrast=0"),
        "contrast must be positive, got 0",
    ),
    "collect_nothing": (lambda t: ("collect", t / "absent"), "absent must be a run folder or a folder of label maps"),
    "demo_elsewhere": (lambda t: ("demo", "--out", other_files(t / "papers")), "papers must be a new folder"),
    "prepare_nothing": (lambda t: ("prepare", t / "absent", t / "scene"), "absent"),
    "prepare_no_images": (lambda t: ("prepare", other_files(t / "source"), t / "scene"), "source"),
    "prepare_unreadable": (lambda t: ("prepare", images(t / "source", 5), t / "scene"), "0.png"),
    "prepare_redo": (
        lambda t: ("prepare", images(t / "source", 5), t / "scene", "--redo", "flow", "--redo", "fluw"),
        "cameras, images, flow, motion, depth, semantics, saliency, but it is 'fluw'",
    ),
    "prepare_few": (lambda t: ("prepare", images(t / "source", 3), t / "scene"), "4"),
}


@pytest.mark.parametrize(("arguments", "sentence"), BAD_INPUT.values(), ids=BAD_INPUT.keys())
def test_bad_input_is_one_sentence(arguments, sentence, run, tmp_path):
    arguments = arguments(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    code, _, error = run(*arguments)
    assert code == 2
    assert error.startswith("saff-fast: ")
    assert error.endswith(".\n")
    assert error.count("\n") == 1
    assert sentence in error
    assert {path: path.read_bytes() for path in before} == before
    assert not (tmp_path / "run").exists()


def test_unknown_option_exits_2(run):
    assert run("render", "run", "--fast")[0] == 2
    assert run("rendre", "run")[0] == 2


def test_sentence_is_one_line(run, command):
    def fail():
        raise UserError("first line\n  second line.")

    command(fail)
    assert run("render", "x") == (2, "", "saff-fast: first line second line.\n")


def test_interrupt(run, command):
    def interrupt():
        raise KeyboardInterrupt

    command(interrupt)
    code, _, error = run("render", "x")
    assert code == 130
    assert error.count("\n") == 1


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EFBIG, errno.EACCES])
def test_full_disk_is_a_users_error(number, run, command):
    def fail():
        raise OSError(number, "No space left on device", "runs/a/checkpoint")

    command(fail)
    code, _, error = run("render", "x")
    assert (code, error) == (2, "saff-fast: runs/a/checkpoint cannot be used: No space left on device.\n")


def test_programmers_error_keeps_its_traceback(run, command):
    def fail():
        raise OSError(errno.EBADF, "Bad file descriptor")

    command(fail)
    with pytest.raises(OSError, match="Bad file descriptor"):
        run("render", "x")
