"""`saff-fast evaluate`."""

from pathlib import Path
from typing import Annotated, Any

import tyro

from saff_fast.errors import UserError

_OWN = "(default: the scene's own)"


def evaluate(
    run: Annotated[Path, tyro.conf.arg(metavar="RUN")],
    /,
    truth: Annotated[Path | None, tyro.conf.arg(metavar="DIR", help_behavior_hint=_OWN)] = None,
    relabel: Annotated[
        tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(metavar="OLD=NEW", help_behavior_hint="(repeatable)")
    ] = (),
    protocol: Annotated[str, tyro.conf.arg(metavar="NAME")] = "saff-clean",
    held_out_run: Annotated[Path | None, tyro.conf.arg(metavar="RUN", help_behavior_hint="(default: none)")] = None,
    seed: Annotated[int, tyro.conf.arg(metavar="INT")] = 0,
    json: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="(default: only the run's)")] = None,
) -> None:
    """Score a run's renders and masks: a table, and JSON in RUN/results.json. docs/evaluation.md has the protocols.

    Args:
        run: Run folder with rendered views and, for masks, with labels.
        truth: Folder of integer label maps named by frame, 0 = background; 255 in its ignore/ is not scored.
        relabel: True label that counts as another, such as 3=2, or as background, 2=0.
        protocol: saff-clean: every view with truth; saff-official: the published scripts' numbers; nsff-264: novel
            pictures of the whole rig; dycheck: held-out odd frames; holdout: the frames that training did not see;
            page-codec: ten training views after the published video codec; davis-uvos: J and F of each object.
        held_out_run: Run of the same scene and settings with frames held out, whose figures stand beside RUN's.
        seed: Of the bootstrap intervals.
        json: Where the JSON goes too.
    """
    from saff_fast.evaluate.table import print_table
    from saff_fast.files import save_json

    results = score(run, truth, protocol, held_out_run=held_out_run, relabel=read_relabel(relabel), seed=seed)
    for path in (run / "results.json", json):
        if path is not None:
            save_json(path, results)
    print_table(results)


def score(run: Path, truth: Path | None = None, protocol: str = "saff-clean", **options: Any) -> dict[str, Any]:
    """The scores of a run (see `evaluate_run`) and how long its training took [s]."""
    from saff_fast.evaluate.evaluate_run import evaluate_run
    from saff_fast.train.checkpoint import load_checkpoint

    results = evaluate_run(run, truth, protocol, **options)
    checkpoint = load_checkpoint(run / "checkpoints")
    return results if checkpoint is None else {"seconds": checkpoint.seconds} | results


def read_relabel(texts: tuple[str, ...]) -> dict[int, int]:
    """`3=2` as a pair of labels."""
    try:
        return {int(old): int(new) for old, new in (text.split("=") for text in texts)}
    except ValueError:
        raise UserError(f"--relabel must be two labels such as 3=2, got {', '.join(texts)!r}.") from None
