"""Occupancy in space and time: which cells a ray of a frame has to look at."""

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from saff_fast.ops import OccupancyBits, march_round, pack_occupancy
from saff_fast.render.marchers import MARCHERS, MarcherName
from saff_fast.types import PackedSamples, Rays

_USUAL_STEPS = 128
"""Marching steps for which thresholds are given. The same haze has half the weight in steps half as long."""
_SETTLED = 0.5
"""Share of the thresholds above which a cell counts as seen when its neighbours are given up: no view loses by it,
and a quarter of the samples are spared."""


@dataclass(frozen=True)
class SeenSamples:
    """Samples of rendered rays and what they contributed."""

    positions: Float[Tensor, "n 3"]
    weights: Float[Tensor, " n"]


@dataclass(frozen=True, kw_only=True)
class OccupancyConfig:
    """Occupancy grid and marching."""

    resolution: int = 64
    """Cells along each axis of the unit cube."""
    n_steps: int = 128
    """Marching steps between the near and the far end of a ray."""
    static_threshold: float = 0.01
    """Weight in a ray, of a 128th of it, below which a static cell counts as empty or hidden."""
    dynamic_threshold: float = 0.03
    """The same of a dynamic cell; larger, since a trace of blend lingers on all that is static."""
    decay: float = 0.5
    """What is left of a cell's remembered weight at each sweep."""
    initial_weight: float = 0.07
    """Remembered weight before the first sweep: in how many sweeps a cell must go unseen to be dropped."""
    prior_band: float = 0.12
    """Relative error of the depth prior at full confidence: half the thickness of the shell that starts occupied."""
    doubtful_band: float = 0.6
    """The same where the prior has no confidence."""
    marcher: MarcherName = "auto"
    """Backend of marching; nerfacc runs on CUDA only."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not 8 <= self.resolution <= 256:
            raise ValueError(f"resolution must be in [8, 256], got {self.resolution}")
        if not 8 <= self.n_steps <= 1024:
            raise ValueError(f"n_steps must be in [8, 1024], got {self.n_steps}")
        if self.marcher not in MARCHERS:
            raise ValueError(f"marcher must be one of {', '.join(MARCHERS)}, got {self.marcher}")


class OccupancyGrid(nn.Module):
    """Static bits, and dynamic bits sliced by frame.

    A ray of frame k marches through static or dynamic[k] cells; a union over all times would spend most samples on
    where things have been. The grid starts as a shell around the depth prior (`seed`), its *candidates*. From time to
    time a sweep renders every trained frame and each cell remembers the largest weight that it had in any ray
    (`observe_*`); cells that are empty, or hidden behind something opaque, fade and are dropped; a static cell counts
    as hidden only behind what is static, since movers leave. Memory fades slowly and neighbours of seen cells stay, so
    no cell is lost because rays happened to miss it, and surfaces can still move.

    At times without a training frame the dynamic field is only known where scene flow led to it: those slices hold
    exactly the cells that they were told of (`observe_untrained`), without the neighbours, which nothing has shaped.
    """

    learns = True
    jitter_shape = ()
    rays_at_once = 1 << 14
    bytes_per_sample = 1 << 10

    trained: Tensor
    static_candidates: Tensor
    dynamic_candidates: Tensor
    static_weight: Tensor
    dynamic_weight: Tensor
    static_bits: Tensor
    dynamic_bits: Tensor
    coarse_bits: Tensor

    def __init__(self, config: OccupancyConfig, n_frames: int) -> None:
        super().__init__()
        self.config = config
        self.n_frames = n_frames
        n = config.resolution
        remembered = torch.full((n_frames, n**3), config.initial_weight, dtype=torch.float16)
        self.register_buffer("trained", torch.ones(n_frames, dtype=torch.bool))
        self.register_buffer("static_candidates", torch.ones(n, n, n, dtype=torch.bool))
        self.register_buffer("dynamic_candidates", torch.ones(n_frames, n, n, n, dtype=torch.bool))
        self.register_buffer("static_weight", torch.full((n**3,), config.initial_weight))
        self.register_buffer("dynamic_weight", remembered)
        self.refresh()

    def seed(
        self,
        static: Bool[Tensor, "x y z"],
        dynamic: Bool[Tensor, "n_frames x y z"],
        trained: Bool[Tensor, " n_frames"],
    ) -> None:
        """Start from these cells; all others stay empty. Frames that are not `trained` start empty."""
        self.static_candidates.copy_(static)
        self.dynamic_candidates.copy_(dynamic)
        self.trained.copy_(trained)
        self.dynamic_weight[~trained] = 0
        self.refresh()

    def march(
        self, rays: Rays, jitter: Float[Tensor, " n_rays"] | None, capacity: tuple[int, int] | None = None
    ) -> PackedSamples:
        """Samples of the rays in occupied cells; `capacity` as for the native marcher, the only one that takes it."""
        march, frames = MARCHERS[self.config.marcher], rays.frames.round().long()
        limits = () if capacity is None else (capacity,)
        return march(rays.origins, rays.directions, frames, self.bits, self.config.n_steps, jitter, *limits)

    def march_at(self, rays: Rays, time: float) -> PackedSamples:
        """Samples of rays that all look at `time`: between two frames, in cells that are occupied in either."""
        march = MARCHERS[self.config.marcher]
        return march(rays.origins, rays.directions, _only_slice(rays), self._bits_at(time), self.config.n_steps, None)

    def march_round_at(
        self, rays: Rays, time: float, first_steps: Int[Tensor, " n_rays"], max_samples: int
    ) -> tuple[PackedSamples, Int[Tensor, " n_rays"]]:
        """The next of the samples of `march_at`, at most `max_samples` a ray, and the step where each ray goes on."""
        frames, n_steps = _only_slice(rays), self.config.n_steps
        return march_round(
            rays.origins, rays.directions, frames, self._bits_at(time), n_steps, first_steps, max_samples
        )

    @property
    def n_steps(self) -> int:
        """Marching steps of a ray."""
        return self.config.n_steps

    @property
    def round_samples(self) -> int:
        """All samples of a ray: what is hidden behind something opaque is hardly ever occupied (about a seventh)."""
        return self.config.n_steps

    @property
    def takes_capacity(self) -> bool:
        """Whether `march` takes one."""
        return self.config.marcher != "nerfacc"

    @property
    def bits(self) -> OccupancyBits:
        """The occupied cells."""
        n = self.config.resolution
        return OccupancyBits(self.static_bits, self.dynamic_bits, self.coarse_bits, (n, n, n))

    def _bits_at(self, time: float) -> OccupancyBits:
        """The occupied cells as if there were one frame: that at `time`, or both that it lies between."""
        bits, last = self.bits, self.n_frames - 1
        before, after = (min(max(whole(time), 0), last) for whole in (math.floor, math.ceil))
        return replace(
            bits,
            dynamic_bits=bits.dynamic_bits[before : before + 1] | bits.dynamic_bits[after : after + 1],
            coarse_bits=bits.coarse_bits[before : before + 1] | bits.coarse_bits[after : after + 1],
        )

    def forget(self) -> None:
        """Let every cell's memory fade; to be followed by `observe_*` for each trained frame, and by `refresh`."""
        self.static_weight *= self.config.decay
        self.dynamic_weight *= self.config.decay

    def forget_all(self) -> None:
        """Remember nothing of trained frames; to be followed as `forget` is, by `refresh` or by `settle`."""
        self.static_weight.zero_()
        self.dynamic_weight[self.trained] = 0

    def settle(self) -> None:
        """Give up all cells but those that are seen, for good; what is `extend_static`ed later comes on top."""
        static, moving = self._seen(_SETTLED)
        self.static_candidates &= static
        self.dynamic_candidates[self.trained] &= moving[self.trained]
        self.refresh()

    def observe_static(self, samples: SeenSamples) -> None:
        """Remember the largest weight that a static cell had in any ray."""
        self._remember(self.static_weight, samples)

    def observe_dynamic(self, frame: int, samples: SeenSamples) -> None:
        """Remember the largest weight that a dynamic cell had at the time of `frame`."""
        self._remember(self.dynamic_weight[frame], samples)

    def observe_untrained(self, frame: int, samples: SeenSamples) -> None:
        """Make the slice of a time without a training frame from nothing but these samples."""
        self.dynamic_weight[frame] = 0
        self.observe_dynamic(frame, samples)

    def extend_static(self, cells: Bool[Tensor, "x y z"]) -> None:
        """Occupy these static cells, too, whatever was seen."""
        self.static_candidates |= cells
        self.static_weight[cells.view(-1)] = 1
        self.refresh()

    def refresh(self) -> None:
        """Bits from candidates and memory. A cell stays if it or a neighbour is seen, so that surfaces can move."""
        seen, moving = self._seen()
        static = self.static_candidates & dilate(seen[None])[0]
        grown = torch.where(self.trained.view(-1, 1, 1, 1), dilate(moving), moving)
        bits = pack_occupancy(static, self.dynamic_candidates & grown)
        self.register_buffer("static_bits", bits.static_bits)
        self.register_buffer("dynamic_bits", bits.dynamic_bits)
        self.register_buffer("coarse_bits", bits.coarse_bits)

    def _seen(self, share: float = 1.0) -> tuple[Bool[Tensor, "x y z"], Bool[Tensor, "n_frames x y z"]]:
        """Static and dynamic cells whose remembered weight exceeds this share of the thresholds."""
        n, config = self.config.resolution, self.config
        static = self.static_weight > share * config.static_threshold
        return static.view(n, n, n), (self.dynamic_weight > share * config.dynamic_threshold).view(-1, n, n, n)

    def _remember(self, memory: Float[Tensor, " n_cells"], samples: SeenSamples) -> None:
        n = self.config.resolution
        index = (samples.positions * n).floor().long().clamp(0, n - 1)
        cells = (index[:, 0] * n + index[:, 1]) * n + index[:, 2]
        weights = samples.weights * (self.config.n_steps / _USUAL_STEPS)
        memory.scatter_reduce_(0, cells, weights.to(memory.dtype), "amax")


