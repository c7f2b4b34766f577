"""`saff-fast evaluate`."""

from pathlib import Path
from typing import Annotated

import tyro


def evaluate(
    run: Annotated[Path, tyro.conf.arg(metavar="RUN")],
    /,
    truth: Path | None = None,
    protocol: str = "views",
    json: Path | None = None,
) -> None:
    """Score a run's renders and masks: a table, and JSON in RUN/results.json.

    Args:
        run: Run folder with rendered views and, for masks, with labels.
        truth: Folder of integer label maps named by view, 0 = background; ignore/ in it is left out of the score.
        protocol: Named set of views and measures.
        json: Where the JSON goes too.
    """
    from saff_fast.evaluate.evaluate_run import evaluate_run
    from saff_fast.evaluate.table import print_table
    from saff_fast.files import save_json

    results = evaluate_run(run, truth, protocol)
    print_table(results)
    for path in (run / "results.json", json):
        if path is not None:
            save_json(path, results)
