"""No argument makes an op read or write foreign memory: each op under AddressSanitizer, in a process of its own."""

import inspect
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from saff_fast import ops
from tests.ops.fuzz.__main__ import fuzz
from tests.ops.fuzz.table import ENTRIES

ROOT = Path(__file__).resolve().parents[3]
BUILD = ROOT / "build" / "asan"
N_CASES = 10_500  # of all ops together


def test_every_op_is_in_the_table():
    assert {name for name, value in vars(ops).items() if inspect.isfunction(value)} <= set(ENTRIES)


@pytest.mark.parametrize("name", ENTRIES)
def test_hostile_arguments_are_taken_or_refused(name):
    """The table itself, without the sanitizer."""
    fuzz(name, 30)


def find_runtime(name):
    """Path of a library of the compiler; skips where it has none."""
    path = subprocess.run(
        ["g++", f"-print-file-name={name}"], capture_output=True, text=True, check=True
    ).stdout.strip()
    if not Path(path).is_file():
        pytest.skip(f"g++ has no {name}")
    return path


@pytest.fixture(scope="module")
def environment():
    """Variables under which a Python process runs the sanitized kernels, which are built first."""
    if shutil.which("g++") is None:
        pytest.skip("no g++")
    # A C++ exception finds its interceptor only if libstdc++ is there as early as libasan.
    runtimes = [find_runtime(name) for name in ("libasan.so", "libstdc++.so.6")]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    cmake = shutil.which("cmake", path=path)
    subprocess.run([cmake, "-S", ROOT, "-B", BUILD, "-DSAFF_CUDA=OFF", "-DCMAKE_CXX_COMPILER=g++"], check=True)
    subprocess.run([cmake, "--build", BUILD, "--target", "saff_asan"], check=True)
    return os.environ | {
        "LD_PRELOAD": " ".join(runtimes),
        "ASAN_OPTIONS": "detect_leaks=0",  # the interpreter and torch keep what they allocate
        "SAFF_HOST_LIBRARY": str(BUILD / "libsaff_asan.so"),
        "OMP_NUM_THREADS": "2",
        "OMP_WAIT_POLICY": "passive",  # threads that wait would take the other process's cores
    }


@pytest.fixture(scope="module")
def processes(environment):
    """The finished process of each op, two of them at work at any time."""

    def run(name):
        command = [sys.executable, "-m", "tests.ops.fuzz", name, str(-(-N_CASES // len(ENTRIES)))]
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    with ThreadPoolExecutor(2) as pool:
        yield {name: pool.submit(run, name) for name in ENTRIES}


@pytest.mark.slow
@pytest.mark.parametrize("name", ENTRIES)
def test_no_argument_reaches_foreign_memory(name, processes):
    process = processes[name].result()
    cases = process.stdout.splitlines()
    assert process.returncode == 0, f"{process.stderr[:8000]}\nlast case: {cases[-1] if cases else 'none'}"
    assert len(cases) >= N_CASES / len(ENTRIES)
