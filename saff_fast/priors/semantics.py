"""Semantic features of every frame: mean over a pyramid of crops, L2 normalisation, PCA (SAFF, section 3.2)."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

import numpy as np
from jaxtyping import Float, Float16, UInt8

from saff_fast.priors.pyramid import Box, Pyramid, network_size

SAMPLE_SHARE = 0.01
"""Share of all pixels that the PCA is fitted on."""
MIN_SAMPLES = 8192


class Backbone(Protocol):
    """A network that describes a crop of a frame by a grid of tokens."""

    def __call__(
        self, frame: int, image: Float[np.ndarray, "height width 3"], box: Box
    ) -> tuple[Float[np.ndarray, "rows columns channels"], Float[np.ndarray, "rows columns"] | None]:
        """Features, and saliency in [0, 1] where the network has an opinion.

        Args:
            frame: Frame index.
            image: The crop, resized for the network; RGB in [0, 1].
            box: Where the crop lies in the frame.
        """


@dataclass(frozen=True)
class PCA:
    """A linear reduction of features: `(feature - mean) @ components.T`."""

    mean: Float[np.ndarray, " channels"]
    components: Float[np.ndarray, "n_components channels"]
    explained: Float[np.ndarray, " n_components"]
    """Share of the variance along each component."""


@dataclass(frozen=True)
class FrameSemantics:
    """Reduced features and saliency of one frame."""

    features: Float16[np.ndarray, "rows columns n_components"]
    saliency: Float[np.ndarray, "rows columns"] | None


@dataclass(frozen=True)
class _Crop:
    box: Box
    features: Float16[np.ndarray, "rows columns channels"]
    saliency: Float[np.ndarray, "rows columns"] | None


class VideoSemantics:
    """Reduced features of all frames; the tokens they are made of lie on disk until `close`, or the block's end."""

    def __init__(
        self,
        folder: tempfile.TemporaryDirectory,
        pyramid: Pyramid,
        frame_size: tuple[int, int],
        pca: PCA,
        norms: list[Float[np.ndarray, "rows columns 1"]],
    ):
        self.pca = pca
        self._folder, self._pyramid, self._frame_size, self._norms = folder, pyramid, frame_size, norms

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the tokens."""
        self.close()

    def close(self) -> None:
        """Remove the tokens; frames can no longer be asked for."""
        self._folder.cleanup()

    def __len__(self) -> int:
        """Number of frames."""
        return len(self._norms)

    def __getitem__(self, frame: int) -> FrameSemantics:
        """One frame's features: averaging is linear, so tokens are reduced before they are spread over the image."""
        norm = self._norms[frame]
        crops = _load(Path(self._folder.name) / str(frame), self._pyramid.boxes(*self._frame_size))
        projected = [(c.box, c.features.astype(np.float32) @ self.pca.components.T) for c in crops]
        size = norm.shape[:2]
        mean = self.pca.components @ self.pca.mean
        features = _average(self._pyramid, projected, self._frame_size, size) / norm - mean
        attention = [(c.box, c.saliency[..., None]) for c in crops if c.saliency is not None]
        saliency = _average(self._pyramid, attention, self._frame_size, size)[..., 0] if attention else None
        return FrameSemantics(features.astype(np.float16), saliency)


