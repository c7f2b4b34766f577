import numpy as np
import pytest
import torch

from saff_fast.geometry.cameras import Cameras
from saff_fast.priors.flow import FrameFlows

HEIGHT, WIDTH = 36, 64


class ExactWorld:
    """A slanted plane seen by five cameras, with exact flow; a block of pixels may move on its own."""

    def __init__(self, velocity=(0.0, 0.0), baseline=1.0):
        c2w = np.tile(np.eye(3, 4), (5, 1, 1))
        c2w[:, :, 3] = [(0, 0, 0), (0.2, 0.05, 0), (0.4, -0.1, 0.1), (0.5, 0.2, 0), (0.9, 0.1, -0.1)]
        c2w[:, :, 3] *= baseline
        intrinsics = np.tile([60.0, 60.0, WIDTH / 2, HEIGHT / 2], (5, 1))
        self.cameras = Cameras(torch.from_numpy(c2w), torch.from_numpy(intrinsics), HEIGHT, WIDTH)
        self.block = np.zeros((HEIGHT, WIDTH), bool)
        self.block[12:24, 20:40] = True
        self.velocity = np.array(velocity)
        self.inverse_depth = [self._inverse_depth(frame) for frame in range(5)]
        self.images = [self._picture(frame) for frame in range(5)]
        images = [np.full((HEIGHT, WIDTH, 3), frame, np.uint8) for frame in range(5)]
        self.flows = FrameFlows(images, lambda a, b: self.flow(int(a[0, 0, 0]), int(b[0, 0, 0])))

    def _inverse_depth(self, frame):
        """The plane z = 4 + 0.3 x, as 1 / depth along the camera's z."""
        origins, directions = self.cameras.world_rays(
            torch.full((HEIGHT * WIDTH,), frame), self.cameras.pixel_grid().double()
        )
        depth = (4 + 0.3 * origins[:, 0] - origins[:, 2]) / (directions[:, 2] - 0.3 * directions[:, 0])
        return (1 / depth).reshape(HEIGHT, WIDTH).numpy()

    def _picture(self, frame):
        """The plane with waves of colour over x and y; the block has waves of its own, which run on."""
        pixels = self.cameras.pixel_grid().double()
        origins, directions = self.cameras.world_rays(torch.full((len(pixels),), frame), pixels)
        points = (origins + directions / torch.from_numpy(self.inverse_depth[frame]).reshape(-1, 1)).numpy()
        x, y = points[:, 0].reshape(HEIGHT, WIDTH), points[:, 1].reshape(HEIGHT, WIDTH)
        phases = np.stack([7 * x + 3 * y, 5 * y - 4 * x, 6 * x * y], -1)
        if self.velocity.any():
            own = np.stack([2 * x - 9 * y, 8 * x + y, 3 * x + 7 * y], -1) + 2 * frame
            phases[self.block] = own[self.block]
        return np.rint(127 + 100 * np.sin(phases)).astype(np.uint8)

    def flow(self, source, target):
        pixels = self.cameras.pixel_grid().double()
        origins, directions = self.cameras.world_rays(torch.full((len(pixels),), source), pixels)
        points = origins + directions / torch.from_numpy(self.inverse_depth[source]).reshape(-1, 1)
        there, _ = self.cameras.project(torch.full((len(pixels),), target), points)
        flow = (there - pixels).reshape(HEIGHT, WIDTH, 2).numpy()
        flow[self.block] += self.velocity * (target - source)
        return flow.astype(np.float32)


@pytest.fixture(scope="session")
def static_world():
    return ExactWorld()


@pytest.fixture(scope="session")
def moving_world():
    return ExactWorld(velocity=(0.5, 3.0))


@pytest.fixture(scope="session")
def world_without_baseline():
    return ExactWorld(baseline=1e-3)
