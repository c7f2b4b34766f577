import numpy as np
import pytest
import torch
import torch.nn.functional as F

from saff_fast.priors.pyramid import PublishedPyramid, Pyramid, network_size
from saff_fast.priors.semantics import compute_semantics

HEIGHT, WIDTH = 288, 546


def starts(boxes, shape, axis):
    return sorted({box[axis] for box in boxes if box[2:] == shape})


def test_network_size():
    assert network_size(288, 546) == (128, 242)
    assert network_size(400, 306) == (167, 128)
    assert network_size(256, 256) == (128, 128)


def test_crops_of_the_published_size_end_at_the_border():
    boxes = Pyramid().boxes(288, 546)
    assert len(boxes) == 1 + 4 + 16
    assert boxes[0] == (0, 0, 288, 546)
    assert {(b[2], b[3]) for b in boxes[1:5]} == {(256, 485)}
    assert {b[0] for b in boxes[1:5]} == {0, 32}
    assert {b[0] for b in boxes[5:]} == {0, 64, 128, 160}


@pytest.mark.parametrize("size", [(288, 546), (256, 256), (90, 160), (400, 306), (17, 16)])
def test_every_level_covers_every_pixel(size):
    boxes = Pyramid().boxes(*size)
    for shape in {box[2:] for box in boxes}:
        covered = np.zeros(size, bool)
        for top, left, height, width in (box for box in boxes if box[2:] == shape):
            covered[top : top + height, left : left + width] = True
            assert top >= 0
            assert left >= 0
            assert top + height <= size[0]
            assert left + width <= size[1]
        assert covered.all()


def test_published_crops_of_the_nvidia_scenes():
    boxes = PublishedPyramid().boxes(288, 546)
    assert len(boxes) == 1 + 4 + 16
    assert boxes[0] == (0, 0, 288, 546)
    assert starts(boxes, (256, 484), 0) == [0, 31]
    assert starts(boxes, (256, 484), 1) == [0, 61]
    assert starts(boxes, (128, 242), 0) == [0, 64, 128, 159]
    assert starts(boxes, (128, 242), 1) == [0, 121, 242, 303]


def test_published_crops_of_a_portrait():
    boxes = PublishedPyramid().boxes(400, 306)
    assert len(boxes) == 21
    assert starts(boxes, (334, 256), 0) == [0, 65]
    assert starts(boxes, (334, 256), 1) == [0, 49]
    assert starts(boxes, (167, 128), 0) == [0, 83, 166, 232]
    assert starts(boxes, (167, 128), 1) == [0, 64, 128, 177]


def test_a_published_level_vanishes_whose_crops_are_as_large_as_the_frame():
    boxes = PublishedPyramid().boxes(256, 256)
    assert len(boxes) == 1 + 0 + 9
    assert starts(boxes, (128, 128), 0) == starts(boxes, (128, 128), 1) == [0, 64, 127]
    assert PublishedPyramid().boxes(100, 150)[1:] == []


def test_published_weights_of_the_levels():
    """1 : 3.15 : 3.15 at 288 x 546; the last row and column are seen once, the best seen pixel 14 times."""
    counts = {shape: np.zeros((HEIGHT, WIDTH)) for shape in ((288, 546), (256, 484), (128, 242))}
    for top, left, height, width in PublishedPyramid().boxes(HEIGHT, WIDTH):
        counts[height, width][top : top + height, left : left + width] += 1
    assert [round(count.mean(), 2) for count in counts.values()] == [1, 3.15, 3.15]
    total = sum(counts.values())
    assert (total[-1] == 1).all()
    assert (total[:, -1] == 1).all()
    assert (total.min(), total.max()) == (1, 14)


class Remembering:
    """Tokens drawn at random for each crop, of whole numbers that float16 holds exactly; keeps what it was shown."""

    def __init__(self, shape):
        self.shape, self.seen, self.tokens = shape, {}, {}

    def __call__(self, frame, image, box):
        self.seen[box] = image
        self.tokens[box] = np.random.default_rng(len(self.seen)).integers(0, 64, self.shape).astype(np.float32)
        return self.tokens[box][..., None] + np.float32([0, 1]), self.tokens[box]


@pytest.mark.parametrize("size", [(288, 546), (400, 306), (256, 256)])
def test_published_averages(size):
    """Against the published loop, written out: resize to the nearest, spread to the nearest, sum, divide."""
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    pyramid, load = PublishedPyramid(), network_size(*size)
    assert pyramid.feature_size(*size) == size
    backbone = Remembering((1 + (load[0] - 8) // 4, 1 + (load[1] - 8) // 4))
    with compute_semantics([image], backbone, size, pyramid=pyramid, n_components=2) as semantics:
        found = semantics[0]
    total, count = torch.zeros(size), torch.zeros(size)
    picture = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
    for (top, left, height, width), tokens in backbone.tokens.items():
        crop = picture[..., top : top + height, left : left + width]
        shown = F.interpolate(crop, size=load, mode="nearest")[0].permute(1, 2, 0)
        np.testing.assert_array_equal(backbone.seen[top, left, height, width], shown)
        spread = F.interpolate(torch.from_numpy(tokens)[None, None], size=(height, width), mode="nearest")[0, 0]
        total[top : top + height, left : left + width] += spread
        count[top : top + height, left : left + width] += 1
    expected = total / (count + 1e-16)
    np.testing.assert_array_equal(found.saliency, expected)
    vectors = F.normalize(torch.stack([expected, expected + 1], -1), dim=-1, eps=1e-12)
    rebuilt = found.features.astype(np.float32) @ semantics.pca.components + semantics.pca.mean
    np.testing.assert_allclose(rebuilt, vectors, atol=2e-3)  # float16
