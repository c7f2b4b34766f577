"""The page in a real Chromium."""

import contextlib
import logging
import shutil
import threading

import numpy as np
import pytest

from saff_fast.files import read_image
from saff_fast.playback.modalities import MODALITIES
from saff_fast.playback.objects import ObjectModel
from saff_fast.playback.path import read_camera_path
from saff_fast.playback.shot import shot_of
from saff_fast.viewer.beside import beside_of
from saff_fast.viewer.opened import OpenRun
from saff_fast.viewer.port import LOOPBACK, free_port
from tests.viewer.browser import ARGUMENTS, Tab, executable, why_none
from tests.viewer.conftest import N_FRAMES, eventually

pytestmark = [pytest.mark.slow, pytest.mark.skipif(why_none() is not None, reason=str(why_none()))]
LAST = N_FRAMES - 1


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable(), args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(autouse=True)
def _windows_are_closed(request):
    """A window that a failed test leaves would come back to the next server."""
    yield
    if "browser" in request.fixturenames:
        for context in request.getfixturevalue("browser").contexts:
            context.close()


@pytest.fixture
def run(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "run")


def serve(run, beside=None):
    pytest.importorskip("viser", reason="viser is not installed")
    from saff_fast.viewer.serve import Viewer

    opened = OpenRun(run, "cpu")
    return Viewer(opened, LOOPBACK, free_port(LOOPBACK, 8123), beside and beside_of(beside, opened))


@pytest.fixture
def viewer(run):
    with serve(run) as viewer:
        yield viewer
    assert no_thread_is_left()


@pytest.fixture
def tab(browser, viewer):
    tab = Tab(browser, viewer)
    yield tab
    tab.close()


def no_thread_is_left():
    return not [t for t in threading.enumerate() if t.name in ("saff-fast session", "saff-fast video")]


