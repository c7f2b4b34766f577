"""One view of a model, as tests look at it."""

from types import SimpleNamespace

from saff_fast.playback.modalities import MODALITIES
from saff_fast.playback.renderer import ShotRenderer
from saff_fast.playback.shot import shot_of

EVERYTHING = [name for name in MODALITIES if name != "labels"]


def view_of(model, pose, time):
    """All maps that need no segmentation, as attributes."""
    return SimpleNamespace(**ShotRenderer(model).render(shot_of(model, pose, time), EVERYTHING))
