"""Colours of published label maps, and the labels that the published scripts make of them."""

import numpy as np
from jaxtyping import Int, UInt8
from numpy import ndarray

from saff_fast.errors import UserError

_CATEGORY20 = """
1f77b4 aec7e8 ff7f0e ffbb78 2ca02c 98df8a d62728 ff9896 9467bd c5b0d5
8c564b c49c94 e377c2 f7b6d2 7f7f7f c7c7c7 bcbd22 dbdb8d 17becf 9edae5
"""
_CATEGORY20B = """
393b79 5254a3 6b6ecf 9c9ede 637939 8ca252 b5cf6b cedb9c 8c6d31 bd9e39
e7ba52 e7cb94 843c39 ad494a d6616b e7969c 7b4173 a55194 ce6dbd de9ed6
"""
PUBLISHED_COLOURS = np.array([list(bytes.fromhex(code)) for code in (_CATEGORY20 + _CATEGORY20B).split()], np.uint8)
"""Of the published labels 0 to 39 (d3's category20 and category20b), in the order of channels in which OpenCV reads the
published files; in a picture viewer red and blue are exchanged."""


def published_picture(labels: Int[ndarray, "height width"]) -> UInt8[ndarray, "height width 3"]:
    """A label map as the published code colours it, as OpenCV reads it: label n is its label n - 1, 0 is black."""
    if labels.max(initial=0) > len(PUBLISHED_COLOURS):
        raise UserError(
            f"labels must be at most {len(PUBLISHED_COLOURS)} for the published colours, got {labels.max()}; "
            "score with --protocol saff-clean."
        )
    return np.concatenate([np.zeros((1, 3), np.uint8), PUBLISHED_COLOURS])[labels]


def published_labels(picture: UInt8[ndarray, "height width 3"]) -> Int[ndarray, "height width"]:
    """What the published scripts read from a coloured label map; 0 is their background, -1.

    They compare the channels one by one and keep the first: colours that share its value become the last of them in
    lexicographic order. So the published labels 2, 3 and 7, all 255 there, are one.
    """
    colours = np.unique(picture.reshape(-1, 3), axis=0)
    ranks = np.zeros(256, np.int64)
    for rank, colour in enumerate(colours, start=1):
        if colour.any():
            ranks[colour[0]] = rank
    return ranks[picture[..., 0]]
