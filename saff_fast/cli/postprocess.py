"""`saff-fast postprocess`."""

from pathlib import Path
from typing import Annotated

import tyro


def postprocess(
    run: Annotated[Path, tyro.conf.arg(metavar="RUN")],
    /,
    crf: bool = False,
    parity: bool = False,
    assignments: Annotated[
        tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(name="set", metavar="SECTION.KEY=VALUE")
    ] = (),
) -> None:
    """Clean the masks of a segmented run: threads and specks go, holes are filled; `evaluate` then scores the result.

    Args:
        run: Run folder with masks; the cleaned ones go to RUN/postprocess/final, integers to its labels/.
        crf: Then move the edges to those of rendered colour and depth, by a dense CRF.
        parity: Morphology and lengths exactly as published, holes left open.
        assignments: One setting, such as crf.depth_weight=10, backend=torch or min_component=0.01.
    """
    from saff_fast.config import override
    from saff_fast.segment.postprocess import PostprocessConfig, postprocess_run

    config = override(PostprocessConfig(use_crf=crf, parity=parity), assignments)
    n_views = postprocess_run(run, config)
    print(f"Masks of {n_views} views: {run / 'postprocess' / 'final'}")
