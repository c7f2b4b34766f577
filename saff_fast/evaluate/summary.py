"""Parts of dictionaries of scores."""

from collections.abc import Iterable
from typing import Any


def filled(values: dict[str, Any]) -> dict[str, Any]:
    """Without empty entries: what has no truth is absent."""
    return {key: value for key, value in values.items() if value != {} and value != []}


def only(values: dict[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    """The entries with these keys."""
    return {key: values[key] for key in keys if key in values}


def without(values: dict[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    """The entries with other keys."""
    return {key: value for key, value in values.items() if key not in set(keys)}
