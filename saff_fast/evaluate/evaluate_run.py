"""Scores a rendered and segmented run against whatever truth there is."""

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Int, UInt8
from numpy import ndarray

from saff_fast.errors import UserError
from saff_fast.evaluate.configuration import check_same_configuration
from saff_fast.evaluate.geometry_metrics import depth_errors, endpoint_errors
from saff_fast.evaluate.holdout import score_held_out
from saff_fast.evaluate.image_metrics import psnr, ssim
from saff_fast.evaluate.mask_metrics import ari, fg_ari, jaccard
from saff_fast.evaluate.page_codec import PAGE_VIEWS, published_figures, score_page_codec
from saff_fast.evaluate.protocol import DEFAULT_PROTOCOL, PROTOCOLS, SPLITS, is_scored
from saff_fast.evaluate.scores import PooledErrors, Scores
from saff_fast.evaluate.truth import SceneTruth, read_truth_masks, resize_nearest
from saff_fast.files import read_json, read_labels
from saff_fast.scene import layout
from saff_fast.scene.reader import read_scene
from saff_fast.scene.scene import Scene
from saff_fast.segment.renders import Renders, View, read_renders

_SPLIT_KEYS = ("psnr", "ssim", "ari", "fg_ari", "fg_jaccard")
_HELD_OUT_KEYS = ("static_psnr", "moving_psnr", "full_psnr", "opaque_share")
_DYNAMIC = 0.5


@dataclass
class _Tally:
    splits: dict[str, Scores] = field(default_factory=lambda: defaultdict(Scores))
    held_out: Scores = field(default_factory=Scores)
    depth: PooledErrors = field(default_factory=PooledErrors)
    view_medians: Scores = field(default_factory=Scores)
    flow: PooledErrors = field(default_factory=PooledErrors)


def evaluate_run(
    run: Path,
    truth: Path | None = None,
    protocol: str = DEFAULT_PROTOCOL,
    *,
    foreground_labels: tuple[int, ...] | None = None,
    held_out_run: Path | None = None,
) -> dict[str, Any]:
    """Scores of a run as the JSON that `saff-fast evaluate` writes; a key without truth is absent.

    `splits` holds means over the scored views of each split (held-out frames are not input views), `held_out` the
    `holdout` protocol, `truth` the scores against a folder of label maps. `depth_median_rel_error` is the median over
    all pixels of the scored novel views after one scale and shift a view, `flow_epe_median_moving` the median in pixels
    over truly moving, visible pixels of the input views, forward and backward. `extra` holds further figures: PSNR of
    moving pixels, overlap of the dynamic share with truth, depth and flow by part.

    Args:
        run: Run folder with rendered views; masks are scored where `segment` has written them.
        truth: Folder of integer label maps named by frame stem, or None.
        protocol: One of `PROTOCOLS`; `holdout` gives the held-out frames only, `page-codec` likeness after the
            published video codec, with held-out figures beside it.
        foreground_labels: Labels of `truth` that count as objects; all above 0 if None.
        held_out_run: Run of the same scene and configuration with frames held out, whose `held_out` scores stand
            beside those of a run that saw all frames.

    Raises:
        UserError: if an argument or a file is not what it must be.
    """
    if protocol not in PROTOCOLS:
        raise UserError(f"protocol must be one of {', '.join(PROTOCOLS)}, got {protocol!r}.")
    renders = read_renders(run)
    if protocol == "holdout" and not renders.held_out:
        raise UserError(f"{run} must have been trained with frames held out for protocol holdout, but saw all of them.")
    scene = read_scene(renders.scene, renders.height)
    if scene.images.shape[1:3] != (renders.height, renders.width):
        raise UserError(
            f"{renders.scene} must have frames of {renders.width}x{renders.height} pixels like the renders, got "
            f"{scene.images.shape[2]}x{scene.images.shape[1]}; render again."
        )
    tally = _score_views(run, renders, scene, protocol)
    results = _describe(run, renders, protocol) | _summarise(tally)
    if held_out_run is not None:
        results |= _held_out_beside(run, held_out_run)
    if protocol == "page-codec":
        results |= _score_page_codec(run, renders, scene, results)
    if truth is not None:
        results["truth"] = _score_truth(run, renders, truth, scene.names, foreground_labels)
    return results