def pixel_of_object(tab):
    """Where an object is seen, as shares of the canvas, and its label."""
    look, loaded = tab.session.look, tab.session.opened.loaded
    shot = look.camera.shot(look.full_rows, look.time)
    renderer = type(loaded.renderer)(loaded.model, tab.session.objects)
    maps = renderer.render(shot, ("labels", "blend"))
    labels = maps["labels"].numpy()
    labels[: len(labels) // 3] = 0
    label = int(np.bincount(labels[labels > 0]).argmax())
    rows, columns = np.nonzero(labels == label)
    at = np.argmin(np.abs(rows - np.median(rows)) + np.abs(columns - np.median(columns)))
    return (columns[at] + 0.5) / shot.width, (rows[at] + 0.5) / shot.height, label


def test_moving_the_time_slider_changes_the_picture(tab):
    before = tab.expected()
    tab.shows(before)
    tab.number("Time", LAST)
    eventually(lambda: tab.session.look.time == LAST)
    after = tab.expected()
    assert np.abs(before.astype(float) - after)[len(after) // 3 :].mean() > 1
    tab.shows(after)
    assert tab.difference(after) < tab.difference(before)


def test_each_modality_shows(tab):
    for name in MODALITIES:
        tab.choose("Modality", name)
        eventually(lambda name=name: tab.session.look.modality == name)
        tab.shows(tab.expected())
    tab.choose("Modality", "depth")
    tab.choose("Colours", "magma")
    eventually(lambda: tab.session.look.colours == "magma")
    tab.shows(tab.expected())


def test_a_click_selects_the_object_under_it_and_isolating_removes_the_rest(tab):
    x, y, label = pixel_of_object(tab)
    tab.tab("Objects")
    tab.click(x, y)
    eventually(lambda: tab.session.look.selected == label)
    tab.page.get_by_text(f"{label}: object").first.wait_for()
    tab.shows(tab.expected())
    before = tab.seen().astype(float)
    tab.press("Isolate")
    eventually(lambda: tab.session.look.only == {label})
    alone = tab.expected()
    tab.shows(alone)
    lit = (alone.max(-1) > 24).mean()
    assert 0.001 < lit < 0.6, "the background has gone, the object has not"
    seen = tab.seen()
    row, column = round(y * len(seen)), round(x * seen.shape[1])
    assert seen[row, column].max() > 24
    assert seen[len(seen) // 3 :].mean() < 0.6 * before[len(before) // 3 :].mean()
    tab.press("Remove")
    eventually(lambda: tab.session.look.without == {label})
    tab.press("All")
    eventually(lambda: tab.session.look.only is None and not tab.session.look.without)


def test_edits_are_saved_and_read_in_preference(tab, run):
    x, y, label = pixel_of_object(tab)
    tab.tab("Objects")
    tab.click(x, y)
    eventually(lambda: tab.session.look.selected == label)
    tab.text("Name", "ball")
    eventually(lambda: tab.session.objects.names == {label: "ball"})
    n_objects = len(tab.session.objects.ids)
    tab.press("Split off what was clicked")
    eventually(lambda: len(tab.session.objects.ids) > n_objects)
    tab.press("Save edits")
    eventually(lambda: ObjectModel.is_edited(run))
    saved = ObjectModel.load(run)
    assert saved.names == {label: "ball"}
    assert saved.ids == tab.session.objects.ids


def test_the_number_of_clusters_and_the_threshold_act_at_once(tab):
    tab.choose("Modality", "labels")
    tab.tab("Objects")
    tab.number("Clusters", 3)
    eventually(lambda: len(tab.session.objects.object_of) == 3)
    tab.shows(tab.expected())
    tab.number("Saliency threshold", 1)
    eventually(lambda: tab.session.objects.ids == ())
    assert not tab.expected().any()
    tab.press("Back to what is saved")
    eventually(lambda: tab.session.objects.ids != ())


def test_a_path_is_drawn_saved_and_rendered(tab, run):
    tab.tab("Path")
    tab.press("Add key here and now")
    eventually(lambda: len(tab.session.draft.path.keys) == 1)
    tab.tab("View")
    tab.number("Input camera", LAST)
    tab.press("Jump to it")
    eventually(lambda: tab.session.look.time == LAST)
    where = shot_of(tab.session.opened.loaded.model, LAST, LAST).c2w.numpy()
    eventually(lambda: np.abs(tab.session.look.camera.c2w - where).max() < 1e-3)
    tab.tab("Path")
    tab.number("Seconds from the last key", 1)
    tab.number("Pictures a second", 4)
    tab.press("Add key here and now")
    eventually(lambda: len(tab.session.draft.path.keys) == 2)
    tab.press("Preview")
    eventually(lambda: tab.session._preview is None and tab.session._shown.preview is not None)
    tab.press("Stop preview")
    tab.text("Name", "across")
    tab.press("Save path")
    file = run / "paths" / "across.json"
    eventually(file.is_file)
    path = read_camera_path(file, N_FRAMES)
    assert (path.fps, path.n_pictures, [key.time for key in path.keys]) == (4, 5, [0, LAST])
    tab.press("Render path")
    eventually(lambda: (run / "path" / "rgb.gif").is_file())
    pictures = sorted((run / "path" / "images").glob("*.png"))
    assert len(pictures) == 5
    cameras = tab.session.opened.loaded.model.cameras
    assert read_image(pictures[0]).shape == (cameras.height, cameras.width, 3)


def test_two_browsers_have_views_of_their_own(browser, viewer):
    one, other = Tab(browser, viewer), Tab(browser, viewer)
    one.number("Time", LAST)
    other.choose("Modality", "blend")
    eventually(lambda: one.session.look.time == LAST and other.session.look.modality == "blend")
    assert (one.session.look.modality, other.session.look.time) == ("rgb", 0)
    for tab in (one, other):
        tab.shows(tab.expected())
    one.close()
    eventually(lambda: len(viewer.pages) == 1)
    other.choose("Modality", "depth")
    other.shows(other.expected())
    other.close()


def test_playing_and_dragging_show_many_pictures(tab):
    before = tab.session.statistics.pictures
    tab.press("Play")
    eventually(lambda: tab.session.statistics.pictures > before + 20)
    tab.press("Pause")
    tab.settled()
    before = tab.session.look.camera
    tab.drag(40, 10, steps=10)
    eventually(lambda: tab.session.look.camera != before)
    tab.shows(tab.expected())


def test_a_browser_that_leaves_mid_render_leaves_no_thread(browser, viewer):
    tab = Tab(browser, viewer)
    tab.number("Rows at rest", 2160)
    tab.page.set_viewport_size({"width": 3000, "height": 2100})
    eventually(lambda: tab.session.look.full_rows > 1000)
    eventually(lambda: tab.session._shown.rows > 500 and viewer.opened.lock.locked())
    tab.close()
    eventually(lambda: not tab.session.alive)
    assert viewer.pages == {}
    assert no_thread_is_left()
    again = Tab(browser, viewer)
    again.shows(again.expected())
    again.close()


def test_hostile_messages_are_ignored_and_logged(tab, viewer, caplog):
    import msgspec
    import viser
    from websockets.exceptions import ConnectionClosed
    from websockets.sync.client import connect

    address, protocol = f"ws://127.0.0.1:{viewer.port}", [f"viser-v{viser.__version__}"]
    camera = {"type": "ViewerCameraMessage", "wxyz": ["a", 0, 0, 0], "position": [0, 0, 0], "fov": float("nan")}
    camera |= {"near": 0, "far": 1, "image_height": -1, "image_width": "x"}
    camera |= {"look_at": [0, 0, 1], "up_direction": [0, 1, 0]}
    hostile = [
        b"\xff" * 100,
        "text",
        msgspec.msgpack.encode({"type": "NoSuchMessage"}),
        msgspec.msgpack.encode({"type": "GuiUpdateMessage", "uuid": "x", "updates": {"value": [1]}}),
        msgspec.msgpack.encode(camera),
        msgspec.msgpack.encode({"type": "ShareUrlRequest"}),
        msgspec.msgpack.encode([1, 2, 3]),
        b"\x91" * 100_000,
    ]
    with caplog.at_level(logging.WARNING):
        for message in hostile:
            with connect(address, subprotocols=protocol) as socket_:
                socket_.send(message)
                with contextlib.suppress(ConnectionClosed, TimeoutError):
                    while True:
                        socket_.recv(timeout=0.3)
    assert "a hostile message was ignored" in caplog.text
    tab.number("Time", 1)
    eventually(lambda: tab.session.look.time == 1)
    tab.shows(tab.expected())


def test_beside_its_input(browser, run):
    with serve(run, "input") as viewer:
        tab = Tab(browser, viewer)
        tab.page.wait_for_timeout(500)
        seen = tab.seen().astype(float)
        half = seen.shape[1] // 2
        left, right = seen[len(seen) // 3 :, : half - 2], seen[len(seen) // 3 :, half + 2 :]
        assert min(left.std(), right.std()) > 5
        tab.close()
    assert no_thread_is_left()
