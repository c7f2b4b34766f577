"""The dynamic symbols that an ELF file needs from others, read without binutils, which a machine may lack."""

import struct
from pathlib import Path

_DYNSYM, _VERNEED, _VERSYM = 11, 0x6FFFFFFE, 0x6FFFFFFF  # section types


def undefined_symbols(path: Path) -> list[tuple[str, str | None]]:
    """Name and version, such as `("memcpy", "GLIBC_2.14")`, of each symbol that a 64-bit little-endian file lacks."""
    data = path.read_bytes()
    assert data[:6] == b"\x7fELF\x02\x01", f"{path}: not a 64-bit little-endian ELF file"
    (headers,) = struct.unpack_from("<Q", data, 0x28)
    (n_sections,) = struct.unpack_from("<H", data, 0x3C)
    # type, then flags, address, offset, size, link
    sections = [struct.unpack_from("<4xIQQQQI", data, headers + 64 * i) for i in range(n_sections)]
    offset_of = {kind: offset for kind, _, _, offset, _, _ in sections}
    size, link = next((size, link) for kind, _, _, _, size, link in sections if kind == _DYNSYM)
    strings = sections[link][3]

    def string(at: int) -> str:
        return data[strings + at : data.index(b"\0", strings + at)].decode()

    versions = _needed_versions(data, offset_of[_VERNEED], string) if _VERNEED in offset_of else {}
    found = []
    for i in range(1, size // 24):
        name, section = struct.unpack_from("<I2xH", data, offset_of[_DYNSYM] + 24 * i)
        if section == 0:
            (index,) = struct.unpack_from("<H", data, offset_of[_VERSYM] + 2 * i) if versions else (0,)
            found.append((string(name), versions.get(index)))
    return found


def _needed_versions(data: bytes, at: int, string) -> dict[int, str]:
    versions = {}
    while True:
        count, first, step = struct.unpack_from("<2xH4xII", data, at)
        entry = at + first
        for _ in range(count):
            index, name, following = struct.unpack_from("<6xHII", data, entry)
            versions[index] = string(name)
            entry += following
        if step == 0:
            return versions
        at += step
