"""Renders that stay within a given amount of memory, whatever their resolution."""

from collections.abc import Collection
from dataclasses import replace

from saff_fast.errors import UserError
from saff_fast.playback.files import MapFile
from saff_fast.playback.renderer import ShotRenderer
from saff_fast.train.memory_limit import bytes_in_use

_GIB = 2**30
_TILE_SHARE = 0.5
"""Share of what is free that a tile is planned to take: how many samples its rays have is only known afterwards."""


def bounded(renderer: ShotRenderer, limit: float, n_pixels: int, files: Collection[MapFile]) -> ShotRenderer:
    """The renderer with tiles so small that pictures of `n_pixels`, stored in `files`, stay within `limit` GiB.

    Raises:
        UserError: if the pictures themselves do not fit, or nothing would be left for a tile.
    """
    n_semantic = renderer.model.field.static_semantics.out_features
    sizes = [file.bytes_per_pixel or 2 * n_semantic for file in files]
    # A picture is turned and compressed in memory before it is written: twice its size on top of all that are held.
    stored = n_pixels * (sum(sizes) + 2 * max(sizes, default=0))
    taken = bytes_in_use(renderer.model.cameras.c2w.device) + stored
    tile = int((limit * _GIB - taken) * _TILE_SHARE)
    least = renderer.smallest_tile
    if tile < least:
        raise UserError(
            f"--max-memory must be at least {(taken + least / _TILE_SHARE) / _GIB:.2f}G for {n_pixels} pixels of these "
            f"maps, got {limit:g}G; raise it, or lower --scale or the number of --modalities"
        )
    return replace(renderer, tile_bytes=min(renderer.tile_bytes, tile))
