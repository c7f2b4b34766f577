"""Tasks over processes. Workers import what they run, so the tasks are a module of their own."""

import multiprocessing.resource_tracker
import os
import subprocess
import sys
import time

import pytest

from saff_fast.errors import UserError
from saff_fast.workers import Workers, available_cores

TASKS = """
import os, signal, time
from pathlib import Path

from saff_fast.errors import UserError


def note(folder, item):
    import cv2, torch
    text = f"{os.getpid()} {cv2.getNumThreads()} {torch.get_num_threads()} {os.environ.get('OMP_NUM_THREADS')}"
    (Path(folder) / f"{item}.txt").write_text(text)


def refuse(folder, item):
    if item == 2:
        raise UserError("item 2 must be another")


def die(folder, item):
    os.kill(os.getpid(), signal.SIGKILL)


def interrupt_myself(folder, item):
    os.kill(os.getpid(), signal.SIGINT)


def nap(folder, item):
    if item:
        time.sleep(600)
"""


@pytest.fixture
def tasks(tmp_path, monkeypatch):
    (tmp_path / "tasks_of_a_test.py").write_text(TASKS)
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop("tasks_of_a_test", None)
    import tasks_of_a_test

    return tasks_of_a_test


def make_context(folder):
    """Gives the folder's name, by a function that every process has."""
    return str(folder).__str__


def test_at_least_one_core():
    assert 1 <= available_cores() <= (os.cpu_count() or 1)


@pytest.mark.parametrize(("spread", "n_workers", "n_items"), [(False, 4, 3), (True, 1, 3), (True, 4, 1), (True, 4, 0)])
def test_little_work_starts_no_process(tasks, tmp_path, spread, n_workers, n_items):
    counts = []
    with Workers(make_context(tmp_path), n_workers) as workers:
        workers.each(tasks.note, range(n_items), spread, counts.append)
        assert not multiprocessing.active_children()
    assert counts == list(range(1, n_items + 1))
    for item in range(n_items):
        process, *threads, _ = (tmp_path / f"{item}.txt").read_text().split()
        assert int(process) == os.getpid()
        assert threads == ["1", "1"]


@pytest.mark.slow
def test_processes_have_one_thread_and_serve_several_calls(tasks, tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    counts = []
    with Workers(make_context(tmp_path), 2) as workers:
        workers.each(tasks.note, range(6), True, counts.append)
        workers.each(tasks.note, range(6, 9), True)
        assert len(multiprocessing.active_children()) == 2
        workers.stop()
        assert not multiprocessing.active_children()
        workers.each(tasks.note, range(9, 11), True)
    notes = [(tmp_path / f"{item}.txt").read_text().split() for item in range(9)]
    processes = {int(note[0]) for note in notes}
    assert os.getpid() not in processes
    assert len(processes) <= 2
    assert {tuple(note[1:]) for note in notes} == {("1", "1", "1")}
    assert counts == [1, 2, 3, 4, 5, 6]
    assert os.environ["OMP_NUM_THREADS"] == "3"
    assert not multiprocessing.active_children()


@pytest.mark.slow
def test_a_tasks_error_is_raised_here(tasks, tmp_path):
    with Workers(make_context(tmp_path), 2) as workers, pytest.raises(UserError, match="item 2 must be") as caught:
        workers.each(tasks.refuse, range(5), True)
    assert "in refuse" in caught.value.__notes__[0]
    assert not multiprocessing.active_children()


@pytest.mark.slow
def test_a_dead_process_is_noticed(tasks, tmp_path):
    with Workers(make_context(tmp_path), 2) as workers, pytest.raises(UserError, match="one died with exit code -9"):
        workers.each(tasks.die, range(5), True)


@pytest.mark.slow
def test_the_terminals_interrupt_is_not_for_the_processes(tasks, tmp_path):
    multiprocessing.resource_tracker._resource_tracker._stop()  # as in a program that has not needed it yet
    with Workers(make_context(tmp_path), 2) as workers:
        workers.each(tasks.interrupt_myself, range(4), True)


@pytest.mark.slow
def test_an_interrupt_ends_busy_processes_at_once(tasks, tmp_path):
    interrupted = []

    def interrupt(count):
        interrupted.append(time.monotonic())
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), Workers(make_context(tmp_path), 2) as workers:
        workers.each(tasks.nap, range(4), True, interrupt)
    assert not multiprocessing.active_children()
    assert time.monotonic() - interrupted[0] < 10  # they sleep for ten minutes


@pytest.mark.slow
def test_idle_processes_end_with_the_one_that_started_them(tasks, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import os, signal\nfrom saff_fast.workers import Workers\nimport tasks_of_a_test as tasks\n"
        'if __name__ == "__main__":\n'
        f"    with Workers({str(tmp_path)!r}.__str__, 2) as workers:\n"
        "        workers.each(tasks.note, range(6), True)\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    finished = subprocess.run([sys.executable, script], check=False, capture_output=True, timeout=300)
    assert finished.returncode == -9
    processes = {(tmp_path / f"{item}.txt").read_text().split()[0] for item in range(6)}
    ends = time.monotonic() + 30
    while any(os.path.exists(f"/proc/{process}") for process in processes) and time.monotonic() < ends:
        time.sleep(0.1)
    assert not [process for process in processes if os.path.exists(f"/proc/{process}")]
