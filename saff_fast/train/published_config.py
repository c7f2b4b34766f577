"""The published objective's weights and schedule."""

import math
from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Moment:
    """When in a run a step is taken."""

    step: int
    progress: float
    """Share of the run that is done, 0 to 1."""


@dataclass(frozen=True)
class Phase:
    """What the published schedule says of a step (method section 6.2)."""

    masked: bool
    """Stage B: the renders of the dynamic field count where the joint render is dynamic, not everywhere."""
    chained: bool
    """Whether the picture is also rendered from two frames away."""
    direction: int
    """Where the five-frame chain leads in this step: -1 backwards, 1 forwards."""
    decay: float
    """Factor of the weights that decay: a tenth of the stage before."""


@dataclass(frozen=True, kw_only=True)
class PublishedLossConfig:
    """Options of the published losses, under their names; the defaults are those of SAFF's `_4` configurations."""

    w_render: float = 1.0
    """Colour; the published program has no option for it."""
    dino_coe: float = 0.04
    """Semantic features."""
    sal_coe: float = 0.04
    """Saliency."""
    w_prob_reg: float = 0.1
    """Small occlusion probabilities."""
    w_cycle: float = 1.0
    """Flow there and back."""
    w_sf_reg: float = 0.1
    """Small scene flow."""
    w_depth: float = 0.04
    """Depth prior."""
    w_optical_flow: float = 0.02
    """Projected scene flow against optical flow, in pixels."""
    w_sm: float = 0.1
    """Scene flow that is smooth in space and in time."""
    w_entropy: float = 1e-3
    """Static or dynamic, not half of each."""
    decay_depth: bool = True
    """Whether the depth weight decays (`decay_depth_w`)."""
    decay_optical_flow: bool = True
    """Whether the optical flow weight decays (`decay_optical_flow_w`)."""
    decay_extra: bool = False
    """Whether the weights of semantics and saliency decay."""
    depth_full: bool = False
    """Whether depth is that of the joint render, not of the dynamic field alone."""
    chain_sf: bool = True
    """Whether the picture is also rendered from two frames away, from the third stage on."""
    stage: float = 30 / 370
    """Length of a stage as a share of the run: `decay_iteration` of the published 370 thousand steps, D."""
    noise_std: float = 1.0
    """Standard deviation of the noise on densities in training, per length in NDC (`raw_noise_std`)."""
    literal: bool = False
    """Whether losses are what the published program computes where that is not what is meant (docs/losses.md)."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name, value in (self.weights | {"noise_std": self.noise_std}).items():
            if not 0 <= value < math.inf:
                raise ValueError(f"{name} must not be negative, got {value}")
        if not any(self.weights.values()):
            raise ValueError(
                f"one of {', '.join(self.weights)} must be above 0, got 0 for all: nothing would be trained"
            )
        if not 0 < self.stage <= 1:
            raise ValueError(f"stage must be in (0, 1], got {self.stage}")

    @property
    def weights(self) -> dict[str, float]:
        """All weights by name."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name.startswith("w_") or "_coe" in f.name}

    def phase(self, moment: Moment) -> Phase:
        """The phase of a step, a function of the moment alone, so that a resumed run needs no state."""
        stages = round(moment.progress / self.stage, 9)  # 30,000 of 370,000 steps are one stage, whatever is rounded
        return Phase(
            masked=stages > 1,
            chained=self.chain_sf and stages > 2,
            direction=1 if moment.step % 2 else -1,
            decay=10.0 ** -math.floor(stages),
        )
