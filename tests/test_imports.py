"""The imports point one way: cli -> train, evaluate -> capture -> fields, render, ... -> geometry -> ops -> types."""

import ast
from pathlib import Path

import pytest

import saff_fast

PACKAGE = Path(saff_fast.__file__).parent
LEAVES = {"errors", "files", "config", "workers", "distributed"}
BASE = LEAVES | {"types"}
MIDDLE = ("fields", "render", "losses", "segment", "scene", "priors")
WIRING = {"train", "evaluate", "preparation", "report"}
ALLOWED = {
    "errors": set(),
    "files": {"errors"},
    "config": {"errors"},
    "workers": {"errors"},
    "distributed": {"errors"},
    "types": set(),
    "kernels": set(),
    "backends": {"kernels", "errors"},
    "ops": {"kernels", *BASE},
    "geometry": {"ops", *BASE},
    **{folder: {"ops", "geometry", "backends", *BASE} for folder in MIDDLE},
    "capture": {"scene", "priors", *BASE},
    "frame_priors": {*MIDDLE, "geometry", *BASE},
    **{unit: {*WIRING - {unit}, *MIDDLE, "ops", "geometry", "backends", *BASE} for unit in WIRING},
    "evaluate": {"train", "playback", *MIDDLE, "ops", "geometry", "backends", *BASE},
    "preparation": {*MIDDLE, "frame_priors", "capture", "geometry", *BASE},
    "saff": {"train", "fields", "render", "scene", "geometry", *BASE},
    "viewer": {"playback", "train", "render", "segment", "scene", "backends", *BASE},
    "playback": {"train", "fields", "render", "segment", "scene", "geometry", "ops", "backends", *BASE},
    "__main__": {"cli"},
    "cli": {*WIRING, "viewer", "playback", "saff", "capture", *MIDDLE, "ops", "geometry", "backends", "kernels", *BASE},
}
"""What each top-level module or folder may import beside itself; anything may import the package's own version."""


def unit_of(module: str) -> str | None:
    """`saff_fast.ops.march` -> `ops`; None for anything outside the package and for the package itself."""
    parts = module.split(".")
    return parts[1] if parts[0] == "saff_fast" and len(parts) > 1 else None


def imported_units(source: str, module: str) -> set[str]:
    """Top-level parts of saff_fast that a file imports anywhere in it, inside functions too."""
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            prefix = module.split(".")[: -node.level] if node.level else []
            base = ".".join([*prefix, *([node.module] if node.module else [])])
            names += [f"{base}.{alias.name}" for alias in node.names]
    units = {unit_of(name) for name in names}
    return {unit for unit in units if unit and ((PACKAGE / unit).is_dir() or (PACKAGE / f"{unit}.py").is_file())}


def modules() -> dict[str, Path]:
    parts = {path: path.relative_to(PACKAGE.parent).with_suffix("").parts for path in sorted(PACKAGE.rglob("*.py"))}
    return {".".join(names): path for path, names in parts.items() if names[1] != "__init__"}


@pytest.mark.parametrize("module", modules())
def test_imports_point_one_way(module):
    unit = unit_of(module)
    assert unit in ALLOWED, f"{unit} has no place in the layers: give it one here and in the README"
    wrong = imported_units(modules()[module].read_text(encoding="utf-8"), module) - {unit} - ALLOWED[unit]
    assert not wrong, f"{module} imports {sorted(wrong)}"


@pytest.mark.parametrize(
    ("source", "units"),
    [
        ("import saff_fast.fields.mlp", {"fields"}),
        ("from saff_fast import kernels", {"kernels"}),
        ("def f():\n    from saff_fast.train.step import batch_losses", {"train"}),
        ("from ..fields import mlp", {"fields"}),
        ("from . import kmeans", {"segment"}),
        ("from saff_fast import __version__", set()),
        ("import torch", set()),
    ],
)
def test_finds_imports(source, units):
    assert imported_units(source, "saff_fast.segment.vote") == units
