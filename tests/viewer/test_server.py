"""The server of the page, told by a websocket what a browser would tell, and what a hostile one would."""

import contextlib
import logging
import threading
from dataclasses import replace

import pytest

from saff_fast.errors import UserError
from saff_fast.playback.objects import ObjectModel
from saff_fast.playback.settings import RenderSettings, open_renderer
from saff_fast.playback.shot import shot_of
from saff_fast.viewer.camera import quaternion, vertical_fov
from saff_fast.viewer.opened import OpenRun
from saff_fast.viewer.port import LOOPBACK, free_port
from tests.viewer.conftest import eventually

viser = pytest.importorskip("viser", reason="viser is not installed")
PROTOCOL = [f"viser-v{viser.__version__}"]


@pytest.fixture
def viewer(opened):
    from saff_fast.viewer.serve import Viewer

    with Viewer(opened, LOOPBACK, free_port(LOOPBACK, 8123)) as viewer:
        yield viewer
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("saff-fast")]


def encoded(kind, **fields):
    import msgspec

    return msgspec.msgpack.encode({"type": kind, **fields})


def camera_message(viewer, **changes):
    shot = shot_of(viewer.opened.loaded.model, 0, 0)
    fields = {
        "wxyz": quaternion(shot.c2w.numpy()).tolist(),
        "position": shot.c2w[:, 3].tolist(),
        "fov": vertical_fov(shot) / 57.3,
        "near": 0.01,
        "far": 1000.0,
        "image_height": 54,
        "image_width": 96,
        "look_at": [0, 0, -5],
        "up_direction": [0, 1, 0],
    }
    return encoded("ViewerCameraMessage", **fields | changes)


def connected(viewer, **options):
    from websockets.sync.client import connect

    return connect(f"ws://{LOOPBACK}:{viewer.port}", subprotocols=PROTOCOL, max_size=None, **options)


def answer(connection, seconds=1.0):
    """Everything that comes until nothing more does."""
    from websockets.exceptions import ConnectionClosed

    received = []
    with contextlib.suppress(ConnectionClosed, TimeoutError):
        while True:
            received.append(connection.recv(timeout=seconds))
    return received


def test_a_browser_gets_pictures_and_leaves_nothing_behind(viewer):
    with connected(viewer) as connection:
        connection.send(camera_message(viewer))
        (page,) = eventually(lambda: list(viewer.pages.values()))
        eventually(lambda: page.session.statistics.final)
        assert any(b"\x89PNG" in message for message in answer(connection, 0.3))
    eventually(lambda: not viewer.pages and not page.session.alive)


def test_a_page_of_another_site_gets_nothing(viewer, caplog):
    with caplog.at_level(logging.WARNING), connected(viewer, origin="http://elsewhere.example") as connection:
        connection.send(camera_message(viewer))
        eventually(lambda: "another site's page" in caplog.text)
        assert viewer.pages == {}
    with connected(viewer, origin=f"http://{LOOPBACK}:{viewer.port}") as connection:
        connection.send(camera_message(viewer))
        eventually(lambda: viewer.pages)


@pytest.mark.parametrize(
    "message",
    [
        b"\xff" * 100,
        "text",
        encoded("NoSuchMessage"),
        encoded("ViewerCameraMessage", wxyz="x"),
        encoded("GuiUpdateMessage", uuid=[1], updates=3),
        b"\x91" * 100_000,
    ],
    ids=["bytes", "text", "unknown", "fields", "types", "depth"],
)
def test_a_hostile_message_is_ignored_and_logged(viewer, caplog, message):
    with caplog.at_level(logging.WARNING), connected(viewer) as connection:
        connection.send(message)
        answer(connection, 0.3)
    if message != encoded("GuiUpdateMessage", uuid=[1], updates=3):  # which parses, and then is of no control
        assert "a hostile message was ignored" in caplog.text
        assert "Traceback" not in caplog.text
    with connected(viewer) as connection:
        connection.send(camera_message(viewer))
        eventually(lambda: [page for page in viewer.pages.values() if page.session.statistics.final])


@pytest.mark.parametrize(
    "changes",
    [{"wxyz": [0, 0, 0, 0]}, {"position": [float("nan"), 0, 0]}, {"fov": 1e9}, {"image_width": -1}],
    ids=["orientation", "position", "view", "canvas"],
)
def test_a_hostile_camera_is_ignored_and_logged(viewer, caplog, changes):
    with connected(viewer) as connection:
        connection.send(camera_message(viewer))
        (page,) = eventually(lambda: list(viewer.pages.values()))
        eventually(lambda: page.session.statistics.final)
        camera = page.session.look.camera
        with caplog.at_level(logging.WARNING):
            connection.send(camera_message(viewer, **changes))
            eventually(lambda: "ignored: BrowserCamera" in caplog.text)
        assert page.session.look.camera == camera


def test_hostile_values_of_controls_are_ignored(viewer, caplog):
    with connected(viewer) as connection, caplog.at_level(logging.WARNING):
        connection.send(camera_message(viewer))
        (page,) = eventually(lambda: list(viewer.pages.values()))
        eventually(lambda: page.session.statistics.final)
        look = page.session.look
        modality, time = page._view._modality, page._view._time
        for handle, value in ((modality, "__class__"), (time, float("nan"))):
            connection.send(encoded("GuiUpdateMessage", uuid=handle._impl.uuid, updates={"value": value}))
        eventually(lambda: caplog.text.count("ignored") >= 2)
        assert page.session.look == look
        connection.send(encoded("GuiUpdateMessage", uuid=time._impl.uuid, updates={"value": 1e9}))
        eventually(lambda: page.session.look.time == viewer.opened.loaded.model.n_frames - 1)


def test_the_page_cannot_be_published(viewer):
    from viser import _messages

    assert _messages.ShareUrlRequest not in viewer.server._websock_server._incoming_handlers


def test_objects_of_other_semantics_are_named(run):
    objects = ObjectModel.load(run)
    replace(objects, prototypes=objects.prototypes[:, :3]).save(run)
    with pytest.raises(UserError, match="64 semantic channels, got 3"):
        open_renderer(run, RenderSettings(device="cpu"), ["labels"])
    with pytest.raises(UserError, match="64 semantic channels, got 3"):
        OpenRun(run, "cpu").objects()
