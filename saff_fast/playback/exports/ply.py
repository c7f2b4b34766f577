"""Point clouds as PLY files."""

from pathlib import Path

import numpy as np
from jaxtyping import Float, Int, UInt8
from numpy import ndarray

from saff_fast.files import atomic_path

VERTEX = np.dtype(
    [
        *((axis, "<f4") for axis in ("x", "y", "z")),
        *((colour, "u1") for colour in ("red", "green", "blue")),
        ("label", "<i4"),
        *((f"flow_{axis}", "<f4") for axis in ("x", "y", "z")),
    ]
)
_TYPES = {"<f4": "float", "|u1": "uchar", "<i4": "int"}


def write_ply(
    path: Path,
    points: Float[ndarray, "n 3"],
    colours: UInt8[ndarray, "n 3"],
    labels: Int[ndarray, " n"],
    flows: Float[ndarray, "n 3"],
) -> None:
    """Write points as a binary PLY, little endian, with colour, label and flow of each."""
    vertices = np.empty(len(points), VERTEX)
    columns = (*points.T, *colours.T, labels, *flows.T)
    for name, column in zip(VERTEX.names or (), columns, strict=True):
        vertices[name] = column
    properties = [f"property {_TYPES[VERTEX[name].str]} {name}" for name in VERTEX.names or ()]
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {len(points)}", *properties, "end_header", ""]
    with atomic_path(path) as partial:
        partial.write_bytes("\n".join(header).encode("ascii") + vertices.tobytes())
