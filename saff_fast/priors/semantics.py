"""Semantic features of every frame: pyramid of crops, L2 normalisation, PCA (SAFF, section 3.2 and its code)."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

import cv2
import numpy as np
from jaxtyping import Float, Float16, Int, UInt8

Box = tuple[int, int, int, int]
"""Top, left, height, width, in pixels of the frame."""

LOAD_SIZE = 128
"""Short side of what the network sees of a crop, in pixels."""
LOAD_REFERENCE = 288
"""Image height at which the smallest crops are exactly `LOAD_SIZE` high, hence shown at their own resolution."""
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


def network_size(height: int, width: int) -> tuple[int, int]:
    """Size at which a network sees every crop: short side 128, the other by the picture's proportions."""
    if height < width:
        return LOAD_SIZE, LOAD_SIZE * width // height
    return LOAD_SIZE * height // width, LOAD_SIZE


def pyramid(height: int, width: int) -> list[Box]:
    """Crops of the three levels: the whole frame, then crops of 8/9 and of 4/9 of its size in steps of half a crop.

    On a frame 288 pixels high these are the published crops of 256 and 128 pixels. Unlike the published loop, the last
    crop of an axis ends at the border, so that the last row and column are covered by every level.
    """
    boxes = [(0, 0, height, width)]
    for level in (2, 1):
        size = [min(side, round(side * level * LOAD_SIZE / LOAD_REFERENCE)) for side in (height, width)]
        rows, columns = (_starts(side, crop) for side, crop in zip((height, width), size, strict=True))
        boxes += [(top, left, *size) for top in rows for left in columns]
    return boxes


def _starts(length: int, crop: int) -> list[int]:
    """Starts of crops along one axis, half a crop apart, the last one at the border."""
    return [*range(0, length - crop, max(crop // 2, 1)), length - crop]


class VideoSemantics:
    """Reduced features of all frames; the tokens they are made of lie on disk until `close`, or the block's end."""

    def __init__(
        self,
        folder: tempfile.TemporaryDirectory,
        frame_size: tuple[int, int],
        pca: PCA,
        norms: list[Float[np.ndarray, "rows columns 1"]],
    ):
        self.pca = pca
        self._folder, self._boxes, self._frame_size, self._norms = folder, pyramid(*frame_size), frame_size, norms

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
        crops = _load(Path(self._folder.name) / str(frame), self._boxes)
        projected = [(c.box, c.features.astype(np.float32) @ self.pca.components.T) for c in crops]
        size = norm.shape[:2]
        features = _average(projected, self._frame_size, size) / norm - self.pca.components @ self.pca.mean
        attention = [(c.box, c.saliency[..., None]) for c in crops if c.saliency is not None]
        saliency = _average(attention, self._frame_size, size)[..., 0] if attention else None
        return FrameSemantics(features.astype(np.float16), saliency)


def compute_semantics(
    images: Sequence[UInt8[np.ndarray, "height width 3"]],
    backbone: Backbone,
    size: tuple[int, int],
    seed: int = 0,
    on_frame: Callable[[int], None] = lambda frame: None,
    n_components: int = 64,
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
    """
    generator = np.random.default_rng(seed)
    folder = tempfile.TemporaryDirectory(prefix="saff-fast-")
    n_samples = max(int(SAMPLE_SHARE * size[0] * size[1]), MIN_SAMPLES // len(images))
    samples, norms = [], []
    for frame, image in enumerate(images):
        crops = list(_describe(frame, image, backbone))
        _save(Path(folder.name) / str(frame), crops)
        features = _average([(c.box, c.features) for c in crops], image.shape[:2], size)
        norms.append(np.linalg.norm(features, axis=-1, keepdims=True).clip(1e-12))
        chosen = generator.choice(size[0] * size[1], min(n_samples, size[0] * size[1]), replace=False)
        rows, columns = np.unravel_index(np.sort(chosen), size)
        samples.append(features[rows, columns] / norms[-1][rows, columns])
        on_frame(frame)
    pca = fit_pca(np.concatenate(samples), n_components)
    return VideoSemantics(folder, images[0].shape[:2], pca, norms)


def _describe(frame: int, image: UInt8[np.ndarray, "height width 3"], backbone: Backbone) -> Iterator[_Crop]:
    """Tokens of all crops of one frame."""
    height, width = network_size(*image.shape[:2])
    for box in pyramid(*image.shape[:2]):
        top, left, rows, columns = box
        crop = image[top : top + rows, left : left + columns]
        interpolation = cv2.INTER_AREA if rows > height else cv2.INTER_LINEAR
        resized = cv2.resize(crop, (width, height), interpolation=interpolation).astype(np.float32) / 255
        features, saliency = backbone(frame, resized, box)
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
    crops: list[tuple[Box, Float[np.ndarray, "_ _ channels"]]], frame_size: tuple[int, int], size: tuple[int, int]
) -> Float[np.ndarray, "rows columns channels"]:
    """Mean over all crops that cover each output pixel; a crop's tokens are looked up at the pixel's centre."""
    total = np.zeros((*size, crops[0][1].shape[-1]), np.float32)
    count = np.zeros((*size, 1), np.float32)
    for box, tokens in crops:
        (top, rows), (left, columns) = (
            _token_indices(box[axis], box[axis + 2], tokens.shape[axis], frame_size[axis], size[axis])
            for axis in (0, 1)
        )
        window = slice(left, left + len(columns))
        # Row by row, so that what is added to stays in the processor's cache.
        spread = tokens.astype(np.float32)[:, columns]
        for row, token in enumerate(rows, start=top):
            total[row, window] += spread[token]
        count[top : top + len(rows), window] += 1
    return total / count


def _token_indices(start: int, crop: int, n_tokens: int, length: int, n_out: int) -> tuple[int, Int[np.ndarray, " n"]]:
    """First output pixel inside a crop along one axis, and the token of each output pixel from there on."""
    centres = (np.arange(n_out) + 0.5) * (length / n_out) - start
    inside = np.flatnonzero((centres >= 0) & (centres < crop))
    return int(inside[0]), (centres[inside] * (n_tokens / crop)).astype(np.int64).clip(0, n_tokens - 1)


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
