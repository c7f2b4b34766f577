"""An opened run, shared by all browsers: its newest checkpoint, and what is computed from it once."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from saff_fast.backends import Device
from saff_fast.errors import UserError
from saff_fast.playback.modalities import PictureScales
from saff_fast.playback.objects import ObjectModel
from saff_fast.playback.renderer import ShotRenderer
from saff_fast.playback.scales import picture_scales
from saff_fast.playback.settings import objects_of
from saff_fast.train.model import SceneModel
from saff_fast.train.rendering import load_run
from saff_fast.viewer.survey import Survey

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Loaded:
    """A checkpoint, ready to be rendered."""

    name: str
    """Of its file."""
    renderer: ShotRenderer
    """Without objects: each browser has its own."""
    scales: PictureScales

    @property
    def model(self) -> SceneModel:
        """What was trained."""
        return self.renderer.model

    @property
    def has_semantics(self) -> bool:
        """Whether there is anything that tells objects apart."""
        return self.model.field.static_semantics.out_features > 0

    @cached_property
    def survey(self) -> Survey:
        """Small views of some frames; made when first asked for, under the run's lock."""
        return Survey.of(self.renderer)


class OpenRun:
    """A run whose newest checkpoint is followed.

    Args:
        folder: The run folder.
        device: Where to render.

    Raises:
        UserError: if the run has no checkpoint or cannot be rendered.
    """

    def __init__(self, folder: Path, device: Device = "auto") -> None:
        self.folder, self.device = folder, device
        self.lock = threading.Lock()
        """Held by whoever renders: two pictures at once would both be late."""
        self._watchers: set[Callable[[], None]] = set()
        self._stamp = self._newest()
        self.loaded = self._load()

    def objects(self) -> ObjectModel | None:
        """The objects as they are saved in the run; None if it has none."""
        return objects_of(self.folder, self.loaded.model) if ObjectModel.exists(self.folder) else None

    def watch(self, watcher: Callable[[], None]) -> Callable[[], None]:
        """Have `watcher` called after each new checkpoint; call what is returned to end that."""
        self._watchers.add(watcher)
        return lambda: self._watchers.discard(watcher)

    def refresh(self) -> bool:
        """Load the newest checkpoint if it is another one; whether it was."""
        stamp = self._newest()
        if stamp is None or stamp == self._stamp:
            return False
        try:
            loaded = self._load()
        except UserError as error:  # it may be replaced while it is read; the next one comes
            _LOG.warning("%s", error)
            return False
        self.loaded, self._stamp = loaded, stamp
        for watcher in list(self._watchers):
            watcher()
        return True

    def _load(self) -> Loaded:
        renderer = ShotRenderer(load_run(self.folder, self.device))
        stamp = self._newest()
        return Loaded(stamp[0] if stamp else "", renderer, picture_scales(renderer))

    def _newest(self) -> tuple[str, int] | None:
        """Name of the newest checkpoint and when it came; None where there is none."""
        pointer = self.folder / "checkpoints" / "latest"
        try:
            return pointer.read_text().strip(), pointer.stat().st_mtime_ns
        except OSError:
            return None
