"""`saff-fast evaluate`."""

from pathlib import Path
from typing import Annotated, Any

import tyro


def evaluate(
    run: Annotated[Path, tyro.conf.arg(metavar="RUN")],
    /,
    truth: Annotated[Path | None, tyro.conf.arg(metavar="DIR", help_behavior_hint="(default: the scene's own)")] = None,
    protocol: Annotated[str, tyro.conf.arg(metavar="NAME")] = "saff-clean",
    held_out_run: Annotated[Path | None, tyro.conf.arg(metavar="RUN", help_behavior_hint="(default: none)")] = None,
    json: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="(default: only the run's)")] = None,
) -> None:
    """Score a run's renders and masks: a table, and JSON in RUN/results.json.

    Args:
        run: Run folder with rendered views and, for masks, with labels.
        truth: Folder of integer label maps named by frame, 0 = background; 255 in its ignore/ is not scored.
        protocol: saff-clean: every view with truth; holdout: the frames that training did not see;
            page-codec: ten training views after the published video codec, beside the held-out frames.
        held_out_run: Run of the same scene and settings with frames held out, whose figures stand beside RUN's.
        json: Where the JSON goes too.
    """
    from saff_fast.evaluate.table import print_table
    from saff_fast.files import save_json

    results = score(run, truth, protocol, held_out_run)
    for path in (run / "results.json", json):
        if path is not None:
            save_json(path, results)
    print_table(results)


def score(
    run: Path, truth: Path | None = None, protocol: str = "saff-clean", held_out_run: Path | None = None
) -> dict[str, Any]:
    """The scores of a run and how long its training took [s]."""
    from saff_fast.evaluate.evaluate_run import evaluate_run
    from saff_fast.train.checkpoint import load_checkpoint

    results = evaluate_run(run, truth, protocol, held_out_run=held_out_run)
    checkpoint = load_checkpoint(run / "checkpoints")
    return results if checkpoint is None else {"seconds": checkpoint.seconds} | results
