"""The `saff-clean` protocol: the 60 views without those that repeat an input view, integer labels, true offsets."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, UInt8
from numpy import ndarray

from saff_fast.evaluate import consistency
from saff_fast.evaluate.geometry_metrics import depth_errors, endpoint_errors
from saff_fast.evaluate.image_metrics import psnr, ssim
from saff_fast.evaluate.mask_metrics import jaccard
from saff_fast.evaluate.mask_scores import score_pair, score_together
from saff_fast.evaluate.protocols import holdout
from saff_fast.evaluate.protocols.protocol import Protocol
from saff_fast.evaluate.rig import SPLITS, is_scored
from saff_fast.evaluate.scores import PooledErrors, Scores
from saff_fast.evaluate.subject import MaskPair, Subject
from saff_fast.evaluate.summary import filled, only, without
from saff_fast.evaluate.tally import Tally
from saff_fast.evaluate.truth import SceneTruth, resize_nearest
from saff_fast.segment.renders import Renders, View

_SPLIT_KEYS = ("psnr", "ssim", "lpips", "ari", "fg_ari", "fg_jaccard", "fg_boundary_f", "mean_iou")


def score(subject: Subject) -> dict[str, Any]:
    """Likeness, masks, depth and flow of every scored view; the held-out frames, too, where there are any.

    `splits` holds means over the scored views of each split (held-out frames are not input views), `together` mask
    scores of all frames of a split as one. `depth_median_rel_error` is the median over all pixels of the novel views
    after one scale and shift a view, `flow_epe_median_moving` the median in pixels over truly moving, visible pixels of
    the input views, forward and backward. `consistency` tells how many warped points keep their label. `extra` holds
    further figures: PSNR of moving pixels, overlap of the dynamic share with truth, depth and flow by part.
    """
    tally, geometry = Tally(), _Geometry()
    views = [view for view in subject.renders.views if view.split in SPLITS and is_scored(view)]
    views = [view for view in views if not subject.is_held_out(view)]
    pairs = {pair.truth.view.id: pair for pair in subject.scene_pairs()}
    for view in views:
        moving = subject.truth.moving(view)
        tally.add(view, _score_view(subject, view, moving, pairs.get(view.id)))
        geometry.add(subject.renders, view, subject.truth, moving)
    means = {split: values for split, values in tally.means().items() if split in SPLITS}
    results = filled({split: only(means[split], _SPLIT_KEYS) for split in SPLITS if split in means})
    extra = filled({split: without(means[split], _SPLIT_KEYS) for split in SPLITS if split in means})
    together = {split: score_together(_of_split(pairs.values(), views, split)) for split in SPLITS}
    held_out = holdout.score_frames(subject)
    return filled(
        {
            "splits": results,
            "together": filled(together),
            **holdout.summary(held_out),
            **geometry.medians(),
            "consistency": _consistency(subject),
            "extra": filled({"splits": extra, **holdout.further(held_out), **geometry.further()}),
            **subject.absent(),
            **tally.results(subject.options.seed),
        }
    )


def score_masks(pairs: Sequence[MaskPair], seed: int) -> dict[str, Any]:
    """Scores of label maps alone."""
    tally = Tally()
    chosen = [pair for pair in pairs if is_scored(pair.truth.view)]
    for pair in chosen:
        tally.add(pair.truth.view, score_pair(pair))
    splits = tally.means()
    together = {split: score_together(p for p in chosen if p.truth.view.split == split) for split in splits}
    return {"splits": splits, "together": together, **tally.results(seed)}


def _of_split(pairs: Any, views: list[View], split: str) -> list[MaskPair]:
    chosen = {view.id for view in views if view.split == split}
    return [pair for pair in pairs if pair.truth.view.id in chosen]


def _score_view(
    subject: Subject, view: View, moving: Bool[ndarray, "height width"] | None, pair: MaskPair | None
) -> dict[str, float]:
    scores: dict[str, float] = {}
    picture = _picture(subject, view)
    if picture is not None:
        rgb = subject.renders.rgb(view)
        scores |= {"psnr": psnr(rgb, picture), "ssim": ssim(rgb, picture)} | subject.lpips("lpips", rgb, picture)
        if moving is not None:
            scores |= {"moving_psnr": psnr(rgb, picture, moving), "static_psnr": psnr(rgb, picture, ~moving)}
    dynamic = subject.dynamic(view)
    if moving is not None:
        scores["dynamic_motion_jaccard"] = jaccard(moving, dynamic)
    labels = subject.truth.labels(view)
    if labels is not None:
        scores["dynamic_fg_jaccard"] = jaccard(labels > 0, resize_nearest(dynamic, *labels.shape))
    return scores if pair is None else scores | score_pair(pair)


def _picture(subject: Subject, view: View) -> UInt8[ndarray, "height width 3"] | None:
    return subject.images[view.pose] if view.split == "input" else subject.truth.picture(view)


def _consistency(subject: Subject) -> dict[str, Any]:
    return filled(
        {
            "times": consistency.across_times(subject.renders, subject.labels_of),
            "views": consistency.across_views(subject.renders, subject.scene.cameras, subject.labels_of),
        }
    )


class _Geometry:
    """Errors of depth and flow over the views."""

    def __init__(self) -> None:
        self.depth, self.flow, self.view_medians = PooledErrors(), PooledErrors(), Scores()

    def add(
        self, renders: Renders, view: View, truth: SceneTruth, moving: Bool[ndarray, "height width"] | None
    ) -> None:
        depth = truth.depth(view)
        if depth is not None:
            part = "input" if view.split == "input" else "novel"
            errors = depth_errors(renders.depth(view), depth)
            self.depth.add(part, errors)
            if np.isfinite(errors).any():
                self.view_medians.add({part: float(np.nanmedian(errors))})
            if moving is not None:
                self.depth.add(f"{part}_moving", errors[moving])
        if view.split != "input":
            return
        # The last frame has no next one, the first none before.
        for key, exists in (("fwd", view.time < renders.n_frames - 1), ("bwd", view.time > 0)):
            flow = truth.flow(view, key) if exists else None
            if flow is None or moving is None:
                continue
            rendered, (true_flow, occluded) = renders.flow(view, key), flow
            self.flow.add("moving", endpoint_errors(rendered, true_flow, moving & ~occluded))
            self.flow.add("static", endpoint_errors(rendered, true_flow, ~moving & ~occluded))

    def medians(self) -> dict[str, float]:
        named = {
            "depth_median_rel_error": self.depth.medians().get("novel"),
            "flow_epe_median_moving": self.flow.medians().get("moving"),
        }
        return {key: value for key, value in named.items() if value is not None}

    def further(self) -> dict[str, Any]:
        return {
            "depth_median_rel_error": without(self.depth.medians(), ("novel",)),
            "depth_mean_of_view_medians": self.view_medians.means(),
            "flow_epe_median": without(self.flow.medians(), ("moving",)),
            "flow_epe_mean": self.flow.means(),
        }


PROTOCOL = Protocol(
    "saff-clean", "every view with truth: integer labels, no view that repeats an input view", score, score_masks
)
