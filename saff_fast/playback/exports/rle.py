"""Masks as COCO run lengths (`pycocotools.mask`, `maskApi.c`)."""

import numpy as np
from jaxtyping import Bool
from numpy import ndarray

_BITS = 5
_CONTINUES, _NEGATIVE = 0x20, 0x10
_FIRST = 48  # the character 0


def run_lengths(mask: Bool[ndarray, "height width"]) -> list[int]:
    """Lengths of runs of equal pixels, column by column; the first run is of pixels outside of the mask, maybe empty.

    Example:
        >>> run_lengths(np.array([[False, True], [True, True]]))
        [1, 3]
    """
    pixels = mask.ravel(order="F")
    changes = np.flatnonzero(np.diff(pixels)) + 1
    ends = np.concatenate([[0] if pixels.size and pixels[0] else [], changes, [pixels.size]]).astype(np.int64)
    return np.diff(ends, prepend=0).tolist()


def compress(lengths: list[int]) -> str:
    """Run lengths as COCO's string: from the fourth on the difference to the one before last, five bits a character.

    Example:
        >>> compress([5, 31, 40])
        '5o0X1'
    """
    characters = []
    for index, length in enumerate(lengths):
        value = length - lengths[index - 2] if index > 2 else length
        more = True
        while more:
            bits = value & 0x1F
            value >>= _BITS
            more = value != (-1 if bits & _NEGATIVE else 0)
            characters.append(chr(_FIRST + (bits | _CONTINUES if more else bits)))
    return "".join(characters)


def encode(mask: Bool[ndarray, "height width"]) -> dict[str, object]:
    """The mask as COCO's `segmentation`."""
    return {"size": list(mask.shape), "counts": compress(run_lengths(mask))}
