import numpy as np
import pytest

from saff_fast.files import write_image
from saff_fast.scene.synthetic import SyntheticScene

HEIGHT, WIDTH, N_FRAMES = 36, 64, 5


@pytest.fixture(scope="session")
def rig():
    return SyntheticScene(HEIGHT, WIDTH, N_FRAMES)


@pytest.fixture(scope="session")
def views(rig):
    return [rig.render(i, i) for i in range(N_FRAMES)]


@pytest.fixture(scope="session")
def c2w(views):
    """True cameras, OpenCV axes."""
    return np.stack([view.c2w for view in views])


@pytest.fixture
def write_views(views):
    def write(folder, pattern="{:05d}.png"):
        paths = [folder / pattern.format(i) for i in range(N_FRAMES)]
        for path, view in zip(paths, views, strict=True):
            write_image(path, view.rgb)
        return paths

    return write
