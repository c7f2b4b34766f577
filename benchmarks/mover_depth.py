"""Depth of what moves, frame by frame: movers that collapse to the near plane look right in every picture.

    python benchmarks/mover_depth.py RUN... [--out FOLDER]

Of each rendered run, `FOLDER/mover_depth_SCENE.svg` and a JSON beside it: along the camera's z in world units, the
median depth of pixels whose dynamic share exceeds one half, the nearest static depth (its 2 % quantile), the median
static depth, and the near plane.
"""

import argparse
from pathlib import Path

import numpy as np
from command import command
from svg import Line, plot

from saff_fast.files import save_json, save_text
from saff_fast.segment.renders import Renders, read_renders
from saff_fast.train.rendering import load_run
from saff_fast.train.run_folder import commit

RESULTS = Path(__file__).resolve().parent / "results"
COLOURS = {"movers": "#d62728", "nearest static": "#1f77b4", "static": "#7f7f7f", "near plane": "#000000"}
_MOVES = 0.5
_FEWEST = 20
"""Pixels that have to move, or a frame has no mover."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="a run that has been rendered")
    parser.add_argument("--out", type=Path, default=RESULTS, metavar="FOLDER", help="where files are put")
    options = parser.parse_args()
    for run in options.runs:
        renders = read_renders(run)
        depths = by_frame(renders) | {"near plane": dict.fromkeys(range(renders.n_frames), load_run(run).space.near)}
        name = f"mover_depth_{renders.scene.name.lower()}"
        lines = [Line(label, COLOURS[label], sorted(points.items())) for label, points in depths.items() if points]
        save_text(options.out / f"{name}.svg", plot(f"{renders.scene.name}: depth", "frame", lines, linear_x=True))
        about = {"commit": commit(), "command": command(), "scene": renders.scene.name}
        save_json(options.out / f"{name}.json", about | {"depths": depths})
        ratios = [depths["movers"][frame] / depths["nearest static"][frame] for frame in depths["movers"]]
        if ratios:
            print(f"{renders.scene.name}: movers at {np.median(ratios):.2f} of the nearest static depth (median)")


def by_frame(renders: Renders) -> dict[str, dict[int, float]]:
    """The depths of trained input views by frame; frames without a mover have none of its."""
    found: dict[str, dict[int, float]] = {"movers": {}, "nearest static": {}, "static": {}}
    for view in renders.trained_inputs():
        depth, moves = renders.depth(view), renders.dynamic(view).numpy() > _MOVES
        still = depth[~moves & np.isfinite(depth)]
        found["nearest static"][view.pose] = float(np.quantile(still, 0.02))
        found["static"][view.pose] = float(np.median(still))
        if moves.sum() >= _FEWEST:
            found["movers"][view.pose] = float(np.median(depth[moves]))
    return found


if __name__ == "__main__":
    main()
