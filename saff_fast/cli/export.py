"""`saff-fast export`."""

from pathlib import Path
from typing import Annotated, Literal

import tyro

from saff_fast.errors import UserError

Kind = Literal["points", "masks", "overlays", "tracks", "depth", "cameras"]


def export(
    run: Annotated[Path, tyro.conf.arg(metavar="RUN")],
    kind: Annotated[Kind, tyro.conf.arg(metavar="KIND")],
    /,
    *,
    time: Annotated[int, tyro.conf.arg(metavar="FRAME")] = 0,
    scale: Annotated[float, tyro.conf.arg(metavar="X")] = 1.0,
    device: Literal["auto", "cpu", "cuda"] = "auto",
) -> None:
    """Write what other programs read, into RUN/export.

    Args:
        run: Run folder of `saff-fast train`; masks and overlays need `saff-fast segment`, too.
        kind: points (PLY of each frame), masks (COCO JSON and PNG), overlays (objects over the frames, and a video),
            tracks (npz and video), depth (16-bit PNG) or cameras (nerfstudio's transforms.json).
        time: Frame on whose surfaces tracks begin.
        scale: Size of the pictures that points, depth and tracks are taken from, relative to that of training.
        device: Where to render; auto is CUDA where it can be used.
    """
    from saff_fast.cli.progress import ProgressLine
    from saff_fast.playback.exports.cameras import export_cameras
    from saff_fast.playback.exports.masks import export_masks
    from saff_fast.playback.exports.overlays import export_overlays
    from saff_fast.playback.exports.surfaces import export_depth, export_points
    from saff_fast.playback.exports.tracks import export_tracks
    from saff_fast.playback.objects import ObjectModel
    from saff_fast.playback.settings import RenderSettings, open_renderer

    if not 0 < scale <= 100:
        raise UserError(f"--scale must be in (0, 100], got {scale:g}")
    out = run / "export"
    if kind in ("masks", "overlays"):
        print(f"Exported: {(export_masks if kind == 'masks' else export_overlays)(run, out)}")
        return
    labelled = kind == "points" and ObjectModel.exists(run)
    renderer = open_renderer(run, RenderSettings(device=device), ["labels"] if labelled else [])
    last = renderer.model.n_frames - 1
    if not 0 <= time <= last:
        raise UserError(f"--time must be in [0, {last}], the frames of the clip, got {time}")
    with ProgressLine() as line:

        def report(done: int, total: int) -> None:
            line.show(f"exported {done} of {total} frames")

        match kind:
            case "points":
                written = export_points(renderer, out, scale, report)
            case "tracks":
                written = export_tracks(renderer, out, time, scale, report)
            case "depth":
                written = export_depth(renderer, out, scale, report)
            case "cameras":
                written = export_cameras(renderer.model, out)
    print(f"Exported: {written}")
