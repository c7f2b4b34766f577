"""What the colours of a run's maps mean, from a look at some of its frames."""

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray

from saff_fast.playback.modalities import PictureScales
from saff_fast.playback.renderer import ShotRenderer
from saff_fast.playback.shot import shot_of
from saff_fast.render.colours import FeatureColours
from saff_fast.segment.labels import palette

_LOOKS = 4
_WIDTH = 96  # pixels


def picture_scales(renderer: ShotRenderer) -> PictureScales:
    """Scales for all pictures of the run, from small pictures of a few frames, so that videos do not flicker."""
    model = renderer.model
    scale = min(1.0, _WIDTH / model.cameras.width)
    frames = np.unique(np.linspace(0, model.n_frames - 1, _LOOKS).round().astype(int)).tolist()
    looks = [
        renderer.render(shot_of(model, frame, frame, scale), ("depth", "flow", "scene_flow", "semantic"))
        for frame in frames
    ]
    maps = {name: [look[name].cpu().numpy() for look in looks] for name in looks[0]}
    depths = np.concatenate([depth[np.isfinite(depth)] for depth in maps["depth"]])
    nearest, farthest = np.percentile(depths, [1, 99]).tolist() if depths.size else (1.0, 2.0)
    flows = [flow / flow.shape[1] for flow in maps["flow"]]
    return PictureScales(
        nearest=nearest,
        farthest=farthest,
        largest_flow=_largest(flows),
        largest_scene_flow=_largest(maps["scene_flow"]),
        features=FeatureColours.fit(maps["semantic"]) if maps["semantic"][0].shape[-1] >= 3 else None,
        palette=_palette(renderer),
    )


def _palette(renderer: ShotRenderer) -> UInt8[ndarray, "n_labels 3"]:
    return palette(1) if renderer.objects is None else renderer.objects.palette


def _largest(vectors: list[Float[ndarray, "h w c"]]) -> float:
    lengths = np.concatenate([np.linalg.norm(v, axis=-1).ravel() for v in vectors])
    return max(float(np.percentile(lengths, 99)), 1e-9)
