"""Writes `report.html`: one file that needs nothing else."""

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path

import cv2
import numpy as np

from saff_fast.files import atomic_path
from saff_fast.report import facts as known
from saff_fast.report.overview import path_svg, scene_svg, top_view
from saff_fast.report.panels import PANELS, Picture, Scales, measure, thumbnail
from saff_fast.scene.reader import read_scene
from saff_fast.scene.scene import Scene

REPORT = "report.html"
JPEG_QUALITY = 85

_STYLE = """
:root { color-scheme: light dark; }
body { background: Canvas; color: CanvasText; font: 15px/1.4 system-ui, sans-serif; margin: 1.5rem; }
table { border-collapse: collapse; } td, th { text-align: left; padding: .1rem 1rem .1rem 0; vertical-align: top; }
.head { display: flex; flex-wrap: wrap; gap: 2rem; align-items: flex-start; }
.warning { border-left: 4px solid #d9480f; padding-left: .6rem; } ul.warning { padding-left: 1.6rem; }
.frame { border-top: 1px solid GrayText; margin-top: 1rem; }
.panels { display: flex; flex-wrap: wrap; gap: .5rem; }
figure { margin: 0; } figcaption { font-size: 12px; opacity: .75; } img { display: block; width: 240px; }
svg { border: 1px solid GrayText; } svg text { font-size: 10px; fill: CanvasText; }
.point { fill: GrayText; opacity: .5; } .camera { fill: #d9480f; } .path { fill: none; stroke: #d9480f; }
"""

_LEGEND = (
    "Motion: red where something moves. Depth: red is near, blue is far. Confidence and saliency: yellow is high. "
    "Flow: hue is the direction (red right, green-yellow down, cyan left, violet up), dark where it is inconsistent; "
    "full colour is {flow:.1f} pixels. Features: the first three principal components as red, green, blue."
)


def write_report(folder: Path) -> Path:
    """Write the page of a scene folder into it.

    Args:
        folder: A scene folder, whoever prepared it.

    Returns:
        The page's path.

    Raises:
        UserError: The folder is not a complete scene.
    """
    scene, sparse = read_scene(folder), known.read_sparse(folder)
    scales, warnings = measure(scene), known.frame_warnings(scene)
    path = folder / REPORT
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as page:
        title = escape(f"Priors of {scene.name}")
        page.write(f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>')
        page.write(f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>\n')
        page.write(f"<h1>{title}</h1>\n{_head(folder, scene, sparse)}")
        page.write(_all_warnings(scene.names, known.scene_warnings(sparse), warnings))
        page.write(f"<p>{_LEGEND.format(flow=scales.largest_flow)}</p>\n")
        for frame in range(len(scene)):
            page.write(_frame(scene, frame, scales, warnings[frame]))
        page.write("</body></html>\n")
    return path


def _head(folder: Path, scene: Scene, sparse: known.Sparse | None) -> str:
    c2w = scene.cameras.c2w.numpy() if sparse is None else sparse.c2w
    view = top_view(c2w, np.zeros((0, 3)) if sparse is None else sparse.points)
    drawings = [path_svg(view)] if sparse is None else [scene_svg(view), path_svg(view)]
    stages = [("step", "made by", "took"), *known.stage_rows(folder)]
    tables = _table(known.facts(scene, sparse)) + (_table(stages) if len(stages) > 1 else "")
    return f'<div class="head">{tables}{"".join(drawings)}</div>\n'


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    lines = ["<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows]
    return f"<table>{''.join(lines)}</table>"


def _all_warnings(names: Sequence[str], of_scene: list[str], of_frames: list[list[str]]) -> str:
    """What looks wrong, before any picture."""
    lines = [escape(text) for text in of_scene]
    for frame, (name, warnings) in enumerate(zip(names, of_frames, strict=True)):
        link = f'<a href="#frame-{frame}">{frame}: {escape(name)}</a>'
        lines += [f"{link} {escape(text)}" for text in warnings]
    if not lines:
        return "<p>Nothing looks wrong.</p>\n"
    return f'<ul class="warning">{"".join(f"<li>{line}</li>" for line in lines)}</ul>\n'


def _frame(scene: Scene, frame: int, scales: Scales, warnings: list[str]) -> str:
    lines = [f'<section class="frame" id="frame-{frame}"><h2>{frame}: {escape(scene.names[frame])}</h2>']
    lines += [f'<p class="warning">{escape(text)}</p>' for text in warnings]
    lines.append('<div class="panels">')
    for title, draw in PANELS.items():
        picture = draw(scene, frame, scales)
        if picture is not None:
            lines.append(f'<figure><img alt="{title}" src="{_data_url(thumbnail(picture))}">')
            lines.append(f"<figcaption>{title}</figcaption></figure>")
    return "\n".join([*lines, "</div></section>\n"])


def _data_url(picture: Picture) -> str:
    done, data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    assert done
    return f"data:image/jpeg;base64,{base64.b64encode(data.tobytes()).decode()}"
