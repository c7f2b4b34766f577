"""What a run consists of, built from a scene and a configuration, or loaded from its checkpoint."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import torch
from jaxtyping import Float, Int
from torch import Tensor

from saff_fast.backends import BackendConfig
from saff_fast.errors import UserError
from saff_fast.fields.reference_field import ReferenceField
from saff_fast.fields.scene_field import FieldConfig, FieldKind, SceneField
from saff_fast.geometry.cameras import Cameras
from saff_fast.geometry.rays import pixel_rays
from saff_fast.geometry.spaces import NdcSpace
from saff_fast.render.occupancy import OccupancyConfig, OccupancyGrid
from saff_fast.render.renderer import Renderer
from saff_fast.render.sampling import RaySampler, UniformSampler
from saff_fast.render.textures import FrameTextures
from saff_fast.train.frames import trained_frames
from saff_fast.types import Rays

_AUTO = BackendConfig()
_CPU = torch.device("cpu")

Fields = SceneField | ReferenceField


@dataclass(frozen=True)
class Kind:
    """What belongs together in a model of one `FieldConfig.kind`."""

    fields: Callable[[FieldConfig, int, int, BackendConfig], Fields]
    """Built for so many frames and semantic channels."""
    occupancy: Callable[[FieldConfig, OccupancyConfig, int], OccupancyGrid | UniformSampler]
    """What samples the rays of so many frames."""
    space: Callable[[Cameras, float], NdcSpace]
    """Space of cameras with nothing nearer than this."""
    learning_rate: Callable[[FieldConfig, float], float]
    """Adam's step size at the start, where `train.learning_rate` is this."""


KINDS: dict[FieldKind, Kind] = {
    "hash": Kind(
        fields=SceneField,
        occupancy=lambda field, occupancy, n_frames: OccupancyGrid(occupancy, n_frames),
        space=NdcSpace.around,
        learning_rate=lambda field, rate: rate,
    ),
    "reference": Kind(
        fields=lambda field, n_frames, n_semantic, backend: ReferenceField(field.reference, n_frames, n_semantic),
        occupancy=lambda field, occupancy, n_frames: UniformSampler(field.reference.n_samples),
        space=lambda cameras, near: NdcSpace.published(cameras),
        learning_rate=lambda field, rate: field.reference.learning_rate,
    ),
}


@dataclass(frozen=True)
class SceneModel:
    """Fields, occupancy, cameras and space of one scene: all that rendering needs."""

    field: Fields
    occupancy: RaySampler
    """Where rays are sampled."""
    cameras: Cameras
    space: NdcSpace
    held_out: tuple[int, ...] = ()
    """Frames that were not trained on: what moved in them is known from their neighbours alone."""

    textures: FrameTextures | None = None
    """What trained frames show of surfaces; a run that is not finished has none."""

    @property
    def n_frames(self) -> int:
        """Number of frames of the scene, held-out ones included."""
        return len(self.cameras)

    @property
    def trained(self) -> list[int]:
        """Frames that were trained on."""
        return trained_frames(self.n_frames, self.held_out)

    @property
    def renderer(self) -> Renderer:
        """Renders rays with both fields."""
        field = self.field
        semantics = field.static_semantics, field.dynamic_semantics
        return Renderer(field.static, field.dynamic, semantics, self.occupancy)

    def frame_rays(self, frames: int | Int[Tensor, " n"], pixels: Float[Tensor, "n 2"]) -> Rays:
        """Rays through `pixels` (x, y) of a frame, or of one frame each, at its time."""
        poses = torch.full((len(pixels),), frames, device=pixels.device) if isinstance(frames, int) else frames
        return pixel_rays(self.space, self.cameras, poses, pixels, poses.float())

    def trained_around(self, time: float) -> tuple[int | None, int | None]:
        """The nearest trained frames at or before and at or after `time`; None where there is none."""
        before = max((frame for frame in self.trained if frame <= time), default=None)
        return before, min((frame for frame in self.trained if frame >= time), default=None)

    def to(self, device: torch.device) -> Self:
        """The same model on `device`; fields and occupancy are moved, not copied."""
        field, occupancy = self.field.to(device), self.occupancy.to(device)
        cameras, space = self.cameras.to(device), self.space.to(device)
        textures = None if self.textures is None else self.textures.to(device)
        return replace(self, field=field, occupancy=occupancy, cameras=cameras, space=space, textures=textures)

    def tensors(self) -> dict[str, Tensor]:
        """Parameters, occupancy, cameras, space and textures by name."""
        named = {f"field.{name}": value for name, value in self.field.state_dict().items()}
        named |= {f"occupancy.{name}": value for name, value in self.occupancy.state_dict().items()}
        size = torch.tensor([self.cameras.height, self.cameras.width])
        cameras = {"c2w": self.cameras.c2w, "intrinsics": self.cameras.intrinsics, "size": size}
        scales = torch.tensor([self.space.scale_x, self.space.scale_y, self.space.near], dtype=torch.float64)
        space = {"scales": scales, "low": self.space.low, "high": self.space.high}
        named |= {f"cameras.{name}": value for name, value in cameras.items()}
        if self.textures is not None:
            named |= {"textures.static": self.textures.static, "textures.dynamic": self.textures.dynamic}
        return named | {f"space.{name}": value for name, value in space.items()}


