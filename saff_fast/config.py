"""Frozen dataclass trees as TOML files, strictly: a misspelt or impossible value stops the run before it starts.

The layers, each over the one before: the dataclasses' defaults, a preset or TOML file, the command line.
"""

import json
import tomllib
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, TypeVar

from saff_fast.errors import UserError

_T = TypeVar("_T")
_WORDS = {bool: "true or false", int: "an integer", float: "a number", str: "a string", Path: "a path"}
_NONE = "none"


def preset_folder() -> Path:
    """Folder of the presets: inside an installed package, beside the package in a source tree."""
    installed = Path(str(files("saff_fast").joinpath("configs")))
    return installed if installed.is_dir() else Path(__file__).resolve().parent.parent / "configs"


def preset_names() -> tuple[str, ...]:
    """Names of all presets, sorted."""
    return tuple(sorted(path.stem for path in preset_folder().glob("*.toml")))


def preset_path(name: str) -> Path:
    """File of a preset; UserError with the known names if there is none."""
    if name not in preset_names():
        raise UserError(f"preset {name!r} does not exist; the presets are {_listed(preset_names())}")
    return preset_folder() / f"{name}.toml"


def load_config(cls: type[_T], source: str | Path, base: _T | None = None) -> _T:
    """The configuration that a preset or a TOML file describes.

    Args:
        cls: Root of a tree of frozen dataclasses.
        source: Name of a preset, or path of a file; a string is a path if it ends in `.toml`.
        base: What the file does not mention stays as it is here; by default the dataclasses' own defaults.

    Raises:
        UserError: No such preset or file, not TOML, an unknown key, a wrong type, a value out of range.
    """
    is_file = isinstance(source, Path) or source.endswith(".toml")
    path = Path(source) if is_file else preset_path(str(source))
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: the configuration cannot be read ({error.strerror}); give a TOML file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: this is not a TOML file ({error})") from error
    return _build(cls, table, base, str(path), ())


def override(config: _T, assignments: Iterable[str], source: str = "--set") -> _T:
    """`config` with values from the command line, each written `section.key=value`.

    A value is written as in TOML; quotes around a plain word may be left out. All are applied at once, so their order
    does not matter to checks that look at several keys; of two for one key the last counts.

    Args:
        config: What they change.
        assignments: The values.
        source: Where they come from, for error messages.

    Raises:
        UserError: No `=`, an unknown key, a wrong type, a value out of range.
    """
    table: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals or not key.strip():
            raise UserError(f"{source} must be written section.key=value, got {assignment!r}")
        *sections, name = (part.strip() for part in key.split("."))
        section = table
        for part in sections:
            section = section.setdefault(part, {})
            if not isinstance(section, dict):
                raise UserError(
                    f"{source}: {part} cannot be a value and a section of keys, got {assignment!r}; keep one"
                )
        section[name] = _literal(text.strip())
    return _build(type(config), table, config, source, ())


def dump_config(config: Any) -> str:
    """`config` in full as TOML, so that `load_config` of it gives an equal one whatever the defaults have become."""
    return "\n".join(_dump(config, ())).strip() + "\n"


def _dump(config: Any, path: tuple[str, ...]) -> list[str]:
    values = {f.name: getattr(config, f.name) for f in fields(config) if f.init}
    plain = [f"{name} = {_to_toml(value)}" for name, value in values.items() if not is_dataclass(value)]
    nested = [_dump(value, (*path, name)) for name, value in values.items() if is_dataclass(value)]
    header = ["", f"[{'.'.join(path)}]"] if path else []
    return [*header, *plain, *(line for lines in nested for line in lines)]


def _to_toml(value: object) -> str:
    if value is None:
        return f'"{_NONE}"'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_to_toml, value))}]"
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{_quoted(str(key))} = {_to_toml(item)}' for key, item in value.items())} }}"
    if isinstance(value, str | Path):
        return _quoted(str(value))
    raise ValueError(f"dump_config: value must be a number, a text or a sequence of them, got {type(value).__name__}")


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _literal(text: str) -> object:
    try:
        parsed = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    return parsed["value"] if len(parsed) == 1 else text


def _build(cls: type[_T], table: object, base: _T | None, source: str, path: tuple[str, ...]) -> _T:
    where = f"{source}: {'.'.join(path)}" if path else source
    if not isinstance(table, dict):
        raise UserError(f"{where} must be a section of keys, got {table!r}")
    known: dict[str, Field[Any]] = {f.name: f for f in fields(cls) if f.init}  # type: ignore[arg-type]
    given = {str(key).replace("-", "_"): value for key, value in table.items()}
    if len(given) < len(table):
        raise UserError(f"{where}: a key is written twice, with '-' and with '_'; keep one")
    unknown = [key for key in given if key not in known]
    if unknown:
        raise UserError(f"{where}: unknown keys {_listed(unknown)}; known: {_listed(known)}")
    hints = typing.get_type_hints(cls)
    values: dict[str, Any] = {}
    for name, field in known.items():
        before = _default(field) if base is None else getattr(base, name)
        if name in given:
            values[name] = _convert(hints[name], given[name], before, source, (*path, name))
        elif before is MISSING:
            raise UserError(f"{where}: key '{name}' is missing")
        else:
            values[name] = before
    try:
        return cls(**values)
    except ValueError as error:
        raise UserError(f"{where}: {error}") from error


def _default(field: Field[Any]) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


def _convert(hint: Any, value: object, before: Any, source: str, path: tuple[str, ...]) -> Any:
    """`value` as the type `hint`; `before` is what it replaces, which fills the rest of a nested section."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if is_dataclass(hint):
        return _build(hint, value, before if isinstance(before, hint) else None, source, path)  # type: ignore[arg-type]
    if origin in (typing.Union, types.UnionType):
        if type(None) in arguments and value == _NONE:
            return None
        rest = [argument for argument in arguments if argument is not type(None)]
        if len(rest) == 1:
            return _convert(rest[0], value, before, source, path)
    if origin is Literal and any(value == choice and type(value) is type(choice) for choice in arguments):
        return value
    if origin is tuple and isinstance(value, list):
        variadic = arguments[-1] is Ellipsis
        if variadic or len(value) == len(arguments):
            items = arguments[:1] * len(value) if variadic else arguments
            pairs = zip(items, value, strict=True)
            return tuple(_convert(item, v, None, source, (*path, str(i))) for i, (item, v) in enumerate(pairs))
    if origin is dict and isinstance(value, dict):
        return {key: _convert(arguments[1], v, None, source, (*path, key)) for key, v in value.items()}
    if type(value) is hint:
        return value
    if hint is float and type(value) is int:
        return float(value)
    if hint is Path and isinstance(value, str):
        return Path(value)
    raise UserError(f"{source}: {'.'.join(path)} must be {_expected(hint)}, got {value!r}")


def _expected(hint: Any) -> str:
    """What a value of this type looks like in the file, in words."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return f"one of {_listed(map(str, arguments))}"
    if origin is tuple:
        variadic = arguments[-1] is Ellipsis
        length = "" if variadic else f"{len(arguments)} values, each "
        return f"a list of {length}{_expected(arguments[0])}"
    return "a table" if origin is dict else _WORDS.get(hint, str(hint))


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in names) or "none"
