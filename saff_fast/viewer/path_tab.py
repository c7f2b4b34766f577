"""Controls of camera paths: draw, preview, save, render."""

from typing import TYPE_CHECKING

import numpy as np

from saff_fast.viewer.draft import PathDraft
from saff_fast.viewer.look import number
from saff_fast.viewer.video import PathVideo

if TYPE_CHECKING:
    from saff_fast.viewer.page import Page

_COLOUR = (60, 160, 250)
_BALL = 0.01
"""Radius of a drawn key in terms of the nearest depth."""
_LINE = 3.0  # pixels
_LONGEST_GAP = 60.0


class PathTab:
    """The third tab."""

    def __init__(self, page: "Page") -> None:
        self._page, self._session = page, page.session
        self._video: PathVideo | None = None
        self._drawn: list = []
        gui = page.client.gui
        self._state = gui.add_markdown("No key yet.")
        add = gui.add_button("Add key here and now")
        self._gap = gui.add_number("Seconds from the last key", 2.0, min=0.1, max=_LONGEST_GAP, step=0.1)
        back, clear = gui.add_button("Remove last key"), gui.add_button("Clear")
        self._fps = gui.add_number("Pictures a second", 30.0, min=1.0, max=60.0, step=1.0)
        preview, stop = gui.add_button("Preview"), gui.add_button("Stop preview")
        self._name = gui.add_text("Name", "path")
        save, render = gui.add_button("Save path"), gui.add_button("Render path")
        self._progress = gui.add_progress_bar(0.0)

        page.on_click(add, self._add)
        page.on_click(back, lambda: self._set(self._session.draft.shortened()))
        page.on_click(clear, lambda: self._set(PathDraft()))
        page.on_click(preview, self._session.preview)
        page.on_click(stop, self._session.pause)
        page.on_click(save, lambda: self._page.notify("Saved", str(self._save())))
        page.on_click(render, self._render)

    def close(self) -> None:
        """End a video that is being rendered."""
        if self._video is not None:
            self._video.stop()

    def _add(self) -> None:
        look = self._session.look
        if look.camera is not None:
            gap = number(self._gap.value, 0.1, _LONGEST_GAP)
            self._set(self._session.draft.added(look.camera, look.time, gap))

    def _set(self, draft: PathDraft) -> None:
        self._session.draft = draft
        n_keys = len(draft.path.keys)
        self._state.content = f"{n_keys} keys, {draft.seconds:g} s" if n_keys else "No key yet."
        for node in self._drawn:
            node.remove()
        scene, size = self._page.client.scene, _BALL * self._page.opened.loaded.scales.nearest
        centres = np.array([key.c2w[:, 3] for key in draft.path.keys])
        self._drawn = [
            scene.add_icosphere(f"/path/{number}", radius=size, color=_COLOUR, position=centre)
            for number, centre in enumerate(centres)
        ]
        if n_keys > 1:
            points = np.stack([centres[:-1], centres[1:]], axis=1).astype(np.float32)
            colours = np.broadcast_to(np.array(_COLOUR, np.uint8), points.shape)
            self._drawn.append(
                scene.add_line_segments("/path/line", points, colours, thickness=_LINE, thickness_units="screen")
            )

    def _save(self):
        draft = self._session.draft.at_rate(number(self._fps.value, 1, 60))
        self._session.draft = draft
        return draft.save(self._page.opened.folder, str(self._name.value))

    def _render(self) -> None:
        if self._video is not None and self._video.alive:
            raise ValueError("a path is being rendered already; wait for it")
        path = self._save()
        opened = self._page.opened
        self._progress.value = 0.0
        self._video = PathVideo(opened.folder, path, self._session.look.modality, opened.device, self._report)

    def _report(self, done: int, total: int, sentence: str) -> None:
        self._progress.value = 100.0 * done / max(total, 1)
        if sentence:
            self._page.notify("Path", sentence)
