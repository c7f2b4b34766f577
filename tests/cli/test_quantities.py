"""Quantities as people write them."""

import pytest

from saff_fast.cli.quantities import gibibytes, seconds
from saff_fast.errors import UserError


@pytest.mark.parametrize(
    ("text", "value"), [("90s", 90), ("10m", 600), ("1h", 3600), ("1h30m", 5400), ("2h5s", 7205), (" 1m30s ", 90)]
)
def test_seconds(text, value):
    assert seconds("--time-budget", text) == value


@pytest.mark.parametrize("text", ["", "10", "0m", "m", "1m1h", "1.5h", "-1m", "10 minutes"])
def test_no_time(text):
    with pytest.raises(UserError, match="--time-budget must be a time such as 90s, 10m or 1h30m, got"):
        seconds("--time-budget", text)


@pytest.mark.parametrize(("text", "value"), [("8G", 8), ("512M", 0.5), ("1.5g", 1.5), ("1T", 1024), ("8GiB", 8)])
def test_gibibytes(text, value):
    assert gibibytes("--max-memory", text) == value


@pytest.mark.parametrize("text", ["", "8", "0G", "G", "-8G", "8 G", "8K"])
def test_no_memory(text):
    with pytest.raises(UserError, match="--max-memory must be an amount of memory such as 8G or 500M, got"):
        gibibytes("--max-memory", text)
