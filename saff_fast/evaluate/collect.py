"""Many runs, and folders of label maps of any system, as entries of one table."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saff_fast.errors import UserError
from saff_fast.evaluate.evaluate_run import evaluate_run, find_protocol, score_truth
from saff_fast.evaluate.masks import Labels, MaskFolder, has_masks, run_labels
from saff_fast.evaluate.subject import paired
from saff_fast.evaluate.truth import mask_names, read_view_masks
from saff_fast.files import read_json
from saff_fast.render.views import protocol_views
from saff_fast.scene.nvidia import find_nvidia_scene
from saff_fast.segment.renders import View, read_renders

_PUBLISHED_FRAMES = 24

Relabel = dict[str | None, dict[int, int]]
"""Labels that count as others, by scene; those under None in all scenes."""


@dataclass(frozen=True)
class Entry:
    """One system on one scene."""

    system: str
    scene: str
    results: dict[str, Any]
    labels_of: Callable[[View], Labels | None]
    views: tuple[View, ...]


@dataclass(frozen=True)
class Request:
    """How everything is to be scored."""

    protocol: str
    truth: Path | None = None
    """Folder with the truth of each scene, by its name; None: beside the scene's label maps."""
    relabel: Relabel | None = None
    seed: int = 0

    def relabel_of(self, scene: str) -> dict[int, int]:
        """What is relabelled in a scene, by any of its names."""
        rules = self.relabel or {}
        named = (labels for name, labels in rules.items() if name is not None and same_scene(name, scene))
        return dict(rules.get(None, {})) | {old: new for labels in named for old, new in labels.items()}


def same_scene(first: str, second: str) -> bool:
    """Whether two names are of one scene, as spelled anywhere in the published files."""
    here, there = find_nvidia_scene(first), find_nvidia_scene(second)
    return first == second or (here is not None and here == there)


def collect(paths: list[Path], request: Request) -> list[Entry]:
    """Score every run and every folder of label maps.

    A run's `results.json` is taken where it is of the protocol and no truth is given. A folder without numbered label
    maps stands for those in it: scenes of one system, as published, or systems on one scene.

    Raises:
        UserError: if a path is neither a run nor has label maps, or truth is missing or does not fit.
    """
    return [entry for path in paths for entry in _entries(path, request)]


def _entries(path: Path, request: Request) -> Iterator[Entry]:
    if not path.is_dir():
        raise UserError(f"{path} must be a run folder or a folder of label maps, but there is no such folder.")
    if (path / "render").is_dir() or (path / "meta.json").is_file():
        yield _run_entry(path, request)
    elif has_masks(path):
        yield _mask_entry(path, path.resolve().name, request)
    else:
        found = [folder for folder in sorted(path.iterdir()) if folder.is_dir() and has_masks(folder)]
        if not found:
            raise UserError(
                f"{path} must be a run folder, a folder of label maps named by view, such as 0.png, or a folder of "
                "such folders, but holds none."
            )
        system = path.resolve().name
        for folder in found:
            is_scene = find_nvidia_scene(folder.name) is not None or truth_of(folder.name, request.truth) is not None
            yield _mask_entry(folder, system if is_scene else f"{system}/{folder.name}", request)


def _run_entry(run: Path, request: Request) -> Entry:
    renders, known = read_renders(run), run / "results.json"
    results = read_json(known) if known.is_file() and request.truth is None else {}
    scene = renders.scene.name
    if results.get("protocol") != request.protocol:
        truth = truth_of(scene, request.truth)
        results = evaluate_run(run, truth, request.protocol, relabel=request.relabel_of(scene), seed=request.seed)
    return Entry(run.resolve().name, scene, results, run_labels(run), renders.views)


def _mask_entry(folder: Path, system: str, request: Request) -> Entry:
    protocol, masks = find_protocol(request.protocol), MaskFolder(folder)
    if protocol.score_masks is None:
        raise UserError(f"{folder} must be a run to be scored by {protocol.name}, but holds label maps only.")
    scene, truth = _scene_and_truth(folder, request.truth)
    published = find_nvidia_scene(scene) is not None
    n_frames = _PUBLISHED_FRAMES if published else max(masks.files) + 1
    views = tuple(View(v.id, v.split, v.pose, v.time) for v in protocol_views(n_frames))
    names = mask_names(views, tuple(f"{k:05d}" for k in range(n_frames)))
    true_masks = read_view_masks(truth, names, relabel=request.relabel_of(scene))
    pairs = paired(true_masks, masks.labels, f"{folder} must hold label maps", "add them, or take their truth away")
    results = {"protocol": protocol.name, "scene": scene, **protocol.score_masks(pairs, request.seed)}
    return Entry(system, scene, results | {"truth": score_truth(pairs)}, masks.labels, views)


def _scene_and_truth(folder: Path, root: Path | None) -> tuple[str, Path]:
    """The scene of a folder of label maps, by its own name or one above, and where its truth is."""
    for place in (folder.resolve(), *folder.resolve().parents):
        truth = truth_of(place.name, root)
        if root is None and (place / "truth").is_dir():
            truth = place / "truth"
        if truth is not None:
            return place.name, truth
    where = f"in {root}, under the name of its scene" if root is not None else "in a folder truth/ beside or above it"
    raise UserError(f"{folder} must have true label maps {where}, but has none; give --truth DIR.")


def truth_of(scene: str, root: Path | None) -> Path | None:
    """The folder of a scene's truth in `root`, by any of the scene's names."""
    if root is None or not scene:
        return None
    known = find_nvidia_scene(scene)
    for name in (scene, *(known.names if known else ())):
        for folder in (root / name / "truth", root / "gt_masks" / name, root / name / "gt_masks", root / name):
            if folder.is_dir() and any(folder.glob("*.png")):
                return folder
    return None
