"""What is built and installed: kernels that need no Python or torch ABI, wheels that are complete."""

import re
import subprocess
import sys
import tomllib
import venv
import zipfile
from itertools import chain
from pathlib import Path

import pytest
import torch

from saff_fast.config import load_config, preset_names
from saff_fast.kernels import library_paths
from saff_fast.train.config import ExperimentConfig
from tests.elf import undefined_symbols

ROOT = Path(__file__).resolve().parent.parent
HOST_LIBRARIES = sorted(library_paths("cpu")[0].parent.glob("libsaff_*64*.so")) or library_paths("cpu")
CEILINGS = {"GLIBC": (2, 31), "GCC": (3, 0), "GLIBCXX": (3, 4, 28), "CXXABI": (1, 3, 12), "GOMP": (4, 5), "OMP": (1, 0)}
"""Newest symbol versions that a host library may need: those of GCC 10 and Ubuntu 20.04."""


@pytest.mark.parametrize("path", HOST_LIBRARIES, ids=lambda path: path.name)
def test_host_library_serves_every_python_and_torch(path):
    names = [name for name, _ in undefined_symbols(path)]
    assert "GOMP_parallel" in names  # the file was read
    assert [name for name in names if re.match(r"_?Py|.*(c10|torch)|_ZN?K?2at", name)] == []


@pytest.mark.parametrize("path", HOST_LIBRARIES, ids=lambda path: path.name)
def test_host_library_needs_no_recent_system(path):
    versions = [re.fullmatch(r"(\w+?)_([\d.]+)", version) for _, version in undefined_symbols(path) if version]
    needed = {(match[1], tuple(map(int, match[2].split(".")))) for match in versions}
    assert {"GLIBC", "GOMP"} <= {family for family, _ in needed}
    assert {need for need in needed if need[1] > CEILINGS[need[0]]} == set()


def test_build_needs_no_torch():
    required = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    assert not [name for name in required if "torch" in name]


def test_constraints_allow_what_the_package_needs():
    """A pin below a lower bound would make `make env` unsolvable."""
    from packaging.requirements import Requirement

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needs = map(Requirement, chain(project["dependencies"], *project["optional-dependencies"].values()))
    lines = (line.split("#")[0].strip() for line in (ROOT / "constraints.txt").read_text().splitlines())
    pins = dict(line.split("==") for line in lines if line)
    for need in needs:
        assert need.specifier.contains(pins.get(need.name, "0")) or need.name not in pins, need


@pytest.mark.parametrize("name", preset_names())
def test_preset_loads(name):
    load_config(ExperimentConfig, name)


def test_the_presets_are_there():
    assert {"demo", "cpu", "cpu-preview", "nvidia", "published"} <= set(preset_names())


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A wheel of the committed and uncommitted sources, built outside the source tree without CUDA."""
    folder = tmp_path_factory.mktemp("wheel")
    files = subprocess.run(
        ["git", "-C", ROOT, "ls-files", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    for name in files:
        target = folder / "source" / name
        if (ROOT / name).is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((ROOT / name).read_bytes())
    options = ["--no-deps", "--no-build-isolation", "-q", "-C", "cmake.define.SAFF_CUDA=OFF"]
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", *options, "-w", folder / "dist", folder / "source"], check=True
    )
    return next((folder / "dist").glob("*.whl"))


@pytest.mark.slow
def test_wheel_is_complete(wheel):
    inside = set(zipfile.ZipFile(wheel).namelist())
    python = {str(path.relative_to(ROOT)) for path in (ROOT / "saff_fast").rglob("*.py")}
    presets = {f"saff_fast/configs/{name}.toml" for name in preset_names()}
    libraries = {f"saff_fast/{path.name}" for path in HOST_LIBRARIES}
    assert python | presets | libraries <= inside
    assert not {name for name in inside if name.startswith(("tests", "benchmarks", "cuda_ext"))}


@pytest.mark.slow
def test_installed_wheel_works_from_another_folder(wheel, tmp_path):
    venv.create(tmp_path / "venv", with_pip=True)
    scripts = tmp_path / "venv" / "bin"
    subprocess.run([scripts / "python", "-m", "pip", "install", "-q", "--no-deps", wheel], check=True)
    # The dependencies are borrowed from this environment: a .pth line adds its packages but not its editable installs.
    packages = next((tmp_path / "venv" / "lib").glob("python*/site-packages"))
    (packages / "borrowed.pth").write_text(f"{Path(torch.__file__).parent.parent}\n")

    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    found = subprocess.run(
        [scripts / "saff-fast", "doctor"], cwd=elsewhere, capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stdout + found.stderr
    assert f"{packages}/saff_fast/libsaff_" in found.stdout
    assert f"{packages}/saff_fast/configs" in found.stdout
    assert str(ROOT / "saff_fast") not in found.stdout

    arguments = ["train", "scene", "--out", "run", "--preset", "none"]
    refused = subprocess.run(
        [scripts / "saff-fast", *arguments], cwd=elsewhere, capture_output=True, text=True, check=False
    )
    assert refused.returncode == 2
    assert "'cpu', 'cpu-preview', 'demo', 'nvidia', 'published'" in refused.stderr
    assert list(elsewhere.iterdir()) == []
