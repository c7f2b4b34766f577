"""The `dycheck` protocol: training on the even frames of a clip, scoring on the odd ones."""

from typing import Any

import numpy as np

from saff_fast.errors import UserError
from saff_fast.evaluate.image_metrics import psnr, ssim
from saff_fast.evaluate.mask_scores import score_masks
from saff_fast.evaluate.masks import Labels
from saff_fast.evaluate.protocols.protocol import Protocol
from saff_fast.evaluate.subject import Subject
from saff_fast.evaluate.summary import filled, without
from saff_fast.evaluate.tally import Tally
from saff_fast.evaluate.truth import read_true_labels
from saff_fast.scene import layout
from saff_fast.segment.renders import View

_DARK = 128
"""COLMAP masks are black where something moves. The published scripts took below 10 in one place, 0 in another."""


def score(subject: Subject) -> dict[str, Any]:
    """Likeness and masks by split: `train`, the even frames, and `test`, the odd ones.

    fg-ARI is left out: the masks know one object.

    Raises:
        UserError: if other frames than the odd ones were held out.
    """
    odd = tuple(range(1, subject.renders.n_frames, 2))
    if tuple(sorted(subject.renders.held_out)) != odd:
        kept = ", ".join(map(str, subject.renders.held_out)) or "none"
        raise UserError(
            f"{subject.run} must have been trained with the odd frames held out for protocol dycheck (--hold-out odd), "
            f"but held out {kept}."
        )
    tally = Tally()
    for view in subject.renders.views:
        if view.split == "input":
            rgb, picture = subject.renders.rgb(view), subject.images[view.pose]
            scores = {"psnr": psnr(rgb, picture), "ssim": ssim(rgb, picture)}
            truth, predicted = _moving(subject, view), subject.labels_of(view)
            if truth is not None and predicted is not None:
                scores |= without(score_masks(truth, predicted), ("fg_ari", "mean_iou"))
            tally.add(view, scores, "test" if view.pose % 2 else "train")
    return filled({"splits": tally.means(), **tally.results(subject.options.seed)})


def _moving(subject: Subject, view: View) -> Labels | None:
    """What moves in a frame, by its COLMAP mask `00003.png.png` in the given folder or the scene's `gt_masks`."""
    folder = subject.options.truth or layout.scene_root(subject.renders.scene) / "gt_masks"
    path = folder / f"{view.pose:05d}.png.png"
    return (read_true_labels(path) < _DARK).astype(np.int64) if path.is_file() else None


PROTOCOL = Protocol("dycheck", "likeness and masks of the odd frames, held out, beside the even ones", score)
