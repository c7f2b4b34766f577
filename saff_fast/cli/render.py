"""`saff-fast render`."""

from pathlib import Path
from typing import Annotated, Literal

import tyro


def render(
    run: Annotated[Path, tyro.conf.arg(metavar="RUN")], /, device: Literal["auto", "cpu", "cuda"] = "auto"
) -> None:
    """Render a run: colour, depth, blend, saliency, semantics, flow of the 60-view protocol.

    Every camera at its own time (held-out frames too), camera 0 at all times, 12 cameras at time 0.

    Args:
        run: Run folder of `saff-fast train`; the views go to RUN/render.
        device: Where to render; auto is CUDA where it can be used.
    """
    from saff_fast.cli.progress import ProgressLine
    from saff_fast.train.rendering import render_run

    with ProgressLine() as line:
        render_run(run, lambda done, total: line.show(f"rendered {done} of {total} views"), device)
    print(f"Rendered views: {run / 'render'}")
