"""`saff-fast render`."""

from pathlib import Path
from typing import Annotated

import tyro


def render(run: Annotated[Path, tyro.conf.arg(metavar="RUN")], /) -> None:
    """Render a trained run: colour, depth, blend, saliency and semantics of the 60-view protocol.

    Input views (each camera at its time), camera 0 at every time, time 0 from the first 12 cameras. Held-out frames
    are input views of their own.

    Args:
        run: Run folder of `saff-fast train`; the views go to RUN/render.
    """
    from saff_fast.train.rendering import render_run

    render_run(run)
