"""A small world with motion along the epipolar lines."""

import cv2
import numpy as np
import torch

from saff_fast.geometry.cameras import Cameras

HEIGHT, WIDTH, N_FRAMES = 72, 128, 6
BLOCK = np.s_[24:48, 48:88]


class SlidingCards:
    """A textured card at depth 4 before a camera that moves sideways; a block of it moves sideways, too, by itself.

    Its inside, all but 3 pixels, may have one colour.
    """

    def __init__(self, velocity, plain=False):
        generator = np.random.default_rng(0)
        noise = generator.uniform(0, 255, (2, HEIGHT, 3 * WIDTH, 3)).astype(np.float32)
        cards = [cv2.GaussianBlur(card, (0, 0), 2) for card in noise]
        cards = [(127 + 4 * (card - card.mean())).clip(0, 255).astype(np.uint8) for card in cards]
        if plain:
            cards[1][BLOCK[0].start + 3 : BLOCK[0].stop - 3, WIDTH + 51 : WIDTH + 85] = 40
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
