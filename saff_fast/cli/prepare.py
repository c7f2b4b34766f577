"""`saff-fast prepare`."""

from pathlib import Path
from typing import Annotated

import tyro

from saff_fast.cli.progress import ProgressLine, describe_stage


def prepare(
    source: Annotated[Path, tyro.conf.arg(metavar="SRC")],
    scene: Annotated[Path, tyro.conf.arg(metavar="SCENE")],
    /,
    height: Annotated[int, tyro.conf.arg(metavar="PIXELS")] = 288,
    weights: Annotated[
        Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="(default: those found, see `saff-fast doctor`)")
    ] = None,
    redo: Annotated[tuple[str, ...], tyro.conf.arg(metavar="STEP"), tyro.conf.UseAppendAction] = (),
    report: bool = False,
) -> None:
    """Turn pictures or a video into a scene: poses, depth, flow, motion masks, semantics.

    What an earlier run left there is kept as long as its inputs are the same.

    Args:
        source: Folder of images, frames in the order of their names, or a video file.
        scene: Scene folder to write.
        height: Height of the training images [pixels]; the width follows.
        weights: DINO ViT-S/8 weights, for semantics and saliency.
        redo: Run a step again: cameras, images, flow, motion, depth, semantics or saliency. Those that read what it
            writes follow if that comes out differently. May be given several times.
        report: Write SCENE/report.html, a page that shows every prior of every frame.
    """
    from saff_fast.preparation import Execution
    from saff_fast.preparation import prepare as run_prepare

    with ProgressLine() as line:
        execution = Execution(redo=redo, on_progress=lambda progress: line.show(describe_stage(progress)))
        found = run_prepare(source, scene, height=height, weights=weights, execution=execution)
    print(f"Scene: {scene}, {found.n_frames} frames, mean reprojection error {found.reprojection_error:.2f} px")
    if report:
        from saff_fast.report.page import write_report

        print(f"Report: {write_report(scene)}")
