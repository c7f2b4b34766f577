"""Which compiled library is loaded."""

import pytest

from saff_fast.kernels import library_path


def test_the_environment_names_another_host_library(tmp_path, monkeypatch):
    other = tmp_path / "libother.so"
    other.touch()
    cuda = library_path("cuda")
    monkeypatch.setenv("SAFF_HOST_LIBRARY", str(other))
    assert library_path("cpu") == other
    assert library_path("cuda") == cuda


def test_a_missing_host_library_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("SAFF_HOST_LIBRARY", str(tmp_path / "none.so"))
    with pytest.raises(FileNotFoundError, match=r"SAFF_HOST_LIBRARY must be the path of a host library, got .*none.so"):
        library_path("cpu")
