"""`saff-fast segment`."""

from pathlib import Path
from typing import Annotated

import tyro


def segment(run: Annotated[Path, tyro.conf.arg(metavar="RUN")], /) -> None:
    """Cluster the rendered semantics into objects: one label map a view, consistent over views and times.

    Args:
        run: Run folder with rendered views; the masks go to RUN/segment/final (integers in labels/, colours beside).
    """
    from saff_fast.segment.pipeline import SegmentConfig, segment_run

    segment_run(run, SegmentConfig())
