"""The 60-view protocol: which of its views are scored, and what their truth is called."""

from saff_fast.segment.renders import View

SPLITS = ("input", "fix_cam0", "fix_time0")
"""Input views; camera 0 at all times; time 0 from the other cameras."""
RIG_SIZE = 12
"""Cameras of the rig: frame t was taken by camera t mod 12. Knowledge of the protocol's data, for evaluation only."""
PUBLISHED_SPLITS = {"input": "training", "fix_cam0": "nv_spatial", "fix_time0": "nv_static"}
"""What the published files call the splits: `nv_spatial` has a fixed camera, `nv_static` a fixed time."""


def is_scored(view: View) -> bool:
    """Whether a view counts: every input view, and novel views that show no input view again.

    Camera 0 took every 12th frame, so pose 0 at times 0, 12, ... repeats an input view, as does pose 0 at time 0.
    """
    if view.split == "fix_cam0":
        return view.time % RIG_SIZE != 0
    return view.split != "fix_time0" or view.pose % RIG_SIZE != 0


def is_scored_as_published(view: View) -> bool:
    """Whether the published scripts score a view: all but the first of each novel split."""
    return view.split == "input" or (view.split in SPLITS and (view.pose, view.time) != (0, 0))


def rig_camera(pose: int) -> int:
    """Number of the rig camera, from 1, at a pose."""
    return pose % RIG_SIZE + 1


def mask_file_names(view: View) -> tuple[str, ...]:
    """Names that a truth mask of the view may have: the published one, padded with a space, and plain ones."""
    published = PUBLISHED_SPLITS.get(view.split, view.split)
    numbers = (f"{view.id:2d}", f"{view.id:02d}", f"{view.id}")
    return (*(f"{published}_{number}.png" for number in numbers), f"{view.id:05d}.png", f"{view.id}.png")
