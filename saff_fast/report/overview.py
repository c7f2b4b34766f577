"""Cameras and points from above, as inline SVG."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

WIDTH, HEIGHT, MARGIN = 360, 240, 16
MAX_POINTS = 1500


@dataclass(frozen=True)
class TopView:
    """Places seen from above: x to the right of the mean camera, y ahead of it; units of the world."""

    centres: Float[ndarray, "n_frames 2"]
    ahead: Float[ndarray, "n_frames 2"]
    """Each camera's viewing direction."""
    points: Float[ndarray, "n_points 2"]


def top_view(c2w: Float[ndarray, "n_frames 3 4"], points: Float[ndarray, "n_points 3"]) -> TopView:
    """Cameras (OpenCV axes) and points projected along the mean camera's vertical axis."""
    down, forward = c2w[:, :, 1].mean(0), c2w[:, :, 2].mean(0)
    down = down / max(np.linalg.norm(down), 1e-12)
    forward = forward - (forward @ down) * down
    forward = forward / max(np.linalg.norm(forward), 1e-12)
    axes = np.stack([np.cross(down, forward), forward], axis=-1)
    return TopView(c2w[:, :, 3] @ axes, c2w[:, :, 2] @ axes, points @ axes)


def scene_svg(view: TopView) -> str:
    """All cameras and the points, but for the farthest 2 %."""
    step = max(len(view.points) // MAX_POINTS, 1)
    shown = view.points[::step]
    if len(shown):
        low, high = np.percentile(shown, [2, 98], axis=0)
        shown = shown[((shown >= low) & (shown <= high)).all(-1)]
    to_pixels = _fit(np.concatenate([view.centres, shown]))
    dots = [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="1" class="point"/>' for x, y in to_pixels(shown)]
    cameras = [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" class="camera"/>' for x, y in to_pixels(view.centres)]
    return _svg("cameras and matched points from above", [*dots, *cameras])


def path_svg(view: TopView) -> str:
    """The camera path alone, enlarged, with frame numbers and viewing directions."""
    to_pixels = _fit(view.centres)
    places = to_pixels(view.centres)
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    parts = [f'<polyline points="{line}" class="path"/>']
    every = max(len(places) // 12, 1)
    for frame, ((x, y), (u, v)) in enumerate(zip(places, view.ahead, strict=True)):
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" class="camera"/>')
        parts.append(f'<path d="M{x:.1f} {y:.1f} l{12 * u:.1f} {-12 * v:.1f}" class="path"/>')
        if frame % every == 0:
            parts.append(f'<text x="{x + 4:.1f}" y="{y + 11:.1f}">{frame}</text>')
    return _svg("camera path from above, frames numbered", parts)


def _fit(places: Float[ndarray, "n 2"]):
    """The map from places to pixels that shows all of them, y upwards, at one scale."""
    low, high = places.min(0), places.max(0)
    extent = np.maximum(high - low, 1e-9 * max(np.abs(places).max(), 1e-9))
    scale = float(min((WIDTH - 2 * MARGIN) / extent[0], (HEIGHT - 2 * MARGIN) / extent[1]))
    middle = (low + high) / 2

    def to_pixels(some: Float[ndarray, "n 2"]) -> Float[ndarray, "n 2"]:
        return (some - middle) * (scale, -scale) + (WIDTH / 2, HEIGHT / 2)

    return to_pixels


def _svg(title: str, parts: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img" aria-label="{title}">'
        f"<title>{title}</title>{''.join(parts)}</svg>"
    )
