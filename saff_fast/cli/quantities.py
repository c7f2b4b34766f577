"""Quantities as people write them."""

import re

from saff_fast.errors import UserError

_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0}
_GIB = {"T": 1024.0, "G": 1.0, "M": 1 / 1024}


def seconds(option: str, text: str) -> float:
    """Seconds of a time such as `90s`, `10m` or `1h30m`.

    Raises:
        UserError: Naming the option, if it is written otherwise or is zero.
    """
    match = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", text.strip())
    total = sum(int(n) * unit for n, unit in zip(match.groups("0"), _SECONDS.values(), strict=True)) if match else 0.0
    if not total:
        raise UserError(f"{option} must be a time such as 90s, 10m or 1h30m, got {text!r}")
    return total


def gibibytes(option: str, text: str) -> float:
    """GiB of an amount of memory such as `8G` or `500M`.

    Raises:
        UserError: Naming the option, if it is written otherwise or is zero.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([TGM])(?:i?B)?", text.strip(), re.IGNORECASE)
    total = float(match[1]) * _GIB[match[2].upper()] if match else 0.0
    if not total:
        raise UserError(f"{option} must be an amount of memory such as 8G or 500M, got {text!r}")
    return total