def read_prediction(run: Path, view: View) -> Int[ndarray, "height width"] | None:
    """The final label map of a view; None where the run has none."""
    path = run / "segment" / "final" / "labels" / f"{view.id:05d}.png"
    return read_labels(path).astype(np.int64) if path.is_file() else None


def score_masks(
    truth: Int[ndarray, "truth_height truth_width"],
    predicted: Int[ndarray, "height width"],
    scored: Bool[ndarray, "truth_height truth_width"] | None = None,
) -> dict[str, float]:
    """ARI, fg-ARI and foreground Jaccard index at the truth's size, to which the prediction is resized (nearest)."""
    labels = resize_nearest(predicted, *truth.shape)
    return {
        "ari": ari(truth, labels, scored),
        "fg_ari": fg_ari(truth, labels, scored),
        "fg_jaccard": jaccard(truth > 0, labels > 0, scored),
    }


def _held_out_beside(run: Path, held_out_run: Path) -> dict[str, Any]:
    """The held-out figures of another run of the same configuration."""
    check_same_configuration(run, held_out_run)
    held_out = evaluate_run(held_out_run, protocol="holdout")["held_out"]
    return {"held_out": held_out, "held_out_run": held_out_run.name}


def _score_page_codec(run: Path, renders: Renders, scene: Scene, results: dict[str, Any]) -> dict[str, Any]:
    if "held_out" not in results:
        raise UserError(
            f"{run} must be scored beside a run with frames held out, since training views say little alone; add "
            "--held-out-run, trained with the same settings and --hold-out 4,10,16,22."
        )
    trained = {view.id: view for view in renders.trained_inputs()}
    lacking = [number for number in PAGE_VIEWS if number not in trained]
    if lacking:
        raise UserError(
            f"{run} must have been trained on frames {', '.join(map(str, PAGE_VIEWS))} for protocol page-codec, "
            f"but lacks {', '.join(map(str, lacking))}."
        )
    pictures = np.stack([renders.rgb(trained[number]) for number in PAGE_VIEWS])
    scores = score_page_codec(pictures, scene.images.numpy()[list(PAGE_VIEWS)])
    return {"page_codec": _filled(scores | {"published": published_figures(layout.scene_name(renders.scene))})}


def _score_views(run: Path, renders: Renders, scene: Scene, protocol: str) -> _Tally:
    tally, images = _Tally(), scene.images.numpy()
    truth = SceneTruth(layout.scene_root(renders.scene), renders.height, renders.width)
    for view in renders.views:
        if view.split == "input" and view.pose in renders.held_out:
            opacity = renders.grey(view, "opacity").numpy()
            tally.held_out.add(score_held_out(renders.rgb(view), opacity, images, view.pose))
        elif view.split in SPLITS and is_scored(view) and protocol == DEFAULT_PROTOCOL:
            picture = images[view.pose] if view.split == "input" else truth.picture(view)
            moving = truth.moving(view)
            tally.splits[view.split].add(_score_view(run, renders, view, picture, moving, truth))
            _score_geometry(tally, renders, view, truth, moving)
    return tally


def _score_view(
    run: Path,
    renders: Renders,
    view: View,
    picture: UInt8[ndarray, "height width 3"] | None,
    moving: Bool[ndarray, "height width"] | None,
    truth: SceneTruth,
) -> dict[str, float]:
    scores: dict[str, float] = {}
    if picture is not None:
        rgb = renders.rgb(view)
        scores |= {"psnr": psnr(rgb, picture), "ssim": ssim(rgb, picture)}
        if moving is not None:
            scores["moving_psnr"] = psnr(rgb, picture, moving)
    labels, predicted = truth.labels(view), read_prediction(run, view)
    if labels is not None and predicted is not None:
        scores |= score_masks(labels, predicted)
    dynamic = renders.grey(view, "blend").numpy() > _DYNAMIC
    if moving is not None:
        scores["dynamic_motion_jaccard"] = jaccard(moving, dynamic)
    if labels is not None:
        scores["dynamic_fg_jaccard"] = jaccard(labels > 0, resize_nearest(dynamic, *labels.shape))
    return scores


