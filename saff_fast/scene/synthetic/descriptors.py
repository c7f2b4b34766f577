"""Stand-ins for networks: descriptors with saliency, and monocular depth, degraded as real ones are."""

import cv2
import numpy as np
from jaxtyping import Float
from numpy import ndarray

from saff_fast.scene.synthetic.generator import SyntheticScene, SyntheticView

N_DESCRIPTOR = 384
PATCH = 8
STRIDE = 4
NOISE_DB = 2.5
"""Ratio of an embedding's power to that of the noise of one patch, in dB."""
RELATED = ("body", "limb")
"""Two kinds whose embeddings are alike, as those of the parts of one figure are."""
RELATED_COSINE = 0.5
SALIENT = ("crate", "balloon", "body", "limb", "statue")
SALIENCY_NOISE = 0.1
DEPTH_NOISE = 0.05

Box = tuple[int, int, int, int]


class SyntheticBackbone:
    """Patch descriptors and saliency as a vision transformer would give them, made from the true parts.

    Follows the backbone protocol of `priors.semantics`: called with a frame index, a crop of its picture resized for
    the network, and the crop's box in the frame. Every patch averages the embeddings of the parts it covers and adds
    noise of its own, drawn anew for each crop; the same call always gives the same values.

    Args:
        scene: Where the frames come from; boxes are in pixels of its size.
        seed: Chooses embeddings and noise.
    """

    def __init__(self, scene: SyntheticScene, seed: int = 0):
        self.scene, self.seed = scene, seed
        kinds = [part.kind for part in scene.parts]
        self.kinds: tuple[str, ...] = tuple(dict.fromkeys(kinds))
        self._kind_of_part = np.array([self.kinds.index(kind) for kind in kinds])
        self.embeddings: Float[ndarray, "n_kinds n_descriptor"] = self._embed()
        self._saliencies = np.array([0.85 if kind in SALIENT else 0.15 for kind in self.kinds])
        self._maps: dict[int, ndarray] = {}

    def __call__(
        self, frame: int, image: Float[ndarray, "crop_height crop_width 3"], box: Box
    ) -> tuple[Float[ndarray, "rows columns n_descriptor"], Float[ndarray, "rows columns"]]:
        """Descriptors and saliency, the latter spread over [0, 1] within the crop, at each patch of a resized crop.

        Args:
            frame: Frame index.
            image: The resized crop; only its size is used.
            box: Top, left, height and width of the crop in the frame.
        """
        shares = self._patch_shares(self._crop(frame, box, image.shape[:2]))
        random = np.random.default_rng([self.seed, frame, *box])
        scale = np.sqrt(10 ** (-NOISE_DB / 10) / N_DESCRIPTOR)
        noise = random.normal(scale=scale, size=(*shares.shape[:2], N_DESCRIPTOR))
        saliency = shares @ self._saliencies + random.normal(scale=SALIENCY_NOISE, size=shares.shape[:2])
        saliency = (saliency - saliency.min()) / max(np.ptp(saliency), 1e-12)
        return (shares @ self.embeddings + noise).astype(np.float32), saliency.astype(np.float32)

    def _embed(self) -> Float[ndarray, "n_kinds n_descriptor"]:
        """Random unit vectors; the second of the related kinds is tilted towards the first."""
        vectors = _normalise(np.random.default_rng([self.seed, 1]).normal(size=(len(self.kinds), N_DESCRIPTOR)))
        first, second = (self.kinds.index(kind) for kind in RELATED)
        across = _normalise(vectors[second] - (vectors[second] @ vectors[first]) * vectors[first])
        vectors[second] = RELATED_COSINE * vectors[first] + np.sqrt(1 - RELATED_COSINE**2) * across
        return vectors

    def _crop(self, frame: int, box: Box, size: tuple[int, int]) -> ndarray:
        """Kind of each pixel of the resized crop."""
        if frame not in self._maps:
            self._maps[frame] = self._kind_of_part[self.scene.render(frame, frame).parts].astype(np.uint8)
        top, left, height, width = box
        crop = self._maps[frame][top : top + height, left : left + width]
        return cv2.resize(crop, (size[1], size[0]), interpolation=cv2.INTER_NEAREST)

    def _patch_shares(self, kinds: ndarray) -> Float[ndarray, "rows columns n_kinds"]:
        """Share of each kind in every patch."""
        marks = (kinds[..., None] == np.arange(len(self.kinds))).astype(np.float64)
        totals = np.pad(marks.cumsum(0).cumsum(1), ((1, 0), (1, 0), (0, 0)))
        rows, columns = (np.arange(0, size - PATCH + 1, STRIDE) for size in kinds.shape)
        corner = [[totals[rows[:, None] + i, columns + j] for j in (0, PATCH)] for i in (0, PATCH)]
        return (corner[1][1] - corner[0][1] - corner[1][0] + corner[0][0]) / PATCH**2


def degraded_disparity(view: SyntheticView, frame: int, seed: int = 0) -> Float[ndarray, "height width"]:
    """Inverse depth as a monocular network would give it: unknown scale and shift a frame, and smooth relative error.

    Args:
        view: The frame, rendered.
        frame: Frame index, which chooses the errors.
        seed: Chooses the errors too.
    """
    random = np.random.default_rng([seed, 2, frame])
    scale, shift = random.uniform(0.7, 1.4), random.uniform(0.0, 0.15)
    height, width = view.depth.shape
    error = cv2.resize(random.normal(size=(5, 8)), (width, height), interpolation=cv2.INTER_CUBIC)
    error *= DEPTH_NOISE / error.std()
    return (scale * (1 + error) / view.depth + shift).astype(np.float32)


def _normalise(vectors: ndarray) -> ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
