"""Small views of some frames, kept in memory: what objects are found in again while somebody waits."""

from dataclasses import dataclass, field, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from saff_fast.playback.objects import ObjectModel
from saff_fast.playback.renderer import Maps, ShotRenderer
from saff_fast.playback.shot import shot_of
from saff_fast.segment.clusters import Clusters, fit_clusters
from saff_fast.segment.config import SegmentConfig
from saff_fast.segment.kmeans import KMeansConfig
from saff_fast.segment.objects import find_objects
from saff_fast.segment.renders import View

_MOST_FRAMES = 12
_WIDTH = 96
_SAMPLED = 3
"""One pixel in this many is clustered."""


@dataclass(frozen=True)
class Survey:
    """Maps of some trained frames (`segment.renders.ViewMaps`), at the size of a stamp."""

    height: int
    width: int
    views: tuple[View, ...]
    maps: dict[int, Maps]
    """By view id: semantic, saliency, blend."""
    _clusters: dict[int, Clusters] = field(default_factory=dict)

    @staticmethod
    def of(renderer: ShotRenderer) -> "Survey":
        """Rendered from a run."""
        model = renderer.model
        trained = [frame for frame in range(model.n_frames) if frame not in model.held_out]
        frames = sorted({trained[i] for i in np.linspace(0, len(trained) - 1, _MOST_FRAMES).round().astype(int)})
        scale, bare = min(1.0, _WIDTH / model.cameras.width), replace(renderer, objects=None)
        maps = {}
        for frame in frames:
            found = bare.render(shot_of(model, frame, frame, scale), ("semantic", "saliency", "blend"))
            maps[frame] = {name: values.cpu() for name, values in found.items()}
        height, width = next(iter(maps.values()))["blend"].shape
        return Survey(height, width, tuple(View(f, "input", f, f) for f in frames), maps)

    def semantics(self, view: View) -> Float[Tensor, "height width n_semantic"]:
        """Rendered semantic features, not normalised."""
        return self.maps[view.id]["semantic"]

    def grey(self, view: View, kind: str) -> Float[Tensor, "height width"]:
        """`blend` or `sal`, in [0, 1]."""
        return self.maps[view.id][{"sal": "saliency", "blend": "blend"}[kind]].clamp(0, 1)

    def dynamic(self, view: View) -> Float[Tensor, "height width"]:
        """Dynamic share of each pixel, in [0, 1]."""
        return self.grey(view, "blend")

    def moving(self, view: View) -> Float[Tensor, "height width"]:
        """Evidence that each pixel moves: its dynamic share."""
        return self.dynamic(view)

    @property
    def features(self) -> Float[Tensor, "n d"]:
        """Semantics of all pixels of all views."""
        return torch.cat([self.semantics(view).flatten(0, 1) for view in self.views])

    def objects(self, n_clusters: int, threshold: float) -> ObjectModel:
        """The objects that so many clusters have, of which those whose moving saliency exceeds `threshold` are elected.

        Clusters are found once for each number.
        """
        config = SegmentConfig(
            device="cpu",
            kmeans=KMeansConfig(n_init=2, n_iter=30),
            n_clusters=n_clusters,
            sample_interval=_SAMPLED,
            vote_threshold=threshold,
            relative_threshold=0.0,
        )
        views = list(self.views)
        if n_clusters not in self._clusters:
            self._clusters[n_clusters] = fit_clusters(self, views, config)
        clusters = self._clusters[n_clusters]
        labels = {view.id: clusters.nearest(self, view) for view in views}
        found = find_objects(self, views, labels, clusters, config)
        object_of = torch.where(found.ids <= found.n_objects, found.ids, 0)
        return ObjectModel(clusters.prototypes, clusters.unit, object_of)
