"""Semantic features of every frame: pyramid of crops, L2 normalisation, PCA (SAFF, section 3.2 and its code)."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
import torch
from jaxtyping import Float, Float16, UInt8
from torch import Tensor

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
class _CropTokens:
    box: Box
    features: Float16[Tensor, "rows columns channels"]
    saliency: Float[Tensor, "rows columns 1"] | None


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


def compute_semantics(
    images: Sequence[UInt8[np.ndarray, "height width 3"]],
    backbone: Backbone,
    size: tuple[int, int],
    seed: int = 0,
    on_frame: Callable[[int], None] = lambda frame: None,
    n_components: int = 64,
) -> tuple[PCA, Iterator[FrameSemantics]]:
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

    Returns:
        The PCA, and the frames in order; the iterator removes the tokens from the disk when it ends.
    """
    generator = np.random.default_rng(seed)
    folder = tempfile.TemporaryDirectory(prefix="saff-fast-")
    n_samples = max(int(SAMPLE_SHARE * size[0] * size[1]), MIN_SAMPLES // len(images))
    samples, norms = [], []
    for frame, image in enumerate(images):
        tokens = _describe(frame, image, backbone)
        torch.save([(t.box, t.features, t.saliency) for t in tokens], Path(folder.name) / f"{frame}.pt")
        total = _average([(t.box, t.features) for t in tokens], image.shape[:2], size)
        norms.append(total.norm(dim=-1, keepdim=True).clamp_min(1e-12))
        flat = (total / norms[-1]).flatten(0, 1)
        chosen = generator.choice(len(flat), min(n_samples, len(flat)), replace=False)
        samples.append(flat[np.sort(chosen)].numpy())
        on_frame(frame)
    pca = fit_pca(np.concatenate(samples), n_components)
    return pca, _reduce(folder, images[0].shape[:2], size, pca, norms)


def _describe(frame: int, image: UInt8[np.ndarray, "height width 3"], backbone: Backbone) -> list[_CropTokens]:
    """Tokens of all crops of one frame."""
    height, width = network_size(*image.shape[:2])
    tokens = []
    for box in pyramid(*image.shape[:2]):
        top, left, rows, columns = box
        crop = image[top : top + rows, left : left + columns]
        shrinks = rows > height
        resized = cv2.resize(crop, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
        features, saliency = backbone(frame, resized.astype(np.float32) / 255, box)
        tokens.append(
            _CropTokens(
                box,
                torch.from_numpy(features).half(),
                None if saliency is None else torch.from_numpy(saliency).float().unsqueeze(-1),
            )
        )
    return tokens


def _average(
    crops: list[tuple[Box, Tensor]], frame_size: tuple[int, int], size: tuple[int, int]
) -> Float[Tensor, "rows columns channels"]:
    """Mean over all crops that cover each output pixel; a crop's tokens are looked up at the pixel's centre."""
    total = torch.zeros(*size, crops[0][1].shape[-1])
    count = torch.zeros(*size, 1)
    for box, tokens in crops:
        (top, rows), (left, columns) = (
            _token_indices(box[axis], box[axis + 2], tokens.shape[axis], frame_size[axis], size[axis])
            for axis in (0, 1)
        )
        window = (slice(top, top + len(rows)), slice(left, left + len(columns)))
        total[window] += tokens.float()[rows][:, columns]
        count[window] += 1
    return total / count


def _token_indices(start: int, crop: int, n_tokens: int, length: int, n_out: int) -> tuple[int, Tensor]:
    """First output pixel inside a crop along one axis, and the token of each output pixel from there on."""
    centres = (torch.arange(n_out) + 0.5) * (length / n_out) - start
    inside = ((centres >= 0) & (centres < crop)).nonzero().flatten()
    indices = (centres[inside] * (n_tokens / crop)).long().clamp(0, n_tokens - 1)
    return int(inside[0]), indices


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


def _reduce(
    folder: tempfile.TemporaryDirectory,
    frame_size: tuple[int, int],
    size: tuple[int, int],
    pca: PCA,
    norms: list[Tensor],
) -> Iterator[FrameSemantics]:
    """The frames' features: averaging is linear, so tokens are reduced before they are spread over the image."""
    mean, components = torch.from_numpy(pca.mean), torch.from_numpy(pca.components).T
    with folder:
        for frame, norm in enumerate(norms):
            tokens = torch.load(Path(folder.name) / f"{frame}.pt", weights_only=True)
            projected = _average([(box, f.float() @ components) for box, f, _ in tokens], frame_size, size)
            features = projected / norm - mean @ components
            saliency = None
            if tokens[0][2] is not None:
                saliency = _average([(box, s) for box, _, s in tokens], frame_size, size)[..., 0].numpy()
            yield FrameSemantics(features.half().numpy(), saliency)
