"""What stands on the right of the run: another run, or what the camera saw."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from saff_fast.errors import UserError
from saff_fast.files import read_image
from saff_fast.playback.shot import Shot
from saff_fast.render.colours import Picture
from saff_fast.scene.reader import read_frames
from saff_fast.train.run_folder import read_meta
from saff_fast.viewer.draw import draw, fitted
from saff_fast.viewer.look import Look
from saff_fast.viewer.opened import OpenRun

Beside = Callable[[Look, Shot, Callable[[], bool]], Picture]
"""A picture of the shot's size, for a look; gives up once told to."""
INPUT = "input"
_KEPT = 32


def beside_of(name: str, opened: OpenRun) -> Beside:
    """What `--beside` names: the run's own input, or a run folder.

    Raises:
        UserError: if the scene folder has gone, or the other run cannot be rendered or has no frame in common.
    """
    return _input_of(opened) if name == INPUT else _other_run(Path(name), opened)


def _input_of(opened: OpenRun) -> Beside:
    scene = Path(read_meta(opened.folder)["scene"])
    if not scene.is_dir():
        raise UserError(
            f"--beside input needs the scene folder of {opened.folder}, but {scene} is no more; leave --beside out"
        )
    images = read_frames(scene).images
    if len(images) != opened.loaded.model.n_frames:
        raise UserError(
            f"{scene} must have the {opened.loaded.model.n_frames} frames of the run, but has {len(images)}; "
            "leave --beside out"
        )
    read = lru_cache(_KEPT)(read_image)

    def nearest_frame(look: Look, shot: Shot, stop: Callable[[], bool]) -> Picture:
        frame = round(min(max(shot.time, 0), len(images) - 1))
        return fitted(read(images[frame]), shot.height, shot.width)

    return nearest_frame


def _other_run(folder: Path, opened: OpenRun) -> Beside:
    other = OpenRun(folder, opened.device)
    if other.loaded.model.n_frames != opened.loaded.model.n_frames:
        raise UserError(
            f"--beside must be a run of as many frames as {opened.folder}, {opened.loaded.model.n_frames}, got "
            f"{other.loaded.model.n_frames} in {folder}; choose another run of the scene"
        )
    objects = other.objects()

    def rendered(look: Look, shot: Shot, stop: Callable[[], bool]) -> Picture:
        with other.lock:
            return draw(other.loaded, objects, look, shot, stop)

    return rendered
