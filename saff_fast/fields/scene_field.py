"""Both fields of a scene and their semantic layers."""

from dataclasses import dataclass, field
from typing import Literal

from torch import nn

from saff_fast.backends import BackendConfig
from saff_fast.fields.dynamic_field import DynamicField, DynamicFieldConfig
from saff_fast.fields.reference_field import ReferenceFieldConfig
from saff_fast.fields.static_field import StaticField, StaticFieldConfig

FieldKind = Literal["hash", "reference"]


@dataclass(frozen=True, kw_only=True)
class FieldConfig:
    """Kind and size of the two fields."""

    kind: FieldKind = "hash"
    """`hash`: hash grids with small networks (`static`, `dynamic`); `reference`: the published networks."""
    static: StaticFieldConfig = field(default_factory=StaticFieldConfig)
    dynamic: DynamicFieldConfig = field(default_factory=DynamicFieldConfig)
    reference: ReferenceFieldConfig = field(default_factory=ReferenceFieldConfig)
    coarse_to_fine: float = 0.5
    """Share of the run over which the finer half of the hash grids' levels opens, level by level; 0 begins with all."""

    def __post_init__(self) -> None:
        """Check the range."""
        if not 0 <= self.coarse_to_fine <= 1:
            raise ValueError(f"coarse_to_fine must be in [0, 1], got {self.coarse_to_fine}")


class SceneField(nn.Module):
    """The static field, the dynamic field, and for each the linear layer from composited channels to semantics.

    Args:
        config: Sizes.
        n_frames: Frames of the scene.
        n_semantic: Semantic channels.
        backend: Libraries that encode and run the networks, by name.
    """

    def __init__(self, config: FieldConfig, n_frames: int, n_semantic: int, backend: BackendConfig) -> None:
        super().__init__()
        self._coarse_to_fine = config.coarse_to_fine
        self.static = StaticField(config.static, backend)
        self.dynamic = DynamicField(config.dynamic, n_frames, backend)
        self.static_semantics = nn.Linear(config.static.n_hidden, n_semantic)
        self.dynamic_semantics = nn.Linear(config.dynamic.n_hidden, n_semantic)

    def advance(self, progress: float) -> None:
        """Open the levels due at this share of the run, 0 to 1: fine ones would keep what coarse ones misplace."""
        share = 1.0 if progress >= self._coarse_to_fine else 0.5 + 0.5 * progress / self._coarse_to_fine
        for grid in (self.static.grid, self.dynamic.grid):
            grid.open(share)
