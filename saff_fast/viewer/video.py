"""A drawn path as a video, rendered while the page goes on."""

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from saff_fast.backends import Device
from saff_fast.errors import UserError
from saff_fast.playback.modalities import Modality
from saff_fast.playback.reel import render_mode
from saff_fast.playback.renderer import Stopped
from saff_fast.playback.settings import RenderSettings
from saff_fast.playback.takes import TakeOptions

_LOG = logging.getLogger(__name__)
Report = Callable[[int, int, str], None]
"""Called with pictures done, their total, and at the end or on failure a sentence, otherwise nothing."""


class PathVideo:
    """Renders a path's file into `run/path`, as `saff-fast render RUN path` does.

    Args:
        run: The run folder.
        path: The path's file.
        modality: What to render.
        device: Where.
        report: Told how far it is.
    """

    def __init__(self, run: Path, path: Path, modality: Modality, device: Device, report: Report) -> None:
        self._run, self._path, self._report = run, path, report
        self._settings = RenderSettings(device=device, modalities=(modality,))
        self._stopped = False
        self._thread = threading.Thread(target=self._work, name="saff-fast video", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether it is being rendered."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """End it after the picture that it is at; what is there is kept, and rendering the path again goes on."""
        self._stopped = True
        self._thread.join()

    def _work(self) -> None:
        try:
            render_mode(self._run, "path", TakeOptions(path=self._path), self._settings, None, self._progress)
        except Stopped:
            return
        except UserError as error:
            self._report(0, 1, str(error))
        except Exception:  # the page goes on, whatever it was
            _LOG.exception("a path could not be rendered")
            self._report(0, 1, "the path could not be rendered; the server's log says why")
        else:
            self._report(1, 1, f"Rendered: {self._run / 'path'}")

    def _progress(self, done: int, total: int) -> None:
        if self._stopped:
            raise Stopped
        self._report(done, total, "")
