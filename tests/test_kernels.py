"""Which compiled library is loaded."""

from types import SimpleNamespace

import pytest

from saff_fast import kernels
from saff_fast.kernels import library_paths


def test_the_environment_names_another_host_library(tmp_path, monkeypatch):
    other = tmp_path / "libother.so"
    other.touch()
    cuda = library_paths("cuda")
    monkeypatch.setenv("SAFF_HOST_LIBRARY", str(other))
    assert library_paths("cpu") == [other]
    assert library_paths("cuda") == cuda


def test_a_missing_host_library_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("SAFF_HOST_LIBRARY", str(tmp_path / "none.so"))
    with pytest.raises(FileNotFoundError, match=r"SAFF_HOST_LIBRARY must be the path of a host library, got .*none.so"):
        library_paths("cpu")


def test_an_op_comes_from_the_best_library_that_holds_it(monkeypatch):
    best = SimpleNamespace(saff_mlp_f32_cpu=SimpleNamespace())
    next_best = SimpleNamespace(saff_mlp_f32_cpu=SimpleNamespace(), saff_march_f32_cpu=SimpleNamespace())
    monkeypatch.setattr(kernels, "library_paths", lambda device_type: ["best", "next_best"])
    monkeypatch.setattr(kernels, "_load", {"best": best, "next_best": next_best}.__getitem__)
    find = kernels._function.__wrapped__
    assert find("mlp_f32", "cpu") is best.saff_mlp_f32_cpu
    assert find("march_f32", "cpu") is next_best.saff_march_f32_cpu
    with pytest.raises(ImportError, match="no compiled saff_splat_f32_cpu: rebuild it with"):
        find("splat_f32", "cpu")
