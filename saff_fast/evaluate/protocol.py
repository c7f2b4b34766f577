"""Which views of the 60-view protocol are scored, what their truth is called, and the protocols' names."""

from saff_fast.segment.renders import View

SPLITS = ("input", "fix_cam0", "fix_time0")
"""Input views; camera 0 at all times; time 0 from the other cameras."""
PROTOCOLS = ("saff-clean", "holdout", "page-codec")
"""`saff-clean`: the three splits with integer labels and without views that repeat an input view. `holdout`: frames
that training did not see, at their own poses and times. `page-codec`: ten training views after the video codec of the
published renders."""
DEFAULT_PROTOCOL = "saff-clean"
RIG_SIZE = 12
"""Cameras of the rig: frame t was taken by camera t mod 12. Knowledge of the protocol's data, for evaluation only."""
_PUBLISHED_NAMES = {"input": "training", "fix_cam0": "nv_spatial", "fix_time0": "nv_static"}


def is_scored(view: View) -> bool:
    """Whether a view counts: every input view, and novel views that show no input view again.

    Camera 0 took every 12th frame, so pose 0 at times 0, 12, ... repeats an input view, as does pose 0 at time 0.
    """
    if view.split == "fix_cam0":
        return view.time % RIG_SIZE != 0
    return view.split != "fix_time0" or view.pose % RIG_SIZE != 0


def rig_camera(view: View) -> int:
    """Number of the rig camera, from 1, at the pose of a view."""
    return view.pose % RIG_SIZE + 1


def mask_file_names(view: View) -> tuple[str, ...]:
    """Names that a truth mask of the view may have: the published one, padded with a space, and plain ones."""
    published = _PUBLISHED_NAMES.get(view.split, view.split)
    return tuple(f"{published}_{number}.png" for number in (f"{view.id:2d}", f"{view.id:02d}", f"{view.id}"))
