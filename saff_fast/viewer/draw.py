"""A look as a picture."""

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
from jaxtyping import Integer, UInt8
from numpy import ndarray

from saff_fast.playback.modalities import Modality, picture
from saff_fast.playback.objects import ObjectModel
from saff_fast.playback.shot import Shot
from saff_fast.render.colours import Picture
from saff_fast.viewer.look import NEED_OBJECTS, NEED_SEMANTICS, Look
from saff_fast.viewer.opened import Loaded

_WHITE = (255, 255, 255)
_MOST_PROBED = 512
"""Rays on which samples are counted."""


def shown_modality(loaded: Loaded, objects: ObjectModel | None, look: Look) -> Modality:
    """The wanted modality where the run has it, colour elsewhere."""
    missing = look.modality in NEED_SEMANTICS and not loaded.has_semantics
    return "rgb" if missing or (look.modality in NEED_OBJECTS and objects is None) else look.modality


def needed_maps(loaded: Loaded, objects: ObjectModel | None, look: Look) -> tuple[Modality, ...]:
    """What has to be rendered."""
    shown = shown_modality(loaded, objects, look)
    marks = objects is not None and (look.overlay > 0 or look.selected > 0)
    return (shown, "labels") if marks and shown != "labels" else (shown,)


def draw(loaded: Loaded, objects: ObjectModel | None, look: Look, shot: Shot, stop: Callable[[], bool]) -> Picture:
    """Render a shot as a look wants it.

    Raises:
        playback.renderer.Stopped: if `stop` said so.
    """
    renderer = replace(loaded.renderer, objects=objects)
    scales = loaded.scales if objects is None else replace(loaded.scales, palette=objects.palette)
    only, without = (None, frozenset[int]()) if objects is None else (look.only, look.without)
    maps = renderer.render(shot, needed_maps(loaded, objects, look), only=only, without=without, stop=stop)
    arrays = {name: values.cpu().numpy() for name, values in maps.items()}
    shown = shown_modality(loaded, objects, look)
    drawn = picture(shown, arrays[shown], scales, look.colours)
    if objects is None or "labels" not in arrays:
        return drawn
    labels = arrays["labels"]
    if look.overlay > 0:
        drawn = _overlaid(drawn, labels, scales.palette, look.overlay)
    return _outlined(drawn, labels == look.selected) if look.selected else drawn


def samples_per_ray(loaded: Loaded, shot: Shot) -> float:
    """Mean number of samples of a ray, on some of the shot's rays."""
    shrunk = shot.scaled(min(1.0, (_MOST_PROBED / (shot.height * shot.width)) ** 0.5))
    return loaded.renderer.samples_per_ray(shrunk)


def side_by_side(left: Picture, right: Picture) -> Picture:
    """Two pictures of one size with a line between them."""
    line = np.full((len(left), 1, 3), 255, np.uint8)
    return np.concatenate([left[:, :-1], line, right], axis=1) if left.shape[1] > 1 else np.hstack([left, right])


def fitted(image: Picture, height: int, width: int) -> Picture:
    """A picture in the middle of one of another size, its proportions kept, black around it."""
    scale = min(height / image.shape[0], width / image.shape[1])
    rows, columns = (max(1, min(most, round(n * scale))) for n, most in zip(image.shape, (height, width), strict=False))
    small = cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    placed = np.zeros((height, width, 3), np.uint8)
    top, left = (height - rows) // 2, (width - columns) // 2
    placed[top : top + rows, left : left + columns] = small
    return placed


def _overlaid(image: Picture, labels: Integer[ndarray, "h w"], palette: UInt8[ndarray, "n 3"], share: float) -> Picture:
    colours = palette[np.clip(labels, 0, len(palette) - 1)]
    mixed = np.round(image + share * (colours.astype(np.float32) - image)).astype(np.uint8)
    return np.where((labels > 0)[..., None], mixed, image)


def _outlined(image: Picture, mask: ndarray) -> Picture:
    """With the border of a mask in white."""
    filled = mask.astype(np.uint8)
    border = filled - cv2.erode(filled, np.ones((3, 3), np.uint8))
    return np.where(border[..., None] > 0, np.array(_WHITE, np.uint8), image)
