"""The server of the page: browsers come and go, checkpoints come."""

import contextlib
import io
import logging
import threading
import warnings
from collections.abc import Callable
from typing import Self
from urllib.parse import urlsplit

import numpy as np
import viser
from viser import _messages

from saff_fast.playback.shot import shot_of
from saff_fast.viewer.beside import Beside
from saff_fast.viewer.camera import vertical_fov
from saff_fast.viewer.opened import OpenRun
from saff_fast.viewer.page import Page

_LOG = logging.getLogger(__name__)
_CHECKPOINTS_EVERY = 2.0
"""Seconds between looks for a newer checkpoint."""


class Viewer:
    """Serves a run until it is closed.

    Args:
        opened: The run.
        host: Where to listen.
        port: A free port there.
        beside: What stands on the right; None for nothing.
    """

    def __init__(self, opened: OpenRun, host: str, port: int, beside: Beside | None = None) -> None:
        self.opened, self._beside = opened, beside
        self.pages: dict[int, Page] = {}
        self._lock = threading.Lock()
        """Held while a page is made or ended, so that none is left when the viewer is closed."""
        self._over = threading.Event()
        with contextlib.redirect_stdout(io.StringIO()):  # it says where it is in a way of its own
            self.server = viser.ViserServer(host, port, label="saff_fast", verbose=False)
        self._harden()
        self._place_camera()
        self.server.gui.configure_theme(show_logo=False, show_share_button=False)
        self.server.gui.main_panel.dock_right()
        self.server.on_client_connect(self._opened)
        self.server.on_client_disconnect(self._closed)
        self._follower = threading.Thread(target=self._follow_checkpoints, name="saff-fast follower", daemon=True)
        self._follower.start()

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self.close()

    @property
    def port(self) -> int:
        """Where it listens."""
        return self.server.get_port()

    def wait(self, until: Callable[[], bool] = lambda: False) -> None:
        """Serve until something is so, or for ever."""
        while not until() and not self._over.wait(1.0):
            pass

    def close(self) -> None:
        """End the server and all that browsers have running."""
        self._over.set()
        with self._lock:
            for page in self.pages.values():
                page.close()
            self.pages.clear()
        with contextlib.redirect_stdout(io.StringIO()):
            self.server.stop()
        self._follower.join()

    def _opened(self, client: viser.ClientHandle) -> None:
        if self._is_of_another_page(client.client_id):
            _LOG.warning("browser %d: ignored, since another site's page has opened it", client.client_id)
            return
        with self._lock:
            if not self._over.is_set():
                self.pages[client.client_id] = Page(client, self.opened, self._beside)
        if client.client_id not in self.server.get_clients():  # it has gone meanwhile
            self._closed(client)

    def _closed(self, client: viser.ClientHandle) -> None:
        with self._lock:
            page = self.pages.pop(client.client_id, None)
            if page is not None:
                page.close()

    def _is_of_another_page(self, client_id: int) -> bool:
        """Whether a site that the browser visits reaches for this server: browsers let any page do so."""
        connection = self.server._websock_server._live_connections.get(client_id)
        headers = {} if connection is None or connection.request is None else connection.request.headers
        origin = headers.get("Origin")
        return origin is not None and urlsplit(origin).netloc != headers.get("Host")

    def _place_camera(self) -> None:
        """Browsers begin where the first frame was taken, and turn about the middle of the scene."""
        loaded = self.opened.loaded
        shot, start = shot_of(loaded.model, 0, 0), self.server.initial_camera
        c2w = shot.c2w.double().numpy()
        depth = float(np.sqrt(loaded.scales.nearest * loaded.scales.farthest))
        self.server.scene.set_up_direction(-c2w[:, 1])
        start.position, start.look_at, start.up = c2w[:, 3], c2w[:, 3] + depth * c2w[:, 2], -c2w[:, 1]
        start.fov = np.radians(vertical_fov(shot))

    def _harden(self) -> None:
        """Browsers cannot publish the page through viser's servers; messages that are none are told in one line."""
        for message in (_messages.ShareUrlRequest, _messages.ShareUrlDisconnect):
            self.server._websock_server.unregister_handler(message)
        logging.getLogger("websockets.server").addFilter(_in_one_line)
        warnings.filterwarnings("ignore", "Queued a .* on a closed connection")  # of a browser that has just left

    def _follow_checkpoints(self) -> None:
        while not self._over.wait(_CHECKPOINTS_EVERY):
            try:
                if self.opened.refresh():
                    _LOG.info("showing %s", self.opened.loaded.name)
            except Exception:
                _LOG.exception("a checkpoint could not be loaded")


def _in_one_line(record: logging.LogRecord) -> bool:
    """A message that does not parse ends its connection, of which websockets would show a traceback."""
    if record.exc_info and record.exc_info[1] is not None and record.getMessage() == "connection handler failed":
        record.msg, record.args = "a hostile message was ignored: %r", (record.exc_info[1],)
        record.exc_info = None
    return True