def build_model(
    field: FieldConfig,
    occupancy: OccupancyConfig,
    cameras: Cameras,
    space: NdcSpace,
    n_semantic: int,
    backend: BackendConfig = _AUTO,
    held_out: tuple[int, ...] = (),
) -> SceneModel:
    """A model on the cameras' device, with initial parameters drawn from torch's global generator of the CPU.

    Raises:
        UserError: if a backend cannot run on that device, or cannot compute these fields.
    """
    n_frames, device = len(cameras), cameras.c2w.device
    fields = _build_fields(field, n_frames, n_semantic, backend.resolved(device.type))
    sampler = KINDS[field.kind].occupancy(field, occupancy, n_frames)
    return SceneModel(fields, sampler, cameras, space, held_out).to(device)


def restore_model(
    field: FieldConfig,
    occupancy: OccupancyConfig,
    tensors: dict[str, Tensor],
    source: Path,
    backend: BackendConfig = _AUTO,
    device: torch.device = _CPU,
    held_out: tuple[int, ...] = (),
) -> SceneModel:
    """The model whose `tensors()` these are, on `device`; they may come from another device and other backends.

    Raises:
        UserError: if the tensors do not fit the configuration; `source` names where they come from. If a backend
            cannot run on the device.
    """
    height, width = tensors["cameras.size"].tolist()
    cameras = Cameras(tensors["cameras.c2w"], tensors["cameras.intrinsics"], height, width)
    scale_x, scale_y, near = tensors["space.scales"].tolist()
    space = NdcSpace(scale_x, scale_y, near, tensors["space.low"], tensors["space.high"])
    n_semantic = tensors["field.static_semantics.bias"].shape[0]
    fields = _build_fields(field, len(cameras), n_semantic, backend.resolved(device.type))
    sampler = KINDS[field.kind].occupancy(field, occupancy, len(cameras))
    model = SceneModel(fields, sampler, cameras, space, held_out)
    try:
        model.field.load_state_dict(_below("field.", tensors))
        model.occupancy.load_state_dict(_below("occupancy.", tensors))
    except RuntimeError as error:
        raise UserError(
            f"{source}: the checkpoint must come from the configuration beside it but its tensors differ; "
            "restore config.toml or train again in a new folder"
        ) from error
    textures = _below("textures.", tensors)
    if textures:
        frames = model.trained
        model = replace(model, textures=FrameTextures(tuple(frames), cameras[frames], **textures))
    return model.to(device)


def _build_fields(config: FieldConfig, n_frames: int, n_semantic: int, backend: BackendConfig) -> Fields:
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Initializing zero-element")  # a scene may have no semantics
            return KINDS[config.kind].fields(config, n_frames, n_semantic, backend)
    except ValueError as error:
        raise UserError(f"the configuration cannot be computed: {error}") from error


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Any]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
