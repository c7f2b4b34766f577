"""A small clip of the synthetic scene, as pictures in a folder and as truth."""

import pytest

from saff_fast.files import write_image
from saff_fast.scene.synthetic import SyntheticScene

HEIGHT, WIDTH, N_FRAMES = 36, 64, 4


@pytest.fixture(scope="package")
def synthetic():
    return SyntheticScene(HEIGHT, WIDTH, N_FRAMES)


@pytest.fixture(scope="package")
def views(synthetic):
    return [synthetic.render(i, i) for i in range(N_FRAMES)]


@pytest.fixture
def source(tmp_path, views):
    for i, view in enumerate(views):
        write_image(tmp_path / "photos" / f"shot {i}.png", view.rgb)
    return tmp_path / "photos"
