"""Procedural colour: smooth noise of limited bandwidth, so that it can be sampled, tracked and learnt."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float
from numpy import ndarray

Colour = tuple[float, float, float]
N_WAVES = 10


@dataclass(frozen=True)
class Texture:
    """Three colours mixed by two noise fields; each field is a sum of plane waves.

    Attributes:
        seed: Chooses the waves.
        colours: Base, first and second admixture, 0 to 1.
        wavelengths: Shortest and longest wave, in units of the coordinates.
        projective: Whether the coordinates are those of the direction from the world's origin, (x/z, y/z), instead of
            the part's own: features then have one size in pixels however far or slanted a background surface is.
    """

    seed: int
    colours: tuple[Colour, Colour, Colour]
    wavelengths: tuple[float, float]
    projective: bool = False

    def colour(
        self, local: Float[ndarray, "n_points 3"], world: Float[ndarray, "n_points 3"]
    ) -> Float[ndarray, "n_points 3"]:
        """Unlit colours of surface points, given in the part's and in world coordinates."""
        coordinates = world * np.array([1.0, 1.0, 0.0]) / world[:, 2:] if self.projective else local
        base, first, second = (np.asarray(c) for c in self.colours)
        shares = 0.5 + 0.5 * np.tanh(1.6 * self._fields(coordinates))
        mixed = base + shares[:, :1] * (first - base)
        return mixed + shares[:, 1:] * 0.8 * (second - mixed)

    def _fields(self, coordinates: Float[ndarray, "n_points 3"]) -> Float[ndarray, "n_points 2"]:
        vectors, phases, amplitudes = self._waves
        waves = np.cos(coordinates @ vectors + phases) * amplitudes
        return waves.reshape(-1, 2, N_WAVES).sum(-1)

    @cached_property
    def _waves(self) -> tuple[ndarray, ndarray, ndarray]:
        """Wave vectors, phases and amplitudes; longer waves are stronger, each field has unit variance."""
        random = np.random.default_rng(self.seed)
        shortest, longest = self.wavelengths
        lengths = shortest * (longest / shortest) ** random.uniform(size=2 * N_WAVES)
        vectors = random.normal(size=(3, 2 * N_WAVES))
        if self.projective:
            vectors[2] = 0.0
        vectors *= 2 * np.pi / lengths / np.linalg.norm(vectors, axis=0)
        amplitudes = lengths.reshape(2, N_WAVES) ** 0.7
        amplitudes /= np.sqrt((amplitudes**2).sum(-1, keepdims=True) / 2)
        return vectors, random.uniform(0, 2 * np.pi, 2 * N_WAVES), amplitudes.ravel()
