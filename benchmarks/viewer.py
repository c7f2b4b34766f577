"""How soon the viewer shows something, and how fluid it is in motion, without a browser.

    python benchmarks/viewer.py --json viewer.json [--run RUN]

`first_picture`: from a browser's camera to the first picture, coded as the page codes it. `drag`: pictures while the
camera moves a hundred times a second. The reference of each is what it must keep to. What the browser itself takes to
load the page and to show a picture is not in it.
"""

import math
import statistics
import threading
import time
from dataclasses import replace

import cv2
import harness
import numpy as np
import scenes

from saff_fast.playback.shot import shot_of
from saff_fast.viewer.camera import BrowserCamera, quaternion, vertical_fov
from saff_fast.viewer.opened import OpenRun
from saff_fast.viewer.session import Session

CANVAS = (1280, 720)
FIRST_MS, DRAGGED_MS = 2000.0, 100.0
"""What the first picture and a picture in motion may take."""
BETWEEN_MOVES = 0.01
SECONDS = 3.0
JPEG_QUALITY = 80


def main() -> None:
    parser = harness.parser(__doc__)
    scenes.add_run_options(parser)
    options = parser.parse_args()
    report = harness.Report(options)
    with scenes.trained_run(options) as run:
        opened = OpenRun(run)
        report.add(first_picture(opened, report.repeats))
        report.add(*(drag(opened, modality, report.repeats) for modality in ("rgb", "depth", "semantic")))
    report.finish()


class Screen:
    """Codes pictures as the page does, and counts them."""

    def __init__(self) -> None:
        self.at: list[float] = []
        self.rows: list[int] = []
        self.first = threading.Event()

    def show(self, picture, final) -> None:
        bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
        cv2.imencode(*((".png", bgr) if final else (".jpeg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])))
        self.at.append(time.perf_counter())
        self.rows.append(len(picture))
        self.first.set()

    def ignore(self, *_) -> None:
        pass

    tell = moved = clicked = regrouped = failed = ignore


def camera(opened: OpenRun, sideways: float = 0.0) -> BrowserCamera:
    shot = shot_of(opened.loaded.model, 0, 0)
    c2w = shot.c2w.double().numpy()
    centre = c2w[:, 3] + sideways * opened.loaded.scales.nearest * c2w[:, 0]
    return BrowserCamera.of(quaternion(c2w), centre, math.radians(vertical_fov(shot)), *CANVAS)


def first_picture(opened: OpenRun, repeats: int) -> harness.Row:
    def once() -> float:
        screen, began = Screen(), time.perf_counter()
        session = Session(opened, screen)
        session.change(lambda look: replace(look, camera=camera(opened)))
        screen.first.wait()
        session.close()
        return (screen.at[0] - began) * 1e3

    return outcome("first_picture", "a browser", [once() for _ in range(repeats)], FIRST_MS, {})


def drag(opened: OpenRun, modality: str, repeats: int) -> harness.Row:
    """Milliseconds from picture to picture, after the pace has settled."""
    intervals, rows = [], []
    screen = Screen()
    session = Session(opened, screen)
    session.change(lambda look: replace(look, modality=modality))
    begin = time.perf_counter()
    for _ in range(repeats):
        n, end = len(screen.at), time.perf_counter() + SECONDS
        while time.perf_counter() < end:
            sideways = 0.05 * math.sin(4 * (time.perf_counter() - begin))
            session.change(lambda look, sideways=sideways: replace(look, camera=camera(opened, sideways)))
            time.sleep(BETWEEN_MOVES)
        shown = screen.at[n:]
        half = shown[len(shown) // 2 :]
        intervals.append((half[-1] - half[0]) / max(len(half) - 1, 1) * 1e3)
        rows.append(float(np.median(screen.rows[n:])))
    session.close()
    figures = {"pictures_per_s": 1e3 / statistics.median(intervals), "rows": statistics.median(rows)}
    return outcome(f"drag.{modality}", "a picture", intervals, DRAGGED_MS, figures)


def outcome(name: str, unit: str, values: list[float], limit: float, figures: dict[str, float]) -> harness.Row:
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    timing = harness.Timing(middle, high - low)
    reference = f"at most {limit:g} ms"
    return harness.row(name, unit, (timing, harness.Timing(limit, 0.0)), reference, figures=figures)


if __name__ == "__main__":
    main()