def compute_semantics(
    images: Sequence[UInt8[np.ndarray, "height width 3"]],
    backbone: Backbone,
    size: tuple[int, int],
    seed: int = 0,
    on_frame: Callable[[int], None] = lambda frame: None,
    n_components: int = 64,
    pyramid: Pyramid = Pyramid(),  # noqa: B008 (stateless)
) -> VideoSemantics:
    """Features of all frames, averaged over the crops, normalised, and reduced by one PCA over the whole video.

    Every crop counts alike, so finer levels weigh more (the published rule). Tokens wait on disk between fitting and
    reducing; memory holds one frame's features and the PCA's sample.

    Args:
        images: Frames of one size.
        backbone: Describes crops.
        size: Rows and columns of the result.
        seed: Chooses the pixels that the PCA is fitted on.
        on_frame: Called with each frame's index once the network has seen it.
        n_components: Length of the reduced features; fewer come back when the backbone has fewer channels.
        pyramid: Which crops there are, and how they are resized.
    """
    generator = np.random.default_rng(seed)
    folder = tempfile.TemporaryDirectory(prefix="saff-fast-")
    n_samples = max(int(SAMPLE_SHARE * size[0] * size[1]), MIN_SAMPLES // len(images))
    samples, norms = [], []
    for frame, image in enumerate(images):
        crops = list(_describe(frame, image, backbone, pyramid))
        _save(Path(folder.name) / str(frame), crops)
        features = _average(pyramid, [(c.box, c.features) for c in crops], image.shape[:2], size)
        norms.append(np.linalg.norm(features, axis=-1, keepdims=True).clip(1e-12))
        chosen = generator.choice(size[0] * size[1], min(n_samples, size[0] * size[1]), replace=False)
        rows, columns = np.unravel_index(np.sort(chosen), size)
        samples.append(features[rows, columns] / norms[-1][rows, columns])
        on_frame(frame)
    pca = fit_pca(np.concatenate(samples), n_components)
    return VideoSemantics(folder, pyramid, images[0].shape[:2], pca, norms)


def _describe(
    frame: int, image: UInt8[np.ndarray, "height width 3"], backbone: Backbone, pyramid: Pyramid
) -> Iterator[_Crop]:
    """Tokens of all crops of one frame."""
    size = network_size(*image.shape[:2])
    for box in pyramid.boxes(*image.shape[:2]):
        top, left, rows, columns = box
        crop = image[top : top + rows, left : left + columns]
        features, saliency = backbone(frame, pyramid.resize(crop, *size), box)
        yield _Crop(box, features.astype(np.float16), saliency)


def _save(path: Path, crops: list[_Crop]) -> None:
    for index, crop in enumerate(crops):
        np.save(f"{path}_{index}_features.npy", crop.features)
        if crop.saliency is not None:
            np.save(f"{path}_{index}_saliency.npy", crop.saliency)


def _load(path: Path, boxes: list[Box]) -> list[_Crop]:
    crops = []
    for index, box in enumerate(boxes):
        saliency = Path(f"{path}_{index}_saliency.npy")
        features = np.load(f"{path}_{index}_features.npy")
        crops.append(_Crop(box, features, np.load(saliency) if saliency.exists() else None))
    return crops


def _average(
    pyramid: Pyramid,
    crops: list[tuple[Box, Float[np.ndarray, "_ _ channels"]]],
    frame_size: tuple[int, int],
    size: tuple[int, int],
) -> Float[np.ndarray, "rows columns channels"]:
    """Mean over all crops that cover each output pixel."""
    total = np.zeros((*size, crops[0][1].shape[-1]), np.float32)
    count = np.zeros((*size, 1), np.float32)
    for box, tokens in crops:
        (top, rows), (left, columns) = (
            pyramid.token_indices(box[axis], box[axis + 2], tokens.shape[axis], frame_size[axis], size[axis])
            for axis in (0, 1)
        )
        window = slice(left, left + len(columns))
        # Row by row, so that what is added to stays in the processor's cache.
        spread = tokens.astype(np.float32)[:, columns]
        for row, token in enumerate(rows, start=top):
            total[row, window] += spread[token]
        count[top : top + len(rows), window] += 1
    return total / count


def fit_pca(samples: Float[np.ndarray, "n_samples channels"], n_components: int) -> PCA:
    """Principal axes by eigendecomposition of the covariance, in double; each axis' largest entry is positive."""
    mean = samples.mean(0, dtype=np.float64)
    centred = samples - mean
    values, vectors = np.linalg.eigh(centred.T @ centred / len(samples))
    order = np.argsort(values)[::-1][:n_components]
    components = vectors[:, order]
    components *= np.sign(components[np.abs(components).argmax(0), np.arange(components.shape[1])])
    explained = values[order] / max(values.sum(), 1e-12)
    return PCA(mean.astype(np.float32), components.T.astype(np.float32), explained.astype(np.float32))
