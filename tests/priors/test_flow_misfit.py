import cv2
import numpy as np
import pytest
import torch

from saff_fast.geometry.cameras import Cameras
from saff_fast.priors.flow_misfit import FlowMisfit

HEIGHT, WIDTH, N_FRAMES = 72, 128, 6
DEPTHS = (0.1, 0.5)
BLOCK = np.s_[24:48, 48:88]


class SlidingCards:
    """A textured card at depth 4 before a camera that moves sideways; a block of it moves sideways, too, by itself."""

    def __init__(self, velocity):
        generator = np.random.default_rng(0)
        noise = generator.uniform(0, 255, (2, HEIGHT, 3 * WIDTH, 3)).astype(np.float32)
        cards = [cv2.GaussianBlur(card, (0, 0), 2) for card in noise]
        cards = [(127 + 4 * (card - card.mean())).clip(0, 255).astype(np.uint8) for card in cards]
        c2w = np.tile(np.eye(3, 4), (N_FRAMES, 1, 1))
        c2w[:, 0, 3] = [0, 0.1, 0.3, 0.2, 0.4, 0.1]  # 15 pixels a unit
        intrinsics = np.tile([60.0, 60.0, WIDTH / 2, HEIGHT / 2], (N_FRAMES, 1))
        self.cameras = Cameras(torch.from_numpy(c2w), torch.from_numpy(intrinsics), HEIGHT, WIDTH)
        self.images = []
        for frame, shift in enumerate(15 * c2w[:, 0, 3]):
            image, block = (
                self._moved(card, dx) for card, dx in zip(cards, (-shift, velocity * frame - shift), strict=True)
            )
            inside = np.zeros((HEIGHT, 3 * WIDTH), np.float32)
            inside[BLOCK[0], WIDTH + 48 : WIDTH + 88] = 1
            mask = self._moved(inside, velocity * frame - shift)[..., None]
            self.images.append((image * (1 - mask) + block * mask).astype(np.uint8)[:, WIDTH : 2 * WIDTH])

    @staticmethod
    def _moved(card, dx):
        return cv2.warpAffine(card, np.array([[1, 0, dx], [0, 1, 0.0]]), card.shape[1::-1])

    def misfit(self, start=0.25):
        return FlowMisfit(self.images, self.cameras, DEPTHS)(2, np.full((18, 32), start, np.float32))


def test_flow_of_what_stands_still_fits():
    misfit = SlidingCards(velocity=0).misfit(start=0.35)
    assert misfit.distance.shape == (HEIGHT, WIDTH)
    assert np.percentile(misfit.distance[8:-8, 16:-16], 90) < 0.3
    # Neighbours of frame 2 are 0.3, 0.2, 0.1, 0.1 and 0.2 away.
    assert np.median(misfit.parallax) == pytest.approx(15 * 0.18, rel=0.1)


def test_motion_along_the_epipolar_lines_is_found():
    """The camera goes to and fro, so that no depth looks like going on and on."""
    distance = SlidingCards(velocity=1.5).misfit().distance
    inner = np.s_[30:42, 56:80]
    assert np.median(distance[inner]) > 1
    outside = np.ones(distance.shape, bool)
    outside[16:56, 32:104] = False
    assert np.percentile(distance[outside], 90) < 0.4


def test_two_frames_tell_nothing():
    world = SlidingCards(velocity=1.5)
    cameras = Cameras(world.cameras.c2w[:2], world.cameras.intrinsics[:2], HEIGHT, WIDTH)
    misfit = FlowMisfit(world.images[:2], cameras, DEPTHS)(0, np.full((18, 32), 0.25, np.float32))
    assert misfit.distance.max() == 0


def test_pixels_are_those_of_the_pictures():
    world = SlidingCards(velocity=0)
    whole = FlowMisfit(world.images, world.cameras, DEPTHS)(2, np.full((18, 32), 0.25, np.float32))
    small = FlowMisfit(world.images, world.cameras, DEPTHS, max_height=36)(2, np.full((18, 32), 0.25, np.float32))
    assert small.parallax.shape == (36, 64)
    assert np.median(small.parallax) == pytest.approx(np.median(whole.parallax), rel=0.1)
