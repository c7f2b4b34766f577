"""Pictures of a run from any camera at any time: rendered already, or rendered now."""

from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from saff_fast.playback.renderer import ShotRenderer
from saff_fast.playback.shot import shot_of
from saff_fast.segment.renders import Renders
from saff_fast.train.rendering import load_run


class NovelPictures:
    """The pictures of one run; the field is loaded when the first that is no file is asked for."""

    def __init__(self, run: Path, renders: Renders) -> None:
        self._run, self._renders = run, renders
        self._views = {(view.pose, view.time): view for view in renders.views}

    @cached_property
    def _renderer(self) -> ShotRenderer:
        return ShotRenderer(load_run(self._run))

    def __call__(self, pose: int, time: float) -> UInt8[ndarray, "height width 3"]:
        """What camera `pose` sees at `time`."""
        view = self._views.get((pose, time))
        if view is not None:
            return self._renders.rgb(view)
        renderer = self._renderer
        rgb = renderer.render(shot_of(renderer.model, pose, time), ("rgb",))["rgb"].cpu().numpy()
        return np.round(rgb * 255).astype(np.uint8)
