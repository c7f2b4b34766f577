"""`saff-fast segment`."""

from pathlib import Path
from typing import Annotated

import tyro


def segment(run: Annotated[Path, tyro.conf.arg(metavar="RUN")], /) -> None:
    """Cluster the rendered semantics into objects, the same ones in every view and at every time.

    Args:
        run: Run folder with rendered views; masks go to RUN/segment/final, integers to its labels/.
    """
    from saff_fast.segment.config import SegmentConfig
    from saff_fast.segment.pipeline import segment_run

    report = segment_run(run, SegmentConfig())
    print(f"{report.n_clusters} clusters, {report.n_merged} after merging, {report.n_objects} objects")
    print(report.warning or f"Masks: {run / 'segment' / 'final'}")
