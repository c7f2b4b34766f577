"""`saff-fast segment`."""

from pathlib import Path
from typing import Annotated

import tyro


def segment(
    run: Annotated[Path, tyro.conf.arg(metavar="RUN")],
    /,
    parity: bool = False,
    oracle: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="(default: none)")] = None,
    assignments: Annotated[
        tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(name="set", metavar="SECTION.KEY=VALUE")
    ] = (),
) -> None:
    """Cluster the rendered semantics into objects, the same ones in every view and at every time.

    Args:
        run: Run folder with rendered views; masks go to RUN/segment/final, integers to its labels/.
        parity: The published settings, seeds and subsampling; those of --set come on top.
        oracle: True foreground of view 0 (not 0; in COLMAP's masks NAME.png.png what is black), which decides in place
            of votes: an upper bound, and the published way for DyCheck's captures.
        assignments: One setting, such as kmeans.backend=torch or device=cpu.
    """
    from saff_fast.config import override
    from saff_fast.segment.config import PUBLISHED, SegmentConfig
    from saff_fast.segment.pipeline import segment_run
    from saff_fast.segment.table import as_text

    report = segment_run(run, override(PUBLISHED if parity else SegmentConfig(), assignments), oracle)
    print(f"{report.n_clusters} clusters, {report.n_merged} after merging, {report.n_objects} objects")
    if report.objects:
        print(as_text(report.objects))
    if report.set_aside is not None:
        print(f"Objects edited by hand were set aside: {report.set_aside}")
    print(report.warning or f"Masks: {run / 'segment' / 'final'}")
