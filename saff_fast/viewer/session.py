"""One browser: what it wants to see, and the thread that renders it.

The page only posts what is wanted; the newest wish counts. In motion pictures are small and always finished, so that
there is something to see; at rest they are refined until the next wish, which ends a refinement between two tiles.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from saff_fast.playback.objects import ObjectModel
from saff_fast.playback.renderer import Stopped
from saff_fast.playback.shot import Shot
from saff_fast.render.colours import Picture
from saff_fast.viewer.beside import Beside
from saff_fast.viewer.click import object_at
from saff_fast.viewer.draft import PathDraft
from saff_fast.viewer.draw import draw, needed_maps, samples_per_ray, side_by_side
from saff_fast.viewer.look import Look, with_time
from saff_fast.viewer.opened import Loaded, OpenRun
from saff_fast.viewer.pace import Pace, Rate
from saff_fast.viewer.player import Player
from saff_fast.viewer.screen import Screen, Statistics

_LOG = logging.getLogger(__name__)
REST = 0.2
"""Seconds without a wish after which a picture is refined."""


@dataclass(frozen=True)
class _Task:
    wish: int
    look: Look
    rows: int
    coarse: bool
    preview: float | None
    """Seconds into the path that is previewed; None without preview."""


class Session:
    """A browser's view of a run.

    Args:
        opened: The run.
        screen: Where to show it.
        beside: What stands on the right; None for nothing.
    """

    def __init__(self, opened: OpenRun, screen: Screen, beside: Beside | None = None) -> None:
        self.opened, self.beside = opened, beside
        self.statistics = Statistics()
        self.draft = PathDraft()
        self._screen = screen
        self._objects = opened.objects()
        self._look = Look()
        self._wish, self._changed_at, self._closed = 0, 0.0, False
        self._before = self._shown = _Task(-1, self._look, 0, True, None)
        self._told_time = 0.0
        self._player: Player | None = None
        self._preview: Player | None = None
        self._jobs: dict[str, Callable[[], None]] = {}
        self._pace, self._rate = Pace(), Rate()
        self._wake = threading.Condition()
        self._unwatch = opened.watch(self.again)
        self._thread = threading.Thread(target=self._work, name="saff-fast session", daemon=True)
        self._thread.start()

    @property
    def look(self) -> Look:
        """What is wanted now."""
        with self._wake:
            return self._look

    @property
    def objects(self) -> ObjectModel | None:
        """The objects as they are in this browser, saved or not."""
        with self._wake:
            return self._objects

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    @property
    def wish(self) -> int:
        """Number of the newest wish."""
        with self._wake:
            return self._wish

    def change(self, change: Callable[[Look], Look]) -> None:
        """Want something else."""
        with self._wake:
            look = change(self._look)
            if look != self._look:
                self._look = look
                self._wished()

    def again(self) -> None:
        """Want the same, since what is shown has changed."""
        with self._wake:
            self._wished()

    def edit(self, objects: ObjectModel | None) -> None:
        """Want other objects."""
        with self._wake:
            self._objects = objects
            self._wished()

    def play(self, speed: float, loop: bool) -> None:
        """Let time run from where it is, so many frames a second; from the beginning if it is at the end."""
        with self._wake:
            last = float(self.opened.loaded.model.n_frames - 1)
            start = 0.0 if self._look.time >= last else self._look.time
            self._player = Player(start, time.monotonic(), speed, last, loop)
            self._preview = None
            self._wished()

    def preview(self, loop: bool = False) -> None:
        """Go along the drawn path.

        Raises:
            ValueError: if it has no key.
        """
        if not self.draft.path.keys:
            raise ValueError("the path has no key yet; add one first")
        with self._wake:
            self._player = None
            self._preview = Player(0.0, time.monotonic(), 1.0, self.draft.seconds, loop)
            self._wished()

    def pause(self) -> None:
        """Let time stand, and leave the path."""
        with self._wake:
            self._player = self._preview = None
            self._wished()

    def click(self, x: float, y: float) -> None:
        """Ask what is seen at x and y, shares of the canvas from its upper left corner."""
        self.post("click", lambda: self._hit(x, y))

    def regroup(self, n_clusters: int, threshold: float) -> None:
        """Find objects anew, as `Survey.objects`."""
        self.post("regroup", lambda: self._regroup(n_clusters, threshold))

    def post(self, name: str, job: Callable[[], None]) -> None:
        """Have something done by this session's thread before its next picture; of one name, the last counts."""
        with self._wake:
            self._jobs.pop(name, None)
            self._jobs[name] = job
            self._wake.notify_all()

    def close(self) -> None:
        """End the thread; a picture that is being rendered is given up."""
        self._unwatch()
        with self._wake:
            self._closed = True
            self._wake.notify_all()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _wished(self) -> None:
        self._wish += 1
        self._changed_at = time.monotonic()
        self._wake.notify_all()

    def _work(self) -> None:
        while (task := self._next()) is not None:
            try:
                task() if callable(task) else self._fulfil(task)
            except Stopped:
                continue
            except ValueError as error:
                self._screen.failed(str(error))
            except Exception:  # whatever it was, the browser goes on with its next wish
                _LOG.exception("a picture could not be made")
                self._screen.failed("the picture could not be made; the server's log says why")

    def _next(self) -> Any:
        """What is to be done next: a job, a picture, or None at the end."""
        with self._wake:
            while not self._closed:
                if self._jobs:
                    return self._jobs.pop(next(iter(self._jobs)))
                wait = None
                if self._look.camera is not None:
                    self._let_time_run()
                    if self._wish != self._shown.wish:
                        return self._mark(self._coarse())
                    if self._shown.rows < self._look.full_rows:
                        wait = self._changed_at + REST - time.monotonic()
                        if wait <= 0:
                            rows = Pace.refined(self._shown.rows, self._look.full_rows)
                            return self._mark(replace(self._shown, rows=rows, coarse=False))
                self._wake.wait(wait)
        return None

    def _mark(self, task: _Task) -> _Task:
        """A task counts as shown when it is begun: what cannot be rendered is not tried for ever."""
        self._before, self._shown = self._shown, task
        return task

    def _let_time_run(self) -> None:
        """What plays wants the next picture as soon as the last one is shown."""
        if self._player is not None:
            now, goes_on = self._player.at(time.monotonic())
            if not goes_on:
                self._player = None
            self._look = with_time(self._look, now, self.opened.loaded.model.n_frames)
            self._wished()
        elif self._preview is not None:
            self._wished()

    def _coarse(self) -> _Task:
        preview = None
        if self._preview is not None:
            preview, goes_on = self._preview.at(time.monotonic())
            if not goes_on:
                self._preview = None
        rows = self._pace.moving(self._kind(self._look), self._look.full_rows)
        return _Task(self._wish, self._look, rows, True, preview)

    def _kind(self, look: Look) -> tuple[Any, ...]:
        """What tells pictures that take long from those that do not."""
        loaded = self.opened.loaded
        chosen = look.only is None and not look.without
        return needed_maps(loaded, self._objects, look), chosen, loaded.renderer.splats(look.time)

    def _fulfil(self, task: _Task) -> None:
        loaded, objects = self.opened.loaded, self._objects
        began = time.monotonic()
        stop = self._is_closed if task.coarse else lambda: self._is_over(task)
        try:
            shot, drawn = self._picture(loaded, objects, task, stop)
        except Stopped:
            with self._wake:  # a refinement that was given up may be wanted again
                if self._shown is task:
                    self._shown = self._before
            raise
        took = time.monotonic() - began
        if task.coarse:
            self._pace.took(self._kind(task.look), task.rows, took)
        final = task.rows >= task.look.full_rows
        statistics = Statistics(
            pictures=self.statistics.pictures + 1,
            milliseconds=took * 1e3,
            per_second=self._rate.shown(time.monotonic()),
            rows=drawn.shape[0],
            columns=drawn.shape[1],
            samples_per_ray=samples_per_ray(loaded, shot) if final else self.statistics.samples_per_ray,
            wish=task.wish,
            final=final,
            checkpoint=loaded.name,
        )
        self._screen.show(drawn, final)
        self.statistics = statistics
        if self._player is not None or task.look.time != self._told_time:
            self._told_time = task.look.time
            self._screen.moved(task.look.time, self._player is not None)
        self._screen.tell(statistics)

    def _picture(
        self, loaded: Loaded, objects: ObjectModel | None, task: _Task, stop: Callable[[], bool]
    ) -> tuple[Shot, Picture]:
        camera, look = task.look.camera, task.look
        assert camera is not None
        when = look.time
        if task.preview is not None:
            camera, when = self.draft.seen(loaded.model, task.preview, camera)
        shot = (camera if self.beside is None else camera.half()).shot(task.rows, when)
        with self.opened.lock:
            drawn = draw(loaded, objects, look, shot, stop)
        if self.beside is not None:
            drawn = side_by_side(drawn, self.beside(look, shot, stop))
        return shot, drawn

    def _hit(self, x: float, y: float) -> None:
        look, objects, loaded = self._look, self._objects, self.opened.loaded
        if look.camera is None or objects is None:
            raise ValueError("the run has no objects yet; find some with the sliders of the Objects tab")
        camera = look.camera
        if self.beside is not None:
            camera, x = camera.half(), (2 * x) % 1.0
        self._screen.clicked(object_at(loaded, objects, look, camera.shot(look.rows, look.time), (x, y)))

    def _regroup(self, n_clusters: int, threshold: float) -> None:
        loaded = self.opened.loaded
        if not loaded.has_semantics:
            raise ValueError("the run was trained without semantics, so nothing tells objects apart")
        with self.opened.lock:
            survey = loaded.survey
        objects = survey.objects(n_clusters, threshold).to(loaded.model.cameras.c2w.device)
        self.edit(objects)
        self._screen.regrouped(objects)

    def _is_closed(self) -> bool:
        return self._closed

    def _is_over(self, task: _Task) -> bool:
        return self._closed or self._wish != task.wish or bool(self._jobs)
