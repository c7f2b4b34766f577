"""The page of one browser: viser's controls on a session."""

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import Any

import numpy as np
import viser

from saff_fast.errors import UserError
from saff_fast.playback.objects import ObjectModel
from saff_fast.playback.shot import shot_of
from saff_fast.render.colours import Picture
from saff_fast.viewer.beside import Beside
from saff_fast.viewer.camera import BrowserCamera, quaternion, vertical_fov
from saff_fast.viewer.look import number
from saff_fast.viewer.objects_tab import ObjectsTab
from saff_fast.viewer.opened import OpenRun
from saff_fast.viewer.path_tab import PathTab
from saff_fast.viewer.screen import Hit, Statistics
from saff_fast.viewer.session import Session
from saff_fast.viewer.view_tab import ViewTab

_LOG = logging.getLogger(__name__)
_JPEG_QUALITY = 80
_NOTICE_SECONDS = 8.0
_MOST_FRUSTA = 60
_FRUSTUM = 0.1
"""Size of a drawn camera in terms of how far the cameras are apart."""
_LINE = 2.0  # pixels
_CAMERA_COLOUR = (240, 140, 30)

Callback = Callable[[Any], None]


class Page:
    """Controls of one browser; what they are told goes to its session, what the session has is shown (`Screen`)."""

    def __init__(self, client: viser.ClientHandle, opened: OpenRun, beside: Beside | None) -> None:
        self.client, self.opened = client, opened
        self.session = Session(opened, self, beside)
        tabs = client.gui.add_tab_group()
        with tabs.add_tab("View"):
            self._view = ViewTab(self)
        with tabs.add_tab("Objects"):
            self._objects = ObjectsTab(self)
        with tabs.add_tab("Path"):
            self._path = PathTab(self)
        with tabs.add_tab("Statistics"):
            self._statistics = client.gui.add_markdown("No picture yet.")
        client.scene.on_click()(self.guarded(self._click))
        client.camera.on_update(self.guarded(self._follow))
        self._follow(client.camera)  # from here on there are pictures
        if beside is None:
            self._draw_cameras()

    def guarded(self, callback: Callback) -> Callback:
        """A callback whose failures are told in the browser: it may send anything, and goes on."""

        @wraps(callback)
        def call(event: Any) -> None:
            try:
                callback(event)
            except (ValueError, UserError) as error:
                _LOG.warning("browser %d: ignored: %s", self.client.client_id, error)
                self.failed(str(error))
            except Exception:
                _LOG.exception("browser %d: a message was ignored", self.client.client_id)

        return call

    def on_update(self, handle: Any, react: Callable[[Any], None]) -> None:
        """Have `react` called with the value that the browser gives a control."""

        def changed(event: Any) -> None:
            if event.client_id is not None:  # otherwise it was set from here
                react(handle.value)

        handle.on_update(self.guarded(changed))

    def on_click(self, button: Any, react: Callable[[], None]) -> None:
        """Have `react` called when a button is pressed."""
        button.on_click(self.guarded(lambda _: react()))

    def jump_to(self, frame: int) -> None:
        """Stand where an input camera stood, at its time."""
        model = self.opened.loaded.model
        shot = shot_of(model, frame, frame)
        camera = self.client.camera
        with self.client.atomic():
            camera.fov = np.radians(vertical_fov(shot))
            camera.position = shot.c2w[:, 3].double().numpy()
            camera.wxyz = quaternion(shot.c2w.numpy())
        self._view.set_time(float(frame))

    def close(self) -> None:
        """End what the browser has running here."""
        self.session.close()
        self._path.close()

    # What the session calls, from its thread.

    def show(self, picture: Picture, final: bool) -> None:
        """Put a picture behind the scene: without loss when it is the last one."""
        image_format = "png" if final else "jpeg"
        self.client.scene.set_background_image(picture, format=image_format, jpeg_quality=_JPEG_QUALITY)
        self.client.flush()

    def tell(self, statistics: Statistics) -> None:
        """Say how fast it is."""
        self._statistics.content = (
            f"| | |\n|---|---|\n| picture | {statistics.columns} x {statistics.rows} |\n"
            f"| a picture | {statistics.milliseconds:.0f} ms |\n"
            f"| pictures a second | {statistics.per_second:.1f} |\n"
            f"| samples a ray | {statistics.samples_per_ray:.1f} |\n"
            f"| checkpoint | {statistics.checkpoint.removesuffix('.safetensors')} |"
        )

    def moved(self, time: float, playing: bool) -> None:
        """Let the slider follow time."""
        self._view.follow(time, playing)

    def clicked(self, hit: Hit) -> None:
        """Select what was clicked."""
        self._objects.select(hit.label, hit.cluster)

    def regrouped(self, objects: ObjectModel) -> None:
        """List the objects that were found."""
        self._objects.list_objects()
        self._view.list_modalities()

    def failed(self, sentence: str) -> None:
        """Say what went wrong."""
        self.notify("Not done", sentence)

    def notify(self, title: str, sentence: str) -> None:
        """A note that goes away by itself."""
        self.client.add_notification(title, sentence, auto_close_seconds=_NOTICE_SECONDS)

    def _follow(self, camera: Any) -> None:
        if camera.update_timestamp == 0.0:
            return
        size = camera.image_width, camera.image_height
        seen = BrowserCamera.of(camera.wxyz, camera.position, camera.fov, *size)
        self.session.change(lambda look: replace(look, camera=seen))

    def _click(self, event: Any) -> None:
        x, y = (number(share, 0, 1) for share in event.screen_pos)
        self.session.click(x, y)

    def _draw_cameras(self) -> None:
        model = self.opened.loaded.model
        centres = model.cameras.c2w[:, :, 3]
        size = _FRUSTUM * max(float((centres.amax(0) - centres.amin(0)).norm()), 1e-3)
        step = -(-model.n_frames // _MOST_FRUSTA)
        for frame in range(0, model.n_frames, step):
            shot = shot_of(model, frame, frame)
            frustum = self.client.scene.add_camera_frustum(
                f"/cameras/{frame}",
                fov=np.radians(vertical_fov(shot)),
                aspect=shot.width / shot.height,
                scale=size,
                thickness=_LINE,
                thickness_units="screen",
                color=_CAMERA_COLOUR,
                wxyz=quaternion(shot.c2w.numpy()),
                position=shot.c2w[:, 3].double().numpy(),
                visible=False,
            )
            frustum.on_click(self.guarded(lambda _, frame=frame: self.jump_to(frame)))
            self._view.cameras.append(frustum)
