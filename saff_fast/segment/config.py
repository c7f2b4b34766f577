"""Settings of the segmentation."""

from dataclasses import dataclass, field
from typing import Literal

from saff_fast.backends import Device
from saff_fast.segment.kmeans import KMeansConfig

Evidence = Literal["saliency", "motion", "moving_saliency"]


@dataclass(frozen=True, kw_only=True)
class SegmentConfig:
    """From rendered semantics to objects."""

    device: Device = "auto"
    """Where k-means runs; `auto` is CUDA where it can be used."""
    kmeans: KMeansConfig = field(default_factory=KMeansConfig)
    """How each k-means runs."""
    sample_interval: int = 1
    """One pixel in this many is clustered (published: 5)."""
    sample: Literal["random", "every"] = "random"
    """Whether these are drawn at random in each view, or every so many-th of all views in a row (published)."""
    n_refits: int = 3
    """Rounds in which all pixels go to the nearest mean of un-normalised features and the means are taken again. Unit
    vectors let strong features spill over weak ones at edges; 0 assigns unit vectors (published)."""
    elbow_ratio: float = 0.975
    """The search for k stops when an objective exceeds this share of the previous one."""
    k_max: int = 24
    """Largest number of clusters."""
    n_clusters: int = 0
    """Number of clusters; 0 searches for it by the elbow rule (published)."""
    merge_cosine: float = 0.5
    """Clusters whose centroids have a larger cosine are one; 1 merges nothing."""
    vote_first: bool = True
    """Vote on the clusters and merge only those of one outcome, so that no object dissolves in a background cluster
    (published: merge, then vote)."""
    evidence: Evidence = "moving_saliency"
    """What a view votes by: rendered saliency (published), motion (rendered dynamic share or the motion seen in the
    frame), or their product, which leaves out what is salient but never moves."""
    vote_threshold: float = 0.07
    """Mean evidence over a label's pixels above which a view votes for it (published)."""
    relative_threshold: float = 0.2
    """That evidence must also exceed this share of the strongest label's mean; 0 leaves it out (published)."""
    quorum: float = 0.3
    """Share of the views that must vote for a label (published: 0.7, so what moves in half of the clip was lost)."""
    quorum_of: Literal["seen", "all"] = "seen"
    """Whether it is a share of the views in which the label occurs, or of all views (published)."""
    oracle_share: float = 0.3
    """Where true foreground decides in place of votes: the share of a label's pixels that must be in it (published)."""
    min_label_share: float = 0.0005
    """A label occurs in a view when it has at least this share of the pixels (published: any)."""
    rim_dynamic: float = 0.3
    """Object pixels that move less than this, relative to the dynamic share that a fifth of the most dynamic object
    exceeds, leave where they connect to the background, and so do objects that are but the rim of others; 0 keeps all
    (published)."""
    claim_dynamic: float = 0.5
    """Background pixels that move more than this, relative to the same, are of the object whose semantics are nearest:
    a small mover may share a cluster with what stands still. 0 leaves them, as an oracle and
    `evidence = "saliency"` do."""
    companion_quorum: float = 0.7
    """What stands still belongs to an object that it touches, at its depth and in front of what is beside it, in this
    share of the views that see it; 0 leaves companions out (published)."""
    min_component: float = 0.001
    """Connected pieces of the foreground, and holes in it, below this share of the pixels are removed;
    0 keeps all (published)."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in ("elbow_ratio", "quorum"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"{name} must be in (0, 1], got {getattr(self, name)}")
        for name in (
            "vote_threshold",
            "relative_threshold",
            "oracle_share",
            "min_label_share",
            "rim_dynamic",
            "claim_dynamic",
            "companion_quorum",
            "min_component",
        ):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be in [0, 1], got {getattr(self, name)}")
        for name in ("sample_interval", "k_max"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not -1 <= self.merge_cosine <= 1:
            raise ValueError(f"merge_cosine must be in [-1, 1], got {self.merge_cosine}")
        for name in ("n_refits", "n_clusters"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")


PUBLISHED = SegmentConfig(
    kmeans=KMeansConfig(n_init=10, n_iter=300, tolerance=0.0, max_points_per_centroid=256, seed=1234, starts="random"),
    sample_interval=5,
    sample="every",
    n_refits=0,
    elbow_ratio=0.975,
    k_max=24,
    merge_cosine=0.5,
    vote_first=False,
    evidence="saliency",
    vote_threshold=0.07,
    relative_threshold=0.0,
    quorum=0.7,
    quorum_of="all",
    min_label_share=0.0,
    rim_dynamic=0.0,
    claim_dynamic=0.0,
    companion_quorum=0.0,
    min_component=0.0,
)
"""The published settings, seeds and subsampling rules; the elbow's objective is over the sampled pixels."""
