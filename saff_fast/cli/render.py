"""`saff-fast render`."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from saff_fast.cli.quantities import gibibytes
from saff_fast.errors import UserError

if TYPE_CHECKING:
    from saff_fast.cli.progress import ProgressLine
    from saff_fast.playback.modalities import Modality

Mode = Literal[
    "views",
    "fixed-camera",
    "fixed-time",
    "bullet-time",
    "lock-camera-slow-motion",
    "slow-motion",
    "path",
    "stabilise",
]
_OF_MODE = "(default: the mode's)"


def render(
    run: Annotated[Path, tyro.conf.arg(metavar="RUN")],
    mode: Annotated[Mode, tyro.conf.arg(metavar="MODE")] = "views",
    /,
    *,
    modalities: Annotated[str | None, tyro.conf.arg(metavar="NAMES", help_behavior_hint=_OF_MODE)] = None,
    scale: Annotated[float, tyro.conf.arg(metavar="X")] = 1.0,
    fps: Annotated[float | None, tyro.conf.arg(metavar="X", help_behavior_hint=_OF_MODE)] = None,
    camera: Annotated[int | None, tyro.conf.arg(metavar="FRAME", help_behavior_hint=_OF_MODE)] = None,
    time: Annotated[float | None, tyro.conf.arg(metavar="FRAME", help_behavior_hint=_OF_MODE)] = None,
    slow: Annotated[int | None, tyro.conf.arg(metavar="INT", help_behavior_hint=_OF_MODE)] = None,
    steadiness: Annotated[float | None, tyro.conf.arg(metavar="FRAMES", help_behavior_hint=_OF_MODE)] = None,
    path: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="(default: none)")] = None,
    strict: bool = False,
    max_memory: Annotated[str | None, tyro.conf.arg(metavar="SIZE", help_behavior_hint="(default: none)")] = None,
    device: Literal["auto", "cpu", "cuda"] = "auto",
) -> None:
    """Render the views that segment and evaluate read, or videos. The same command again goes on.

    Args:
        run: Run folder of `saff-fast train`.
        mode: views (each camera at its own time, camera 0 at all times, 12 cameras at time 0; into RUN/render), or
            fixed-camera, fixed-time, bullet-time, lock-camera-slow-motion, slow-motion, path, stabilise (RUN/MODE).
        modalities: Comma-separated: rgb, depth, parameter, opacity, blend, static, dynamic, flow, flow_bw, scene_flow,
            saliency, semantic, labels.
        scale: Size of the pictures, relative to that of training.
        fps: Pictures a second of the videos.
        camera: Input camera, by its frame.
        time: Time to stop at, as a frame.
        slow: Pictures a frame of the slow motions.
        steadiness: Frames that stabilise averages over.
        path: Camera path of mode path: the viewer's or nerfstudio's.
        strict: Refuse a path whose times are outside of the clip.
        max_memory: Smaller tiles if need be, to stay within this memory [4G, 500M].
        device: Where to render; auto is CUDA where it can be used.
    """
    from saff_fast.cli.progress import ProgressLine
    from saff_fast.playback.reel import render_mode
    from saff_fast.playback.settings import RenderSettings
    from saff_fast.playback.takes import TakeOptions
    from saff_fast.playback.views import render_run

    if not 0 < scale <= 100:
        raise UserError(f"--scale must be in (0, 100], got {scale:g}")
    if fps is not None and not 0 < fps <= 1000:
        raise UserError(f"--fps must be in (0, 1000], got {fps:g}")
    settings = RenderSettings(
        device=device,
        modalities=None if modalities is None else _modalities(modalities),
        scale=scale,
        max_memory=None if max_memory is None else gibibytes("--max-memory", max_memory),
    )
    options = TakeOptions(camera=camera, time=time, slow=slow, steadiness=steadiness, path=path, strict=strict or None)
    with ProgressLine() as line:
        if mode == "views":
            _refuse_options(options, fps)
            render_run(run, _reporter(line), settings)
            out = run / "render"
        else:
            warning = render_mode(run, mode, options, settings, fps, _reporter(line))
            out = run / mode
            if warning is not None:
                line.note(f"Warning: {warning}.")
    print(f"Rendered views: {out}")


def _reporter(line: "ProgressLine") -> Callable[[int, int], None]:
    return lambda done, total: line.show(f"rendered {done} of {total} views")


def _modalities(text: str) -> "tuple[Modality, ...]":
    from saff_fast.playback.modalities import MODALITIES

    names = [name.strip() for name in text.split(",")]
    found = tuple(name for name in MODALITIES if name in names)
    unknown = [name for name in names if name not in found]
    if unknown:
        raise UserError(f"--modalities must be among {', '.join(MODALITIES)}, got {', '.join(unknown)!r}")
    return found


def _refuse_options(options: object, fps: float | None) -> None:
    given = [name for name, value in {**vars(options), "fps": fps}.items() if value is not None]
    if given:
        raise UserError(f"--{given[0]} must be left out of mode views, which makes no video")
