"""What the doctor finds."""

import re

import pytest

from saff_fast import backends, kernels
from saff_fast.cli import doctor as module
from saff_fast.cli.doctor import doctor, openmp_runtimes


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
