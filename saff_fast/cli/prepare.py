"""`saff-fast prepare`."""

from pathlib import Path
from typing import Annotated

import tyro

from saff_fast.cli.progress import ProgressLine, describe_stage

_ALL = "(default: all)"
_FOUND = "(default: those found, see `saff-fast doctor`)"


def prepare(
    source: Annotated[Path, tyro.conf.arg(metavar="INPUT")],
    scene: Annotated[Path, tyro.conf.arg(metavar="SCENE")],
    /,
    fps: Annotated[float | None, tyro.conf.arg(metavar="RATE", help_behavior_hint=_ALL)] = None,
    start: Annotated[float | None, tyro.conf.arg(metavar="TIME", help_behavior_hint="(default: the first)")] = None,
    end: Annotated[float | None, tyro.conf.arg(metavar="TIME", help_behavior_hint="(default: the last)")] = None,
    max_frames: Annotated[int | None, tyro.conf.arg(metavar="INT", help_behavior_hint=_ALL)] = None,
    height: Annotated[int, tyro.conf.arg(metavar="PIXELS")] = 288,
    features: Annotated[
        str | None, tyro.conf.arg(metavar="NAME", help_behavior_hint="(default: DINO ViT-S/8 if found)")
    ] = None,
    weights: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint=_FOUND)] = None,
    parity: bool = False,
    flow_weights: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint=_FOUND)] = None,
    depth_weights: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint=_FOUND)] = None,
    masks: Annotated[Path | None, tyro.conf.arg(metavar="DIR", help_behavior_hint="(default: none)")] = None,
    redo: Annotated[tuple[str, ...], tyro.conf.arg(metavar="STEP"), tyro.conf.UseAppendAction] = (),
    report: bool = False,
) -> None:
    """Turn a video, pictures or a capture into a scene: poses, depth, flow, motion masks, semantics.

    What an earlier run left there is kept as long as its inputs are the same.

    Args:
        source: Video file; folder of images in the order of their names; nerfstudio's transforms.json; or a folder
            with a COLMAP model, a Nerfies or DyCheck capture, or the published scene layout, whose priors are kept.
        scene: Scene folder to write.
        fps: Frames taken of a video [a second].
        start: First frame: seconds of a video, the number of a picture from 0.
        end: Where to stop, itself left out: seconds of a video, the number of a picture.
        max_frames: At most so many frames, spread evenly over the range.
        height: Height of the training images [pixels]; the width follows.
        features: Network for semantics: dino_vits8, dinov2_vits14, dinov3_vits16 or timm's name of a ViT.
        weights: Its weights.
        parity: Semantics exactly as in the published code, with its quirks; needs DINO ViT-S/8.
        flow_weights: Weights of RAFT; without them flow is by DIS.
        depth_weights: Weights of Depth Anything V2 small or MiDaS; without them depth is triangulated.
        masks: Masks of what moves (PNG, not black where it does) for all frames or some, named like the pictures, or
            like those in SCENE/images for a video. They take the place of what is found.
        redo: Run a step again: cameras, images, flow, motion, depth, semantics or saliency. Those that read what it
            writes follow if that comes out differently. May be given several times.
        report: Write SCENE/report.html, a page that shows every prior of every frame.
    """
    from saff_fast.capture.selection import Selection
    from saff_fast.preparation import Execution
    from saff_fast.preparation import prepare as run_prepare
    from saff_fast.priors.networks.choice import Networks

    networks = Networks(features, weights, parity, flow_weights, depth_weights)
    selection = Selection(fps, start, end, max_frames)
    with ProgressLine() as line:
        execution = Execution(redo=redo, on_progress=lambda progress: line.show(describe_stage(progress)))
        found = run_prepare(
            source, scene, height=height, networks=networks, selection=selection, masks=masks, execution=execution
        )
    print(f"Scene: {scene}, {found.n_frames} frames, mean reprojection error {found.reprojection_error:.2f} px")
    if report:
        from saff_fast.report.page import write_report

        print(f"Report: {write_report(scene)}")
