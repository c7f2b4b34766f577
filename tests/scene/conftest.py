import pytest

from saff_fast.scene import writer
from saff_fast.scene.synthetic import SyntheticScene, degraded_disparity, write_synthetic_truth

N_FRAMES = 5


@pytest.fixture(scope="session")
def scene():
    return SyntheticScene(45, 80, N_FRAMES)


@pytest.fixture(scope="session")
def scene_folder(scene, tmp_path_factory):
    """A complete scene folder of 80 x 45 pixels; not to be changed, copy it first."""
    folder = tmp_path_factory.mktemp("scene") / "toy"
    write_synthetic_truth(folder, scene)
    views = [scene.render(k, k) for k in range(N_FRAMES)]
    for k, view in enumerate(views):
        name = f"{k:05d}"
        disparity = degraded_disparity(view, k)
        writer.write_disparity(folder, name, disparity)
        writer.write_confidence(folder, name, 0.5 + 0.5 * view.motion)
        writer.write_motion_mask(folder, name, 0.4 * view.motion)
        feature = disparity[::4, ::4, None].repeat(64, axis=-1)
        writer.write_semantics(folder, name, feature, feature[..., 0])
        for direction, other in (("fwd", k + 1), ("bwd", k - 1)):
            if 0 <= other < N_FRAMES:
                motion = scene.flow(view, other, other)
                writer.write_flow(folder, name, direction, motion.flow, ~motion.occlusion)
    return folder
