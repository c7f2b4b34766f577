"""Post-processing of a run's label maps: morphology and, if wanted, the dense CRF."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Int
from numpy import ndarray

from saff_fast.backends import Device, resolve_device
from saff_fast.errors import UserError
from saff_fast.files import read_json, read_labels, save_json
from saff_fast.segment.crf import mean_field, permutohedral
from saff_fast.segment.crf.energy import CrfConfig, pairwise_terms, unary_energy
from saff_fast.segment.labels import write_labels
from saff_fast.segment.morphology import clean, clean_as_published
from saff_fast.segment.renders import Renders, View, read_renders

Labels = Int[ndarray, "height width"]

_FOLDER = "postprocess"
_RECORD = "postprocess.json"
_PUBLISHED_HEIGHT = 288


@dataclass(frozen=True, kw_only=True)
class PostprocessConfig:
    """From label maps to cleaner ones."""

    parity: bool = False
    """Morphology and lengths as published."""
    min_component: float = 0.001
    """Pieces of the foreground below this share of the pixels are removed (published: 1 %, by label)."""
    use_crf: bool = False
    """Whether the dense CRF follows."""
    crf: CrfConfig = field(default_factory=CrfConfig)
    """Its energy."""
    backend: Literal["auto", "pydensecrf", "torch"] = "auto"
    """`pydensecrf` approximates the kernels, in seconds a view; `torch` has them exactly, in time quadratic in the
    pixels, for GPUs. `auto` is torch on CUDA and pydensecrf elsewhere."""
    device: Device = "auto"
    """Where torch computes; `auto` is CUDA where it can be used."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not 0 <= self.min_component <= 1:
            raise ValueError(f"min_component must be in [0, 1], got {self.min_component}")


def postprocess_run(run: Path, config: PostprocessConfig) -> int:
    """Clean the final label maps of `run` into `run/postprocess/final`; returns the number of views.

    Each view is treated by itself; labels keep their numbers. What is there is replaced, and is used by `evaluate` as
    long as the segmentation is the one that it came from.

    Raises:
        UserError: if the run was not rendered or segmented, or the backend cannot be used.
    """
    renders = read_renders(run)
    source = run / "segment" / "final" / "labels"
    lacking = [view.id for view in renders.views if not (source / f"{view.id:05d}.png").is_file()]
    if lacking:
        raise UserError(
            f"{source} must hold a label map of every rendered view, but lacks {', '.join(map(str, lacking))}; run "
            f"`saff-fast segment {run}` first."
        )
    out = run / _FOLDER
    (out / _RECORD).unlink(missing_ok=True)
    for view in renders.views:
        labels = read_labels(source / f"{view.id:05d}.png").astype(np.int64)
        if labels.shape != (renders.height, renders.width):
            raise UserError(
                f"{source / f'{view.id:05d}.png'} must be {renders.width}x{renders.height} like the renders, got "
                f"{labels.shape[1]}x{labels.shape[0]}; run `saff-fast segment {run}` again."
            )
        cleaned = clean_as_published(labels) if config.parity else clean(labels, min_component=config.min_component)
        write_labels(
            out / "final", view.id, refine_by_crf(renders, view, cleaned, config) if config.use_crf else cleaned
        )
    save_json(out / _RECORD, {"segmentation": _digest(run)})  # last: its presence says that the folder is complete
    return len(renders.views)


def is_current(run: Path) -> bool:
    """Whether `run/postprocess` is complete and of the present segmentation."""
    record = run / _FOLDER / _RECORD
    return record.is_file() and read_json(record).get("segmentation") == _digest(run)


def run_masks(run: Path) -> Path:
    """Folder of a run's label maps: post-processed where they are of the present segmentation, else as segmented."""
    return run / _FOLDER / "final" if is_current(run) else run / "segment" / "final"


def _digest(run: Path) -> str:
    """Of all final label maps of the segmentation."""
    digest = hashlib.sha256()
    for path in sorted((run / "segment" / "final" / "labels").glob("*.png")):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def refine_by_crf(renders: Renders, view: View, labels: Labels, config: PostprocessConfig) -> Labels:
    """The labels after the CRF on the view's rendered colour and depth, among the labels that the view has.

    A view of a single label stays as it is.
    """
    present = np.unique(labels)
    if len(present) == 1:
        return labels
    device = resolve_device(config.device)
    on_torch = config.backend == "torch" or (config.backend == "auto" and device.type == "cuda")
    place = device if on_torch else torch.device("cpu")
    rgb = torch.from_numpy(renders.rgb(view)).to(place, torch.float32)
    depth = (255 * renders.grey(view, "depth")).round().to(place)
    scale = 1.0 if config.parity else renders.height / _PUBLISHED_HEIGHT
    ranks = torch.from_numpy(np.searchsorted(present, labels).reshape(-1)).to(place)
    unary = unary_energy(ranks, len(present), config.crf.confidence)
    terms = pairwise_terms(rgb, depth, config.crf, scale)
    infer = mean_field.mean_field if on_torch else permutohedral.mean_field
    best = infer(unary, terms, config.crf.n_iterations).argmax(dim=1)
    return present[best.cpu().numpy()].reshape(labels.shape)
