"""Controls of what is seen: time, modality, colours, cameras."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from saff_fast.playback.modalities import MODALITIES
from saff_fast.render.colours import COLOUR_MAPS
from saff_fast.viewer.look import (
    LEAST_ROWS,
    MOST_ROWS,
    NEED_OBJECTS,
    NEED_SEMANTICS,
    OF_MODALITY,
    number,
    with_colours,
    with_modality,
    with_time,
)

if TYPE_CHECKING:
    from saff_fast.viewer.page import Page

_TIME_STEP = 0.1
_FASTEST = 60.0
_LEAST_AT_REST, _MOST_AT_REST = 288, 576


class ViewTab:
    """The first tab."""

    def __init__(self, page: "Page") -> None:
        self._page, self._session = page, page.session
        model = page.opened.loaded.model
        gui, self.cameras = page.client.gui, list[Any]()
        self._n_frames, last = model.n_frames, model.n_frames - 1
        at_rest = min(max(2 * model.cameras.height, _LEAST_AT_REST), _MOST_AT_REST)
        self._session.change(lambda look: replace(look, rows=at_rest))
        self._time = gui.add_slider("Time", 0.0, float(max(last, 1)), _TIME_STEP, 0.0, hint="Frame; between them, too")
        self._play = gui.add_button("Play")
        self._speed = gui.add_slider("Speed", 0.5, _FASTEST, 0.5, 10.0, hint="Frames a second")
        self._loop = gui.add_checkbox("Loop", True)
        self._modality = gui.add_dropdown("Modality", self._modalities(), initial_value="rgb")
        colours = gui.add_dropdown("Colours", (OF_MODALITY, *COLOUR_MAPS), initial_value=OF_MODALITY)
        overlay = gui.add_slider("Object colours", 0.0, 1.0, 0.05, 0.0, hint="Laid over the picture")
        rows = gui.add_number("Rows at rest", at_rest, min=LEAST_ROWS, max=MOST_ROWS, step=1)
        frame = gui.add_number("Input camera", 0, min=0, max=last, step=1)
        jump = gui.add_button("Jump to it")
        shown = gui.add_checkbox("Show cameras", False, hint="A click on one jumps to it")

        page.on_update(self._time, self._go_to)
        page.on_click(self._play, self._toggle)
        page.on_update(self._speed, lambda _: self._replay())
        page.on_update(self._loop, lambda _: self._replay())
        page.on_update(self._modality, lambda name: self._session.change(lambda look: with_modality(look, name)))
        page.on_update(colours, lambda name: self._session.change(lambda look: with_colours(look, name)))
        page.on_update(overlay, self._overlay)
        page.on_update(rows, self._rows)
        page.on_click(jump, lambda: page.jump_to(round(number(frame.value, 0, last))))
        page.on_update(shown, self._show_cameras)
        self._playing = False

    def set_time(self, time: float) -> None:
        """Go to a time and let it stand."""
        self._stop()
        self._time.value = time
        self._session.change(lambda look: with_time(look, time, self._n_frames))

    def follow(self, time: float, playing: bool) -> None:
        """Show a time that has come by itself."""
        self._time.value = time
        if self._playing and not playing:
            self._stopped()

    def list_modalities(self) -> None:
        """Offer what there is now."""
        self._modality.options = self._modalities()

    def _modalities(self) -> tuple[str, ...]:
        semantics = self._page.opened.loaded.has_semantics
        missing = () if semantics else NEED_SEMANTICS
        missing = missing if self._session.objects is not None else (*missing, *NEED_OBJECTS)
        return tuple(name for name in MODALITIES if name not in missing)

    def _go_to(self, time: Any) -> None:
        self._stop()
        self._session.change(lambda look: with_time(look, time, self._n_frames))

    def _toggle(self) -> None:
        if self._playing:
            self._stop()
        else:
            self._playing, self._play.label = True, "Pause"
            self._replay()

    def _replay(self) -> None:
        if self._playing:
            self._session.play(number(self._speed.value, 0.01, _FASTEST), bool(self._loop.value))

    def _stop(self) -> None:
        if self._playing:
            self._session.pause()
            self._stopped()

    def _stopped(self) -> None:
        self._playing, self._play.label = False, "Play"

    def _overlay(self, value: Any) -> None:
        share = number(value, 0, 1)
        self._session.change(lambda look: replace(look, overlay=share))

    def _rows(self, value: Any) -> None:
        rows = round(number(value, LEAST_ROWS, MOST_ROWS))
        self._session.change(lambda look: replace(look, rows=rows))

    def _show_cameras(self, value: Any) -> None:
        for camera in self.cameras:
            camera.visible = bool(value)
