"""What every way of rendering a run can be told."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from saff_fast.backends import Device
from saff_fast.errors import UserError
from saff_fast.playback.modalities import Modality
from saff_fast.playback.objects import ObjectModel
from saff_fast.playback.renderer import ShotRenderer
from saff_fast.train.model import SceneModel
from saff_fast.train.rendering import load_run

Report = Callable[[int, int], None]
"""Called with the number of pictures done and their total."""


def silent(done: int, total: int) -> None:
    """A report to nobody."""


@dataclass(frozen=True, kw_only=True)
class RenderSettings:
    """What any mode of rendering can be told."""

    device: Device = "auto"
    modalities: tuple[Modality, ...] | None = None
    """None for what the mode renders of its own accord."""
    scale: float = 1.0
    """Size of the pictures, relative to that of training."""
    max_memory: float | None = None
    """GiB that all of the process may take; None for what renders fastest."""


DEFAULTS = RenderSettings()


def open_renderer(run: Path, settings: RenderSettings, modalities: Collection[Modality]) -> ShotRenderer:
    """The renderer of a run, with its objects where these modalities need them.

    Raises:
        UserError: if the run, its segmentation or the device cannot be used.
    """
    model = load_run(run, settings.device)
    return ShotRenderer(model, objects_of(run, model) if "labels" in modalities else None)


def objects_of(run: Path, model: SceneModel) -> ObjectModel:
    """The objects of a run, on the device of its model.

    Raises:
        UserError: if it has none, or they are those of other semantics.
    """
    objects, n_semantic = ObjectModel.load(run), model.field.static_semantics.out_features
    if objects.prototypes.shape[1] != n_semantic:
        raise UserError(
            f"{run / 'segment'} must hold objects of the run's {n_semantic} semantic channels, got "
            f"{objects.prototypes.shape[1]}; run `saff-fast render` and `saff-fast segment` again"
        )
    return objects.to(model.cameras.c2w.device)
