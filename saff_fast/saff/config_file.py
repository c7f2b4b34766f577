"""The syntax of published configuration files, which is that of ConfigArgParse."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from saff_fast.errors import UserError

_COMMENTS = ("#", ";", "[", "---")
_LINE = re.compile(
    r"^(?:--)?(?P<key>[^:=;#\s]+)\s*(?:(?P<sign>[:=\s])\s*(?P<quote>['\"]?)(?P<value>[^;#\s].*?)?(?P=quote))?"
    r"\s*(?:\s[;#].*)?$"
)


@dataclass(frozen=True)
class Entry:
    """What one line of the file says."""

    line: int
    key: str
    values: tuple[str, ...]
    """Words of the value, several for a list; `true` for a flag that stands alone."""


def read_entries(path: Path) -> list[Entry]:
    """The lines of a file, of which each is `key = value`, `key: value`, `key value`, or a flag.

    Lines that begin with `#`, `;`, `---` or a `[section]` are left out, and so is a comment behind a value, after a
    space. A list is `[1, 2, 3]` or `1 2 3`.

    Raises:
        UserError: if the file cannot be read, a line has another form, or a key stands there twice.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise UserError(
            f"{path}: the configuration cannot be read ({error.strerror}); give SAFF's config_*.txt"
        ) from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: this is not a text file; give SAFF's config_*.txt") from error
    entries: dict[str, Entry] = {}
    for number, text in enumerate(map(str.strip, lines), 1):
        if not text or text.startswith(_COMMENTS):
            continue
        match = _LINE.match(text)
        if match is None:
            raise UserError(f"{path}, line {number}: must be key = value, got {text!r}")
        key = match["key"]
        if key in entries:
            raise UserError(f"{path}, line {number}: {key} stands in line {entries[key].line} already; keep one")
        entries[key] = Entry(number, key, _words(match))
    return list(entries.values())


def _words(match: re.Match[str]) -> tuple[str, ...]:
    value, sign = match["value"], match["sign"]
    if value is None:
        return ("true",) if sign is None or sign.isspace() else ()
    if value.startswith("[") and value.endswith("]"):
        try:
            return tuple(str(item) for item in json.loads(value))
        except ValueError:
            return tuple(part.strip(" '\"") for part in value[1:-1].split(","))
    return (value,)
