"""Whether two runs were trained alike."""

from pathlib import Path
from typing import Any

from saff_fast.errors import UserError
from saff_fast.train.run_folder import read_meta

_OF_NO_MATTER = ("train.hold_out", "train.seed", "train.device", "train.max_memory")
_BOOKKEEPING = ("train.checkpoint_every", "train.log_every", "train.preview_every")


def check_same_configuration(run: Path, held_out_run: Path) -> None:
    """Refuse two runs whose figures do not belong side by side.

    They must have trained on one scene with one configuration; frames held out, seed, device and bookkeeping may
    differ.

    Raises:
        UserError: naming what differs.
    """
    first, second = read_meta(run), read_meta(held_out_run)
    here, there = _flat(first.get("config", {})), _flat(second.get("config", {}))
    here["scene"], there["scene"] = first.get("scene"), second.get("scene")
    skipped = (*_OF_NO_MATTER, *_BOOKKEEPING)
    names = sorted(name for name in here.keys() | there.keys() if name not in skipped)
    differing = [name for name in names if here.get(name) != there.get(name)]
    if differing:
        values = ", ".join(f"{name}: {there.get(name)} there, {here.get(name)} here" for name in differing)
        raise UserError(f"--held-out-run {held_out_run} must have the configuration of {run}, but differs ({values}).")


def _flat(section: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Values by dotted name."""
    flat: dict[str, Any] = {}
    for name, value in section.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat
