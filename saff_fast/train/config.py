"""The whole configuration of a run; presets in `configs/` say what differs from these defaults."""

import dataclasses
from dataclasses import dataclass
from typing import Literal

from saff_fast.backends import BackendConfig, Device
from saff_fast.fields.scene_field import FieldConfig
from saff_fast.render.occupancy import OccupancyConfig
from saff_fast.train.published_config import PublishedLossConfig


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """Weights of the robust objective's losses (method section 5, symbols of NSFF)."""

    semantic: float = 0.04
    """Semantic features, in every render that has a colour loss (`dino_coe`)."""
    saliency: float = 0.04
    """Saliency, likewise (`sal_coe`)."""
    static: float = 1.0
    """Colour of the static field alone, at pixels that it can explain."""
    static_doubtful: float = 0.1
    """The same where motion was seen: what is behind movers, too, must be learned from somewhere."""
    static_opaque: float = 0.1
    """Transparency of the static field alone, wherever one looks."""
    static_spread: float = 0.03
    """Spread of the static field alone along a ray, in ray parameters `t`."""
    dynamic: float = 1.0
    """Renders of the dynamic field alone, at pixels that move."""
    warp: float = 1.0
    """Renders through scene flow to both neighbours, at pixels that move."""
    depth: float = 0.5
    """Depth prior, on the joint and on the dynamic render; decays to `depth_end` of itself."""
    depth_end: float = 0.05
    """What is left of the depth weight at the end of the run."""
    optical_flow: float = 2.0
    """Projected scene flow against optical flow, in image widths."""
    occlusion: float = 0.02
    """Keeps occlusion probabilities small (`w_prob_reg`)."""
    cycle: float = 1.0
    """Flow there and back (`w_cycle`)."""
    pull_back: float = 0.1
    """Distance to the unit cube of what scene flow carries out of it, in cube lengths."""
    flow_magnitude: float = 0.01
    """Small scene flow (`w_sf_reg`)."""
    flow_smoothness: float = 0.1
    """Equal flow of neighbouring samples (`w_sm`)."""
    kinetic: float = 0.1
    """Small acceleration (`w_sm`)."""
    blend_entropy: float = 0.001
    """Static or dynamic, not half of each (`w_entropy`)."""
    motion_missing: float = 0.1
    """Dynamic share missing where motion was seen."""
    motion_present: float = 0.05
    """Dynamic share beyond `motion_free` where no motion was seen, and the static field or depth prior is trusted."""
    motion_unfounded: float = 0.06
    """Blend beyond `motion_free` of what is seen where no motion was."""
    motion_free: float = 0.3
    """Dynamic share that costs nothing where no motion was seen, in [0, 1): what sways in the wind changes, too."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not 0 <= self.motion_free < 1:
            raise ValueError(f"motion_free must be in [0, 1), got {self.motion_free}")


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Batches, schedule, bookkeeping."""

    height: int = 144
    """Image height to train at, in pixels."""
    steps: int = 1500
    """Training steps."""
    rays: int = 3072
    """Rays a step."""
    moving_rays: int = 768
    """How many of them are drawn where motion is likely; they alone carry the scene-flow losses."""
    detail_share: float = 0.5
    """Share of the other rays that is drawn in proportion to the detail of the picture around them; the rest is drawn
    evenly."""
    learning_rate: float = 1e-2
    """Adam's step size at the start; the published networks have their own (`field.reference.learning_rate`)."""
    learning_rate_end: float = 0.15
    """What is left of it at the end of the run."""
    warmup_steps: int = 20
    """Steps over which the step size grows to its start; 0 for none."""
    adam_betas: tuple[float, float] = (0.9, 0.99)
    """Adam's decay of its mean gradient and of its mean square, each in [0, 1)."""
    adam_eps: float = 1e-15
    """Adam's epsilon, as in Instant-NGP, section 4: table entries see tiny gradients."""
    sweep_every: int = 50
    """Steps between sweeps, in which the occupancy grid looks at every trained frame; twice that after ten times as
    many steps."""
    first_sweep: int = 100
    """The first of them: cells are not dropped before the field has formed."""
    sweep_rays: int = 3000
    """Rays of each frame in a sweep."""
    textures: bool = True
    """Whether a finished run keeps what trained frames show of surfaces: other views then show it, too."""
    checkpoint_every: int = 250
    """Steps between checkpoints."""
    log_every: int = 25
    """Steps between entries of metrics.jsonl."""
    preview_every: int = 500
    """Steps between pictures in preview/, whose time does not count as training; 0 makes none."""
    time_budget: float = 0.0
    """Seconds to train for, over all sessions, in place of `steps`; 0 trains `steps`. The outcome then depends on how
    fast the machine is."""
    max_memory: float = 0.0
    """GiB that each process may use, on CUDA those of its device; steps have fewer rays if need be. 0 sets no bound."""
    device: Device = "auto"
    """Where to train; `auto` is CUDA where it can be used. Batches and initial values are the same everywhere."""
    seed: int = 0
    """Seed of initial values and batches."""
    hold_out: tuple[int, ...] = ()
    """Frames that are not trained on."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.steps < 1:
            raise ValueError(f"steps must be at least 1, got {self.steps}")
        if not 0 <= self.moving_rays < self.rays:
            raise ValueError(f"moving_rays must be in [0, rays), got {self.moving_rays} of {self.rays}")
        if not 0 <= self.detail_share <= 1:
            raise ValueError(f"detail_share must be in [0, 1], got {self.detail_share}")
        if not 16 <= self.height <= 4320:
            raise ValueError(f"height must be in [16, 4320], got {self.height}")
        if self.warmup_steps < 0:
            raise ValueError(f"warmup_steps must not be negative, got {self.warmup_steps}")
        if not all(0 <= beta < 1 for beta in self.adam_betas):
            raise ValueError(f"adam_betas must be in [0, 1), got {self.adam_betas}")
        if not self.adam_eps > 0:
            raise ValueError(f"adam_eps must be positive, got {self.adam_eps}")
        for name in ("sweep_every", "sweep_rays", "checkpoint_every", "log_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("preview_every", "time_budget", "max_memory"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"{name} must be 0 or more, got {getattr(self, name)}")
        if self.seed < 0:
            raise ValueError(f"seed must not be negative, got {self.seed}")


@dataclass(frozen=True, kw_only=True)
class ExperimentConfig:
    """Everything that decides what a run computes."""

    train: TrainConfig = dataclasses.field(default_factory=TrainConfig)
    field: FieldConfig = dataclasses.field(default_factory=FieldConfig)
    occupancy: OccupancyConfig = dataclasses.field(default_factory=OccupancyConfig)
    objective: Literal["robust", "published"] = "robust"
    """Which losses are trained: those of `loss`, or those of `published` (docs/losses.md)."""
    loss: LossConfig = dataclasses.field(default_factory=LossConfig)
    published: PublishedLossConfig = dataclasses.field(default_factory=PublishedLossConfig)
    backend: BackendConfig = dataclasses.field(default_factory=BackendConfig)

    def __post_init__(self) -> None:
        """Check what sections ask of one another."""
        dynamic, static = self.field.dynamic, self.field.static
        alike = dynamic.time_axis == "shared" and all(
            grid.finest_depth >= grid.finest_resolution for grid in (dynamic, static)
        )
        if self.backend.encoding == "tcnn" and not alike:
            raise ValueError(
                "backend.encoding = 'tcnn' needs field.dynamic.time_axis = 'shared' and no finest_depth of "
                f"field.static or field.dynamic below finest_resolution, got {dynamic.time_axis!r}, "
                f"{static.finest_depth} of {static.finest_resolution} and {dynamic.finest_depth} of "
                f"{dynamic.finest_resolution}: all axes of tiny-cuda-nn's grids grow alike"
            )