def _score_geometry(
    tally: _Tally, renders: Renders, view: View, truth: SceneTruth, moving: Bool[ndarray, "height width"] | None
) -> None:
    depth = truth.depth(view)
    if depth is not None:
        part = "input" if view.split == "input" else "novel"
        errors = depth_errors(renders.depth(view), depth)
        tally.depth.add(part, errors)
        if np.isfinite(errors).any():
            tally.view_medians.add({part: float(np.nanmedian(errors))})
        if moving is not None:
            tally.depth.add(f"{part}_moving", errors[moving])
    if view.split != "input":
        return
    # The last frame has no next one, the first none before.
    for key, exists in (("fwd", view.time < renders.n_frames - 1), ("bwd", view.time > 0)):
        flow = truth.flow(view, key) if exists else None
        if flow is None or moving is None:
            continue
        rendered, (true_flow, occluded) = renders.flow(view, key), flow
        tally.flow.add("moving", endpoint_errors(rendered, true_flow, moving & ~occluded))
        tally.flow.add("static", endpoint_errors(rendered, true_flow, ~moving & ~occluded))


def _describe(run: Path, renders: Renders, protocol: str) -> dict[str, Any]:
    path = run / "meta.json"
    meta = read_json(path) if path.is_file() else {}
    known = {key: meta[key] for key in ("commit", "device", "seconds") if key in meta}
    return {"protocol": protocol, "scene": renders.scene.name, **known}


def _summarise(tally: _Tally) -> dict[str, Any]:
    extra: dict[str, Any] = {}
    results: dict[str, Any] = {}
    splits = {split: tally.splits[split].means() for split in SPLITS if split in tally.splits}
    results["splits"] = _filled({split: _only(means, _SPLIT_KEYS) for split, means in splits.items()})
    extra["splits"] = _filled({split: _without(means, _SPLIT_KEYS) for split, means in splits.items()})
    held_out = tally.held_out.means()
    if held_out:
        results["held_out"] = _only(held_out, _HELD_OUT_KEYS)
        extra["held_out"] = _without(held_out, _HELD_OUT_KEYS)
    depth, flow = tally.depth.medians(), tally.flow.medians()
    if "novel" in depth:
        results["depth_median_rel_error"] = depth["novel"]
    if "moving" in flow:
        results["flow_epe_median_moving"] = flow["moving"]
    extra["depth_median_rel_error"] = _without(depth, ("novel",))
    extra["depth_mean_of_view_medians"] = tally.view_medians.means()
    extra["flow_epe_median"] = _without(flow, ("moving",))
    extra["flow_epe_mean"] = tally.flow.means()
    results["extra"] = _filled(extra)
    return _filled(results)


def _filled(values: dict[str, Any]) -> dict[str, Any]:
    """Without empty entries: what has no truth is absent."""
    return {key: value for key, value in values.items() if value != {}}


def _only(values: dict[str, float], keys: tuple[str, ...]) -> dict[str, float]:
    return {key: values[key] for key in keys if key in values}


def _without(values: dict[str, float], keys: tuple[str, ...]) -> dict[str, float]:
    return {key: value for key, value in values.items() if key not in keys}


def _score_truth(
    run: Path, renders: Renders, folder: Path, names: tuple[str, ...], foreground_labels: tuple[int, ...] | None
) -> dict[str, float]:
    views = {view.pose: view for view in renders.views if view.split == "input"}
    scores = Scores()
    for mask in read_truth_masks(folder, names, foreground_labels):
        predicted = read_prediction(run, views[mask.frame]) if mask.frame in views else None
        if predicted is None:
            raise UserError(
                f"{run} must hold final labels of frame {names[mask.frame]} to be scored against {folder}; "
                f"run `saff-fast segment {run}` first."
            )
        scores.add(score_masks(mask.labels, predicted, mask.scored))
    means = scores.means()
    return {
        name: means[key]
        for name, key in (("fg_iou", "fg_jaccard"), ("ari", "ari"), ("fg_ari", "fg_ari"))
        if key in means
    }