def _only_slice(rays: Rays) -> Int[Tensor, " n_rays"]:
    return torch.zeros_like(rays.frames, dtype=torch.int64)


def dilate(cells: Bool[Tensor, "n x y z"]) -> Bool[Tensor, "n x y z"]:
    """Cells and their 26 neighbours."""
    grown = cells
    for axis in (1, 2, 3):
        low, high = (slice(None),) * axis + (slice(1, None),), (slice(None),) * axis + (slice(None, -1),)
        before, grown = grown, grown.clone()
        grown[low] |= before[high]
        grown[high] |= before[low]
    return grown


def shell(
    rays: Rays, depth: Float[Tensor, " n_rays"], half_width: Float[Tensor, " n_rays"], config: OccupancyConfig
) -> Bool[Tensor, "x y z"]:
    """Cells that the rays cross within `half_width` of their depth, all in ray parameter `t`."""
    n = config.resolution
    cells = torch.zeros(n**3, dtype=torch.bool, device=depth.device)
    for step in range(int(float(half_width.max()) * 2 * config.n_steps) + 2):
        offset = torch.minimum(step / config.n_steps - half_width, half_width)
        points = rays.origins + (depth + offset).unsqueeze(1) * rays.directions
        index = (points * n).floor().long()
        index = index[((index >= 0) & (index < n)).all(-1)]
        cells[(index[:, 0] * n + index[:, 1]) * n + index[:, 2]] = True
    return cells.view(n, n, n)
