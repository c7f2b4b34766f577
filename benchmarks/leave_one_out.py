"""Settings of the segmentation chosen on all scenes but one, and scored on that one.

    python benchmarks/leave_one_out.py RUN... --truth DIR [--relabel [SCENE:]OLD=NEW ...] [--grid KEY=V1,V2 ...]

RUNs are rendered runs, one a scene; truth is looked for as by `saff-fast collect`. Every setting of the grid is scored
on every scene: overlap (IoU) of the foreground, ARI and, where the truth has several objects, fg-ARI, as means over the
true label maps of input views. The merit of a setting on some scenes is the mean over them of the mean of these. For
each scene the setting of most merit on the others is taken (of equals the first; the present defaults come first).
Beside it stand the present defaults, and the setting that is best on the scene itself, which nobody could have known.
`benchmarks/results/leave_one_out.md` has the table, the `.json` beside it every score. Pixels are clustered once for
each setting of the clustering, and label maps that come out alike are scored once.
"""

import argparse
import itertools
import json
import statistics
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from command import command

from saff_fast.cli.collect import read_relabel
from saff_fast.config import override
from saff_fast.errors import UserError
from saff_fast.evaluate.collect import Request, truth_of
from saff_fast.evaluate.mask_metrics import ari, fg_ari, jaccard
from saff_fast.evaluate.truth import ViewMask, mask_names, read_view_masks, resize_nearest
from saff_fast.files import save_text
from saff_fast.segment.clusters import Clusters, fit_clusters
from saff_fast.segment.config import SegmentConfig
from saff_fast.segment.final import final_labels
from saff_fast.segment.objects import Objects, find_objects
from saff_fast.segment.renders import Renders, View, read_renders
from saff_fast.train.run_folder import commit

RESULTS = Path(__file__).resolve().parent / "results"
GRID = (
    "elbow_ratio=0.95,0.975",
    "evidence=motion,moving_saliency",
    "relative_threshold=0.1,0.2,0.3",
    "quorum=0.3,0.7",
    "merge_cosine=0.3,0.5,0.7",
    "rim_dynamic=0.3,0.4",
    "claim_dynamic=0,0.5",
    "companion_quorum=0,0.7",
)
_CLUSTERING = ("device", "kmeans", "sample_interval", "sample", "n_refits", "elbow_ratio", "k_max")
_REFINING = ("evidence", "rim_dynamic", "companion_quorum", "min_component")
_TITLES = {"fg_iou": "fg IoU", "ari": "ARI", "fg_ari": "fg-ARI"}

Setting = tuple[str, ...]
"""Assignments, one a key of the grid."""
Scores = dict[str, float]


def settings_of(grid: list[str]) -> list[Setting]:
    """Every combination of the values, that of the defaults first.

    Raises:
        UserError: if a line of the grid is not KEY=V1,V2.
    """
    axes = []
    for line in grid:
        key, equals, values = line.partition("=")
        if not equals or not values:
            raise UserError(f"--grid must be KEY=V1,V2 of the segmentation's settings, got {line!r}.")
        axes.append([f"{key}={value}" for value in values.split(",")])
    return [(), *itertools.product(*axes)]


@dataclass(frozen=True)
class CachedRenders(Renders):
    """Renders whose maps stay in memory once they are read."""

    kept: dict[tuple[int, str], Any] = field(default_factory=dict)

    def grey(self, view: View, kind: str) -> Any:
        return self._kept(view, f"{kind}.png", lambda: Renders.grey(self, view, kind))

    def depth(self, view: View) -> Any:
        return self._kept(view, "depth.npy", lambda: Renders.depth(self, view))

    def semantics(self, view: View) -> Any:
        return self._kept(view, "dino.pt", lambda: Renders.semantics(self, view))

    def _kept(self, view: View, name: str, read: Any) -> Any:
        if (view.id, name) not in self.kept:
            self.kept[view.id, name] = read()
        return self.kept[view.id, name]


class Scene:
    """A run and its truth; scores settings."""

    def __init__(self, run: Path, request: Request) -> None:
        renders = read_renders(run)
        self.name = renders.scene.name
        truth = truth_of(self.name, request.truth)
        if truth is None:
            raise UserError(f"{request.truth} must hold true label maps of {self.name}, but does not.")
        names = mask_names(renders.views, tuple(f"{k:05d}" for k in range(renders.n_frames)))
        masks = read_view_masks(truth, names, relabel=request.relabel_of(self.name))
        self.masks = [mask for mask in masks if mask.view.split == "input"]
        if not self.masks:
            raise UserError(f"{truth} must hold true label maps of input views, but does not.")
        self.several = any(len({*mask.labels[mask.scored].tolist()} - {0}) > 1 for mask in self.masks)
        self.renders = CachedRenders(**vars(renders))
        views = {view.id: view for view in [*renders.trained_inputs(), *(mask.view for mask in self.masks)]}
        self.views = list(views.values())
        self._clustered: dict[Any, tuple[Clusters, dict[int, Any]]] = {}
        self._known: dict[Any, Scores] = {}

    def score(self, config: SegmentConfig) -> Scores:
        """The scores of a setting."""
        key = tuple(getattr(config, name) for name in _CLUSTERING)
        inputs = self.renders.trained_inputs()
        if key not in self._clustered:
            clusters = fit_clusters(self.renders, inputs, config)
            labels = {view.id: clusters.nearest(self.renders, view) for view in self.views}
            self._clustered[key] = clusters, labels
        clusters, labels = self._clustered[key]
        objects = find_objects(self.renders, inputs, labels, clusters, config)
        is_object = objects.ids <= objects.n_objects
        refining = tuple(getattr(config, name) for name in _REFINING)
        outcome = (key, tuple((objects.ids * is_object).tolist()), objects.claim, refining)
        if outcome not in self._known:
            self._known[outcome] = self._scores(labels, (clusters, objects), config)
        return self._known[outcome]

    def _scores(self, labels: dict[int, Any], model: tuple[Clusters, Objects], config: SegmentConfig) -> Scores:
        scores = []
        found = final_labels(self.renders, self.views, labels, model, config).maps
        for mask in self.masks:
            scores.append(agreement(mask, resize_nearest(found[mask.view.id], *mask.labels.shape), self.several))
        return {name: statistics.fmean(score[name] for score in scores) for name in scores[0]}


