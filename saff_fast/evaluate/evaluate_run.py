"""Scores a run, or another system's label maps, under a named protocol."""

from pathlib import Path
from typing import Any

from saff_fast.errors import UserError
from saff_fast.evaluate.configuration import check_same_configuration
from saff_fast.evaluate.mask_metrics import jaccard
from saff_fast.evaluate.mask_scores import score_pair
from saff_fast.evaluate.protocols import DEFAULT_PROTOCOL, PROTOCOLS
from saff_fast.evaluate.protocols.protocol import Protocol
from saff_fast.evaluate.scores import Scores
from saff_fast.evaluate.subject import MaskPair, Options, Subject, read_subject
from saff_fast.evaluate.summary import filled
from saff_fast.evaluate.truth import resize_nearest
from saff_fast.files import read_json
from saff_fast.segment.postprocess import run_masks

_TRUTH_KEYS = {
    "fg_iou": "fg_jaccard",
    "ari": "ari",
    "fg_ari": "fg_ari",
    "boundary_f": "fg_boundary_f",
    "mean_iou": "mean_iou",
}


def evaluate_run(
    run: Path,
    truth: Path | None = None,
    protocol: str = DEFAULT_PROTOCOL,
    *,
    foreground_labels: tuple[int, ...] | None = None,
    held_out_run: Path | None = None,
    relabel: dict[int, int] | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Scores of a run as the JSON that `saff-fast evaluate` writes; a key without truth is absent.

    The protocol's own keys are in its module. Always there are `protocol` and `scene`; `truth` holds the scores against
    a folder of label maps, `frames` those of each view, `intervals` bootstrap intervals of the means.

    Args:
        run: Run folder with rendered views; masks are scored where `segment` has written them.
        truth: Folder of integer label maps, named by frame stem or as published, or None.
        protocol: A key of `PROTOCOLS`.
        foreground_labels: Labels of `truth` that count as objects; all above 0 if None.
        held_out_run: Run of the same scene and configuration with frames held out, whose `held_out` scores stand
            beside those of a run that saw all frames.
        relabel: Labels of `truth` that count as others, 0 as background.
        seed: Of the bootstrap.

    Raises:
        UserError: if an argument or a file is not what it must be.
    """
    chosen = find_protocol(protocol)
    options = Options(truth, relabel or {}, foreground_labels, held_out_run, seed)
    subject = read_subject(run, options)
    results = _describe(subject, chosen) | chosen.score(subject)
    if held_out_run is not None:
        results |= _held_out_beside(run, held_out_run)
    given = subject.given_pairs() if chosen.name != "dycheck" else []
    return results | filled({"truth": score_truth(given) | _dynamic_overlap(subject, given)})


def find_protocol(name: str) -> Protocol:
    """The protocol of a name; UserError when there is none."""
    if name not in PROTOCOLS:
        raise UserError(f"protocol must be one of {', '.join(PROTOCOLS)}, got {name!r}.")
    return PROTOCOLS[name]


def score_truth(pairs: list[MaskPair]) -> dict[str, float]:
    """Means over label maps of a folder."""
    scores = Scores()
    for pair in pairs:
        scores.add(score_pair(pair))
    means = scores.means()
    return {name: means[key] for name, key in _TRUTH_KEYS.items() if key in means}


def _dynamic_overlap(subject: Subject, pairs: list[MaskPair]) -> dict[str, float]:
    """Overlap of the dynamic share with the foreground of a folder's label maps, before any segmentation."""
    scores = Scores()
    for mask in (pair.truth for pair in pairs):
        dynamic = resize_nearest(subject.dynamic(mask.view), *mask.labels.shape)
        scores.add({"blend_iou": jaccard(mask.labels > 0, dynamic, mask.scored)})
    return scores.means()


def _held_out_beside(run: Path, held_out_run: Path) -> dict[str, Any]:
    """The held-out figures of another run of the same configuration."""
    check_same_configuration(run, held_out_run)
    held_out = evaluate_run(held_out_run, protocol="holdout")["held_out"]
    return {"held_out": held_out, "held_out_run": held_out_run.name}


def _describe(subject: Subject, protocol: Protocol) -> dict[str, Any]:
    path = subject.run / "meta.json"
    meta = read_json(path) if path.is_file() else {}
    known = {key: meta[key] for key in ("commit", "device", "seconds") if key in meta}
    masks = run_masks(subject.run)
    where = {"masks": str(masks.relative_to(subject.run))} if masks.is_dir() else {}
    made = subject.run / "segment" / "segment.json"
    oracle = read_json(made).get("oracle") if where and made.is_file() else None
    where |= {"oracle": oracle} if oracle else {}
    return {"protocol": protocol.name, "scene": subject.renders.scene.name, **known, **where}
