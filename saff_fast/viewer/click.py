"""What is seen at a pixel."""

from dataclasses import replace

from saff_fast.playback.objects import ObjectModel
from saff_fast.playback.shot import Shot
from saff_fast.viewer.look import Look
from saff_fast.viewer.opened import Loaded
from saff_fast.viewer.screen import Hit


def object_at(loaded: Loaded, objects: ObjectModel, look: Look, shot: Shot, at: tuple[float, float]) -> Hit:
    """What a shot shows at x and y, shares of its width and height from the upper left corner."""
    x, y = (min(max(share, 0.0), 1.0) * n for share, n in zip(at, (shot.width, shot.height), strict=True))
    intrinsics = shot.intrinsics - shot.intrinsics.new_tensor([0, 0, x - 0.5, y - 0.5])
    pixel = replace(shot, intrinsics=intrinsics, height=1, width=1)
    renderer = replace(loaded.renderer, objects=objects)
    maps = renderer.render(pixel, ("semantic",), only=look.only, without=look.without)
    features = maps["semantic"].flatten(0, 1)
    cluster = int(objects.clusters_of(features)[0])
    return Hit(int(objects.object_of[cluster]), cluster)