def agreement(mask: ViewMask, found: Any, several: bool) -> Scores:
    """The scores of one label map."""
    scores = {
        "fg_iou": jaccard(mask.labels > 0, found > 0, mask.scored),
        "ari": ari(mask.labels, found, mask.scored),
    }
    return scores | ({"fg_ari": fg_ari(mask.labels, found, mask.scored)} if several else {})


@dataclass(frozen=True)
class Choice:
    """What was chosen for a scene without looking at it."""

    scene: str
    setting: Setting
    scores: Scores
    default: Scores
    best: Scores
    best_setting: Setting


def leave_one_out(table: dict[str, dict[Setting, Scores]]) -> list[Choice]:
    """For each scene the setting of most merit on the others."""
    choices = []
    for scene, scores in table.items():
        others = [other for name, other in table.items() if name != scene]
        chosen = max(scores, key=lambda setting: statistics.fmean(merit(other[setting]) for other in others))
        best = max(scores, key=lambda setting: merit(scores[setting]))
        choices.append(Choice(scene, chosen, scores[chosen], scores[()], scores[best], best))
    return choices


def merit(scores: Scores) -> float:
    """Mean of the scores that a scene has."""
    return statistics.fmean(scores.values())


def as_markdown(choices: list[Choice]) -> str:
    """A row a scene, and the means."""
    kinds = ("scores", "default", "best")
    heads = {"scores": "chosen on the others", "default": "default", "best": "best here"}
    titles = [f"{title}, {heads[kind]}" for kind in kinds for title in _TITLES.values()]
    lines = [["scene", *titles, "chosen"], ["---", *("---:" for _ in titles), "---"]]
    for choice in choices:
        cells = [_cell(getattr(choice, kind).get(name)) for kind in kinds for name in _TITLES]
        lines.append([choice.scene, *cells, ", ".join(choice.setting) or "defaults"])
    means = []
    for kind, name in itertools.product(kinds, _TITLES):
        known = [getattr(choice, kind)[name] for choice in choices if name in getattr(choice, kind)]
        means.append(_cell(statistics.fmean(known) if known else None))
    lines.append(["mean", *means, ""])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _rounded(scores: Scores) -> Scores:
    return {name: round(value, 4) for name, value in scores.items()}


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def scored(scenes: list[Scene], settings: list[Setting]) -> Iterator[tuple[str, dict[Setting, Scores]]]:
    """The table, scene by scene; a setting that the segmentation refuses is a user's mistake."""
    config = cache(lambda setting: override(SegmentConfig(), setting, "--grid"))
    for scene in scenes:
        found = {setting: scene.score(config(setting)) for setting in settings}
        print(f"{scene.name}: {len(settings)} settings", file=sys.stderr)
        yield scene.name, found


def main() -> int:
    options = parser().parse_args()
    try:
        settings = settings_of(options.grid or list(GRID))
        request = Request("saff-clean", options.truth, read_relabel(tuple(options.relabel)))
        scenes = [Scene(run, request) for run in options.runs]
        names = [scene.name for scene in scenes]
        if len(set(names)) < max(len(names), 2):
            raise UserError(f"RUN must be runs of two or more scenes, one each, got {', '.join(names)}.")
        table = dict(scored(scenes, settings))
    except UserError as error:
        print(f"leave_one_out: {error}", file=sys.stderr)
        return 2
    choices = leave_one_out(table)
    text = as_markdown(choices)
    about = {"commit": commit(), "command": command()}
    scores = {name: [_rounded(found[setting]) for setting in settings] for name, found in table.items()}
    document = about | {"choices": [vars(c) for c in choices], "settings": settings, "scores": scores}
    save_text(options.out.with_suffix(".json"), json.dumps(document) + "\n")  # one line: there are thousands of numbers
    save_text(options.out.with_suffix(".md"), f"Commit {about['commit']}: `{about['command']}`\n\n{text}")
    print(text, end="")
    return 0


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="rendered runs, one a scene")
    options.add_argument("--truth", type=Path, required=True, metavar="DIR", help="true label maps by scene")
    options.add_argument("--relabel", action="append", default=[], metavar="[SCENE:]OLD=NEW", help="true labels")
    options.add_argument("--grid", action="append", metavar="KEY=V1,V2", help="settings (default: those in the file)")
    options.add_argument("--out", type=Path, default=RESULTS / "leave_one_out", metavar="PREFIX", help="of the files")
    return options


if __name__ == "__main__":
    sys.exit(main())
