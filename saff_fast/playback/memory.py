"""Renders that stay within a given amount of memory, whatever their resolution."""

from collections.abc import Collection, Sequence
from dataclasses import replace

from saff_fast.errors import UserError
from saff_fast.playback.files import files_of
from saff_fast.playback.modalities import Modality
from saff_fast.playback.renderer import ShotRenderer
from saff_fast.playback.shot import Shot
from saff_fast.train.memory_limit import bytes_in_use

_GIB, _RGB = 2**30, 3
_TILE_SHARE = 0.5
"""Share of what is free that a tile is planned to take: how many samples its rays have is only known afterwards."""


def bytes_of_files(renderer: ShotRenderer, modalities: Collection[Modality]) -> int:
    """What a view's files hold by the pixel until they are written, and what splatting holds for untrained frames."""
    n_semantic = renderer.model.field.static_semantics.out_features
    sizes = [file.bytes_per_pixel or 2 * n_semantic for file in files_of(modalities)]
    return _with_copies(sizes) + (renderer.layer_bytes(modalities) if renderer.model.held_out else 0)


def bytes_of_pictures(renderer: ShotRenderer, shots: Sequence[Shot], modalities: Collection[Modality]) -> int:
    """What pictures of maps hold by the pixel, and what splatting holds for times between trained frames."""
    splats = any(renderer.splats(shot.time) for shot in shots)
    return _with_copies([_RGB for _ in modalities]) + (renderer.layer_bytes(modalities) if splats else 0)


def _with_copies(sizes: list[int]) -> int:
    """A picture is turned and compressed in memory before it is written: two copies beside all that are held."""
    return sum(sizes) + 2 * max(sizes, default=0)


def bounded(renderer: ShotRenderer, limit: float, n_pixels: int, bytes_per_pixel: int) -> ShotRenderer:
    """The renderer with tiles so small that pictures of `n_pixels` stay within `limit` GiB.

    Args:
        renderer: The renderer.
        limit: GiB that all of the process may take.
        n_pixels: Of the largest picture.
        bytes_per_pixel: What is held of a whole picture, by `bytes_of_files` or `bytes_of_pictures`.

    Raises:
        UserError: if the pictures themselves do not fit, or nothing would be left for a tile.
    """
    stored = n_pixels * bytes_per_pixel
    taken = bytes_in_use(renderer.model.cameras.c2w.device) + stored
    tile = int((limit * _GIB - taken) * _TILE_SHARE)
    least = renderer.smallest_tile
    if tile < least:
        raise UserError(
            f"--max-memory must be at least {(taken + least / _TILE_SHARE) / _GIB:.2f}G for {n_pixels} pixels of these "
            f"maps, got {limit:g}G; raise it, or lower --scale or the number of --modalities"
        )
    return replace(renderer, tile_bytes=min(renderer.tile_bytes, tile))
