import numpy as np
import pytest

from saff_fast.files import save_npz
from saff_fast.scene import writer

HEIGHT, WIDTH = 18, 32


class SceneFolder:
    """A scene of five frames in which all is well: a mover, consistent flow, certain depth. Names are hostile."""

    def __init__(self, folder):
        self.folder = folder
        self.names = [f"<b>{k}&" for k in range(5)]
        self.c2w = np.tile(np.eye(3, 4), (5, 1, 1))
        self.c2w[:, 0, 3] = 0.1 * np.arange(5)
        intrinsics, bounds = np.array([30.0, 30.0, WIDTH / 2, HEIGHT / 2]), np.tile([1.0, 9.0], (5, 1))
        writer.write_cameras(folder, self.names, self.c2w, intrinsics, (HEIGHT, WIDTH), bounds)
        picture = np.random.default_rng(0).integers(40, 200, (HEIGHT, WIDTH, 3)).astype(np.uint8)
        writer.write_images(folder, self.names, [picture] * 5)
        depth = np.linspace(1, 5, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH)
        moving = np.zeros((HEIGHT, WIDTH))
        moving[5:10, 5:10] = 1
        feature = np.random.default_rng(1).normal(size=(HEIGHT, WIDTH, 8))
        for k, name in enumerate(self.names):
            writer.write_disparity(folder, name, 1 / depth)
            writer.write_confidence(folder, name, np.full((HEIGHT, WIDTH), 0.9))
            writer.write_motion_mask(folder, name, moving)
            writer.write_semantics(folder, name, feature)
            writer.write_saliency(folder, name, moving)
            for direction, other in (("fwd", k + 1), ("bwd", k - 1)):
                if 0 <= other < 5:
                    self.write_flow(k, direction, np.ones((HEIGHT, WIDTH), bool))
        self.write_sparse(error=0.5)

    def write_flow(self, frame, direction, consistent):
        flow = np.ones((HEIGHT, WIDTH, 2)) * (3, -1)
        writer.write_flow(self.folder, self.names[frame], direction, flow, consistent)

    def write_sparse(self, error):
        """Points 2 ahead of the cameras, all of them seen from everywhere."""
        points = np.stack([np.linspace(-1, 1, 40), np.zeros(40), np.full(40, 2.0)], axis=-1)
        values = {"c2w": self.c2w, "points": points, "visible": np.ones((5, 40), bool), "reprojection_error": error}
        save_npz(self.folder / "sparse" / "points.npz", **{key: np.asarray(value) for key, value in values.items()})


@pytest.fixture
def made(tmp_path):
    return SceneFolder(tmp_path / "a <i>scene")
