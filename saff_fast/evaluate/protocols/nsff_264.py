"""The `nsff-264` protocol: every time from every camera of the rig that did not take it (method/03, section 7.1).

24 times and 12 cameras make 264 pictures. NSFF's own script takes the PSNR of the dynamic region over all its channels
and SSIM with a data range of 2; here the range is 1.
"""

from typing import Any

from saff_fast.errors import UserError
from saff_fast.evaluate.image_metrics import psnr, ssim
from saff_fast.evaluate.novel_pictures import NovelPictures
from saff_fast.evaluate.protocols.protocol import Protocol
from saff_fast.evaluate.rig import RIG_SIZE
from saff_fast.evaluate.subject import Subject
from saff_fast.evaluate.tally import Tally
from saff_fast.segment.renders import View

SPLIT = "novel"


def nsff_views(n_frames: int) -> tuple[View, ...]:
    """The pictures to score: of each time all cameras but the one that took it, which is that of time mod 12."""
    cameras = min(RIG_SIZE, n_frames)
    pairs = [(time, pose) for time in range(n_frames) for pose in range(cameras) if pose != time % RIG_SIZE]
    return tuple(View(number, SPLIT, pose, time) for number, (time, pose) in enumerate(pairs))


def score(subject: Subject) -> dict[str, Any]:
    """Means over the pictures: PSNR and SSIM, whole and of the dynamic region of the rig's masks.

    Raises:
        UserError: if the scene lacks one of the rig's pictures.
    """
    pictures, tally = NovelPictures(subject.run, subject.renders), Tally()
    for view in nsff_views(subject.renders.n_frames):
        truth, moving = subject.truth.picture(view), subject.truth.rig_moving(view)
        if truth is None:
            raise UserError(
                f"{subject.renders.scene} must have what every camera of the rig saw (mv_images/00000/cam01.jpg, ...) "
                f"for protocol nsff-264, but lacks camera {view.pose + 1} at time {int(view.time)}."
            )
        rgb = pictures(view.pose, view.time)
        scores = {"psnr": psnr(rgb, truth), "ssim": ssim(rgb, truth)} | subject.lpips("lpips", rgb, truth)
        if moving is not None:
            scores |= {"dynamic_psnr": psnr(rgb, truth, moving), "dynamic_ssim": ssim(rgb, truth, moving)}
            scores |= subject.lpips("dynamic_lpips", rgb, truth, moving)
        tally.add(view, scores)
    return {"splits": tally.means(), **subject.absent(), **tally.results(subject.options.seed)}


PROTOCOL = Protocol("nsff-264", "24 times from the 11 other cameras: likeness, whole and of what moves", score)
