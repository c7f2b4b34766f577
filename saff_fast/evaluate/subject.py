"""What is scored, and against what."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, UInt8
from numpy import ndarray

from saff_fast.errors import UserError
from saff_fast.evaluate.lpips import Lpips, find_lpips
from saff_fast.evaluate.masks import Labels, LabelsOf, run_labels
from saff_fast.evaluate.truth import SceneTruth, ViewMask, mask_names, read_view_masks
from saff_fast.scene import layout
from saff_fast.scene.reader import read_scene
from saff_fast.scene.scene import Scene
from saff_fast.segment.renders import Renders, View, read_renders


@dataclass(frozen=True)
class MaskPair:
    """A true and a predicted label map, each at its own size."""

    truth: ViewMask
    predicted: Labels


@dataclass(frozen=True)
class Options:
    """What may be asked of an evaluation."""

    truth: Path | None = None
    """Folder of true label maps beside those of the scene."""
    relabel: dict[int, int] = field(default_factory=dict)
    """True labels that count as others, 0 as background."""
    foreground_labels: tuple[int, ...] | None = None
    """Labels of `truth` that count as objects; all above 0 if None."""
    held_out_run: Path | None = None
    """Run of the same configuration with frames held out."""
    seed: int = 0
    """Of the bootstrap intervals."""


@dataclass(frozen=True)
class Subject:
    """A run with rendered views, whatever truth its scene has, and how it is to be scored."""

    run: Path
    renders: Renders
    options: Options

    @cached_property
    def scene(self) -> Scene:
        """The scene at the size of the renders."""
        renders = self.renders
        scene = read_scene(renders.scene, renders.height)
        if scene.images.shape[1:3] != (renders.height, renders.width):
            raise UserError(
                f"{renders.scene} must have frames of {renders.width}x{renders.height} pixels like the renders, got "
                f"{scene.images.shape[2]}x{scene.images.shape[1]}; render again."
            )
        return scene

    @cached_property
    def images(self) -> UInt8[ndarray, "n_frames height width 3"]:
        """The frames at the size of the renders."""
        return self.scene.images.numpy()

    @cached_property
    def truth(self) -> SceneTruth:
        """What the scene folder knows."""
        return SceneTruth(layout.scene_root(self.renders.scene), self.renders.height, self.renders.width)

    @cached_property
    def _lpips(self) -> tuple[Lpips | None, str]:
        return find_lpips()

    def lpips(self, name: str, *pictures: Any, **options: Any) -> dict[str, float]:
        """LPIPS of two pictures under a name, `Lpips.forward` says how; empty where it cannot be had."""
        model, _ = self._lpips
        return {} if model is None else {name: model(*pictures, **options)}

    def absent(self) -> dict[str, Any]:
        """The key `absent` of the JSON: metrics of pictures that cannot be had here, and why."""
        _, reason = self._lpips
        return {"absent": {"lpips": reason}} if reason else {}

    @property
    def scene_name(self) -> str:
        """What the scene is called."""
        return layout.scene_name(self.renders.scene)

    @cached_property
    def labels_of(self) -> LabelsOf:
        """The run's final label maps."""
        return run_labels(self.run)

    def is_held_out(self, view: View) -> bool:
        """Whether a view is of a frame that training did not see."""
        return view.split == "input" and view.pose in self.renders.held_out

    def dynamic(self, view: View) -> Bool[ndarray, "height width"]:
        """Where most of what is seen comes from the dynamic field."""
        return self.renders.grey(view, "blend").numpy() > 0.5

    def given_pairs(self) -> list[MaskPair]:
        """The label maps of the folder of truth that was given, with their predictions.

        Raises:
            UserError: if the run lacks the masks of one of them.
        """
        if self.options.truth is None:
            return []
        views = mask_names(self.renders.views, self.scene.names)
        masks = read_view_masks(self.options.truth, views, self.options.foreground_labels, self.options.relabel)
        remedy = f"run `saff-fast segment {self.run}` first"
        return paired(masks, self.labels_of, f"{self.run} must hold final labels", remedy)

    def scene_pairs(self) -> Iterator[MaskPair]:
        """Views of which the scene has true label maps and the run has final ones."""
        for view in self.renders.views:
            labels, predicted = self.truth.labels(view), self.labels_of(view)
            if labels is not None and predicted is not None:
                yield MaskPair(ViewMask(view, labels, np.ones(labels.shape, bool)), predicted)


def read_subject(run: Path, options: Options) -> Subject:
    """A run to score; UserError where nothing is rendered."""
    return Subject(run, read_renders(run), options)


def paired(masks: list[ViewMask], labels_of: LabelsOf, claim: str, remedy: str) -> list[MaskPair]:
    """True label maps with their predictions.

    Args:
        masks: The true ones.
        labels_of: The prediction of a view, if there is one.
        claim: Beginning of the sentence that says which are missing.
        remedy: Its end.

    Raises:
        UserError: naming every view without a prediction.
    """
    found = [(mask, labels_of(mask.view)) for mask in masks]
    lacking = [f"{mask.view.id:05d}" for mask, predicted in found if predicted is None]
    if lacking:
        raise UserError(f"{claim} of frame {', '.join(lacking)} to be scored against their truth; {remedy}.")
    return [MaskPair(mask, predicted) for mask, predicted in found if predicted is not None]
