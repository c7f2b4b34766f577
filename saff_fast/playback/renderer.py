"""Renders any shot of a model: only the maps that are asked for, in tiles of bounded memory."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor, nn

from saff_fast.playback.between import Layers, carried, mixed
from saff_fast.playback.maps import RayMaps
from saff_fast.playback.modalities import MODALITIES, Modality
from saff_fast.playback.objects import ObjectModel
from saff_fast.playback.rays import ShotRays, looks_ahead, shot_rays
from saff_fast.playback.shot import Shot
from saff_fast.playback.sums import MOTION, RaySums, channels_for, ray_sums, with_samples
from saff_fast.playback.texturing import textured
from saff_fast.render.compositing import dynamic_rgb, static_alone
from saff_fast.render.renderer import SampledFields
from saff_fast.render.rounds import rounds
from saff_fast.render.textures import ViewTextures
from saff_fast.train.model import SceneModel
from saff_fast.types import PackedSamples, Rays

Maps = dict[str, Shaped[Tensor, "h w ..."]]
_SEES_NOTHING: dict[str, float] = {"depth": torch.inf, "parameter": 1.0}
"""What a ray that looks away from the scene shows; all else is 0."""
_FEWEST_RAYS = 64
_ALONE: dict[str, Callable[[SampledFields], Tensor]] = {
    "static": lambda asked: static_alone(asked.static, asked.samples, asked.lengths).rgb.clamp(0, 1),
    "dynamic": lambda asked: dynamic_rgb(asked.dynamic, asked.samples, asked.lengths).clamp(0, 1),
}
Between = Literal["splat", "field"]


class Stopped(Exception):
    """The render was given up because its `stop` said so."""


@dataclass(frozen=True)
class Chosen:
    """Objects to show; 0 is the background."""

    only: frozenset[int] | None = None
    """All, if None."""
    without: frozenset[int] = frozenset()

    @property
    def everything(self) -> bool:
        """Whether nothing is left out."""
        return self.only is None and not self.without

    def among(self, labels: Shaped[Tensor, " n"]) -> Bool[Tensor, " n"]:
        """Which labels are shown."""
        shown = torch.ones_like(labels, dtype=torch.bool) if self.only is None else _is_in(labels, self.only)
        return shown & ~_is_in(labels, self.without)


def _is_in(labels: Tensor, ids: frozenset[int]) -> Tensor:
    return torch.isin(labels, torch.tensor(sorted(ids), dtype=labels.dtype, device=labels.device))


def _never() -> bool:
    return False


@dataclass(frozen=True)
class ShotRenderer:
    """Renders shots of a model."""

    model: SceneModel
    objects: ObjectModel | None = None
    """What tells objects apart; without it there are no labels, and nothing is isolated or removed."""
    tile_bytes: int = 1 << 29
    """About the memory that the samples of one tile may take."""
    between: Between = "splat"
    """What is shown between two trained frames: both, splatted along scene flow, or the field itself at that time."""

    textures: bool = True
    """Whether surfaces show what trained frames saw of them, or the fields alone."""

    @property
    def tile_rays(self) -> int:
        """Rays rendered at once."""
        fitting = self.tile_bytes * _FEWEST_RAYS // self.smallest_tile
        return max(_FEWEST_RAYS, min(fitting, self.model.occupancy.rays_at_once))

    @property
    def smallest_tile(self) -> int:
        """Bytes that the smallest tile may take."""
        sampler = self.model.occupancy
        return _FEWEST_RAYS * sampler.n_steps * sampler.bytes_per_sample

    def splats(self, time: float) -> bool:
        """Whether what is shown at `time` is made of the trained frames around it."""
        return self.between == "splat" and time not in self.model.trained_around(time)

    def layer_bytes(self, modalities: Collection[Modality]) -> int:
        """Bytes by the pixel that a shot between two frames takes: layers of both, and copies while one is splatted."""
        sizes = {"rgb": 3, "saliency": 1, "hidden": self.model.field.static_semantics.in_features}
        n_channels = 2 + sum(sizes.get(name, 0) for name in channels_for(modalities))
        n_motion = 3 * len(MOTION)
        return 4 * (9 * n_channels + 6 * n_motion)

    @torch.no_grad()
    def samples_per_ray(self, shot: Shot) -> float:
        """Mean number of samples along the rays of a shot, those that look away from the scene left out."""
        shot = shot.to(self.model.cameras.c2w.device).within(self.model.n_frames)
        pixels = _pixels(shot, 0, shot.height)
        rays = shot_rays(shot, self.model.space, pixels[looks_ahead(shot, pixels)]).rays
        n_samples = len(self.model.occupancy.march_at(rays, shot.time).ray_indices)
        return n_samples / max(len(rays.origins), 1)

    def render(
        self,
        shot: Shot,
        modalities: Collection[Modality],
        *,
        only: frozenset[int] | None = None,
        without: frozenset[int] = frozenset(),
        stop: Callable[[], bool] = _never,
    ) -> Maps:
        """The maps of a shot.

        Args:
            shot: Camera and time; outside the clip its nearest end is shown.
            modalities: Names out of `MODALITIES`; nothing else is computed.
            only: Objects to show, 0 for the background; None for all. Each sample of a ray belongs to the object that
                its own semantics tell.
            without: Objects to leave out.
            stop: Asked between tiles; the render ends once it says so.

        Returns:
            Each map on the model's device: float32 [h, w] or [h, w, channels]; labels are int64.

        Raises:
            ValueError: if a modality is unknown, or objects are needed and there are none.
            Stopped: if `stop` said so.
        """
        maps: Maps = {}
        first = 0
        for band in self.bands(shot, modalities, Chosen(only, without), stop):
            height = 0
            for name, values in band.items():
                height = len(values)
                if name not in maps:
                    maps[name] = values.new_empty(shot.height, *values.shape[1:])
                maps[name][first : first + height] = values
            first += height
        return maps

    @torch.no_grad()
    def bands(
        self,
        shot: Shot,
        modalities: Collection[Modality],
        chosen: Chosen = Chosen(),  # noqa: B008 - frozen
        stop: Callable[[], bool] = _never,
    ) -> Iterator[Maps]:
        """The maps of a shot from top to bottom, some rows at a time, for pictures too large to be held; see `render`.

        Yields:
            Maps of the next rows [rows, w] or [rows, w, channels].
        """
        self._check(modalities, chosen)
        shot = shot.to(self.model.cameras.c2w.device).within(self.model.n_frames)
        if self.splats(shot.time):
            yield self._splatted(shot, modalities, chosen, stop)
            return
        n_rows, textures = max(1, self.tile_rays // shot.width), self._textures(shot, channels_for(modalities))
        for top in range(0, shot.height, n_rows):
            rows = min(n_rows, shot.height - top)
            parts = []
            for pixels in _pixels(shot, top, rows).split(self.tile_rays):
                if stop():
                    raise Stopped
                parts.append(self._tile(shot, pixels, modalities, chosen, textures))
            yield {name: torch.cat([part[name] for part in parts]).unflatten(0, (rows, -1)) for name in modalities}

    def _check(self, modalities: Collection[str], chosen: Chosen) -> None:
        unknown = [name for name in modalities if name not in MODALITIES]
        if unknown:
            raise ValueError(f"render: modalities must be among {', '.join(MODALITIES)}, got {', '.join(unknown)}")
        if self.objects is None and ("labels" in modalities or not chosen.everything):
            raise ValueError("render: labels, only and without need objects, but the renderer has none")

    def _tile(
        self,
        shot: Shot,
        pixels: Float[Tensor, "n 2"],
        modalities: Collection[Modality],
        chosen: Chosen,
        textures: ViewTextures | None,
    ) -> dict[str, Tensor]:
        ahead = looks_ahead(shot, pixels)
        rays = shot_rays(shot, self.model.space, pixels[ahead])
        alone = {name: _ALONE[name] for name in modalities if name in _ALONE}
        if alone:  # what one field hides by itself is not what both hide together, so there every sample counts
            asked = self._asked(rays, shot.time, chosen, channels_for(modalities))
            found = {name: of(asked) for name, of in alone.items()}
            sums = ray_sums(asked, channels_for(modalities))
        else:
            found, sums = {}, self._sums(rays, shot.time, chosen, channels_for(modalities))
        sums = textured(sums, textures, rays, self.model.space)
        maps = RayMaps(self.model, self.objects, shot, rays, sums)
        return {
            name: _placed(ahead, found[name] if name in found else maps[name], _SEES_NOTHING.get(name, 0))
            for name in modalities
        }

    def _sums(self, rays: ShotRays, time: float, chosen: Chosen, channels: frozenset[str]) -> RaySums:
        """Sums over the samples of rays, each ray only as far as light gets."""
        parts = rounds(self.model.occupancy, partial(self._ask, chosen, channels), rays.rays, time)
        sums = ray_sums(next(parts).fields, channels)
        for part in parts:
            scale = partial(torch.mul, part.transmittance.unsqueeze(1))
            sums = sums.plus(part.active, ray_sums(part.fields, channels).map(scale))
        return sums

    def _splatted(self, shot: Shot, modalities: Collection[Modality], chosen: Chosen, stop: Callable[[], bool]) -> Maps:
        """A shot between two trained frames, made of both; what one field shows alone is asked of it at that time."""
        pixels, channels = _pixels(shot, 0, shot.height), channels_for(modalities) | MOTION
        ends = {
            frame: carried(
                self.model,
                shot,
                self._layers(shot.at(frame), pixels, channels, chosen, stop),
                "flow_fw" if frame < shot.time else "flow_bw",
                abs(shot.time - frame),
            )
            for frame in self.model.trained_around(shot.time)
            if frame is not None
        }
        ahead = looks_ahead(shot, pixels)
        rays = shot_rays(shot, self.model.space, pixels[ahead])
        maps = RayMaps(self.model, self.objects, shot, rays, mixed(ends, shot.time)[ahead])
        alone = [name for name in modalities if name in _ALONE]
        itself = replace(self, between="field")
        found = itself.render(shot, alone, only=chosen.only, without=chosen.without, stop=stop) if alone else {}
        for name in modalities:
            if name not in found:
                values = _placed(ahead, maps[name], _SEES_NOTHING.get(name, 0))
                found[name] = values.unflatten(0, (shot.height, shot.width))
        return found

    def _layers(
        self,
        shot: Shot,
        pixels: Float[Tensor, "n 2"],
        channels: frozenset[str],
        chosen: Chosen,
        stop: Callable[[], bool],
    ) -> Layers:
        parts, textures = [], self._textures(shot, channels)
        for tile in pixels.split(self.tile_rays):
            if stop():
                raise Stopped
            ahead = looks_ahead(shot, tile)
            rays = shot_rays(shot, self.model.space, tile[ahead])
            asked = self._asked(rays, shot.time, chosen, channels)
            nothing = torch.zeros_like(asked.dynamic.sigmas)
            still = with_samples(asked, torch.ones_like(asked.static.sigmas), nothing)
            sums, behind = ray_sums(asked, channels), ray_sums(still, channels - MOTION)
            sums, behind = (textured(part, textures, rays, self.model.space) for part in (sums, behind))
            layers = Layers(sums, behind.static)
            parts.append(layers.map(partial(_placed, ahead)))
        return Layers.joined(parts)

    def _textures(self, shot: Shot, channels: frozenset[str]) -> ViewTextures | None:
        """What trained frames show of the surfaces of a shot, if that is to be shown."""
        textures = self.model.textures
        if textures is None or not self.textures or "rgb" not in channels:
            return None
        return textures.seen_from(shot.c2w[:, 3], shot.time)

    def _asked(self, rays: ShotRays, time: float, chosen: Chosen, channels: frozenset[str]) -> SampledFields:
        """Both fields at the samples of rays that all look at `time`."""
        return self._ask(chosen, channels, rays.rays, self.model.occupancy.march_at(rays.rays, time))

    def _ask(self, chosen: Chosen, channels: frozenset[str], rays: Rays, samples: PackedSamples) -> SampledFields:
        """Both fields at samples, without those that are not to be shown."""
        with_hiddens = "hidden" in channels or not chosen.everything
        asked, field = self.model.renderer.ask(rays, samples, with_hiddens), self.model.field
        if chosen.everything:
            return asked
        static = self._shown(asked.static.hiddens, field.static_semantics, chosen)
        return with_samples(asked, static, self._shown(asked.dynamic.hiddens, field.dynamic_semantics, chosen))

    def _shown(self, hiddens: Tensor, layer: nn.Linear, chosen: Chosen) -> Bool[Tensor, " n"]:
        assert self.objects is not None
        return chosen.among(self.objects.labels_of(layer(hiddens)))


def _placed(where: Bool[Tensor, " n"], values: Shaped[Tensor, "m ..."], nothing: float = 0) -> Shaped[Tensor, "n ..."]:
    """Values where they belong, and nothing elsewhere."""
    if len(values) == len(where):
        return values
    return values.new_full((len(where), *values.shape[1:]), nothing).index_put((where,), values)


def _pixels(shot: Shot, top: int, rows: int) -> Float[Tensor, "n 2"]:
    """Centres (x, y) of the pixels of some rows."""
    x = torch.arange(shot.width, device=shot.c2w.device).to(shot.c2w) + 0.5
    y = torch.arange(top, top + rows, device=shot.c2w.device).to(shot.c2w) + 0.5
    y, x = torch.meshgrid(y, x, indexing="ij")
    return torch.stack([x, y], dim=-1).reshape(-1, 2)
