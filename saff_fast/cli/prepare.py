"""`saff-fast prepare`."""

from pathlib import Path
from typing import Annotated

import tyro


def prepare(
    source: Annotated[Path, tyro.conf.arg(metavar="SRC")],
    scene: Annotated[Path, tyro.conf.arg(metavar="SCENE")],
    /,
    height: Annotated[int, tyro.conf.arg(metavar="PIXELS")] = 288,
    weights: Annotated[
        Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="(default: those found, see `saff-fast doctor`)")
    ] = None,
) -> None:
    """Turn pictures or a video into a scene: poses, depth, flow, motion masks, semantics.

    What an earlier run left there is kept as long as its inputs are the same.

    Args:
        source: Folder of images, frames in the order of their names, or a video file.
        scene: Scene folder to write.
        height: Height of the training images [pixels]; the width follows.
        weights: DINO ViT-S/8 weights, for semantics and saliency.
    """
    from saff_fast.preparation import prepare as run_prepare

    report = run_prepare(source, scene, height=height, weights=weights)
    print(f"Scene: {scene}, {report.n_frames} frames, mean reprojection error {report.reprojection_error:.2f} px")
