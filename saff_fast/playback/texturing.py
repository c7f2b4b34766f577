"""Colours of rays of a shot, as trained frames show the surfaces that they meet."""

from saff_fast.geometry.spaces import NdcSpace
from saff_fast.playback.rays import ShotRays
from saff_fast.playback.sums import TRACE, Part, RaySums
from saff_fast.render.textures import SurfaceTextures, ViewTextures


def textured(sums: RaySums, textures: ViewTextures | None, rays: ShotRays, space: NdcSpace) -> RaySums:
    """The same sums, their colours those of the textures where they have some."""
    if textures is None:
        return sums
    return RaySums(
        _part(sums.static, textures.static, rays, space),
        sums.dynamic if textures.dynamic is None else _part(sums.dynamic, textures.dynamic, rays, space),
    )


def _part(part: Part, textures: SurfaceTextures, rays: ShotRays, space: NdcSpace) -> Part:
    opacity = part["opacity"].clamp_min(TRACE)
    points = space.to_world(rays.rays.origins + part["t"] / opacity * rays.rays.directions)
    return {**part, "rgb": part["opacity"] * textures.onto(points, part["rgb"] / opacity)}
