import numpy as np

from saff_fast.priors.saliency import fit_kinds, fit_saliency

ROWS, COLUMNS = 36, 64


def frame_of(kinds):
    """Features with one direction a kind."""
    return np.eye(8, dtype=np.float32)[kinds] + np.random.default_rng(0).normal(scale=0.05, size=(*kinds.shape, 8))


def make_video():
    """Ground (kind 0), a mover (kind 1) with motion seen on half of it, a small still thing (kind 2)."""
    kinds = np.zeros((ROWS, COLUMNS), int)
    kinds[10:22, 20:36], kinds[4:8, 50:54] = 1, 2
    motion = np.zeros((ROWS, COLUMNS), np.float32)
    motion[10:22, 20:28] = 1
    features = frame_of(kinds).astype(np.float16)
    return kinds, [motion] * 3, [features] * 3


def test_the_whole_mover_is_salient_and_the_ground_is_not():
    kinds, motions, video = make_video()
    model = fit_saliency(video, motions)
    found = model.saliency(video[0], motions[0])
    assert found.min() >= 0
    assert found.max() <= 1
    unseen = (kinds == 1) & (motions[0] == 0)
    assert found[unseen].mean() > 2 * max(found[kinds == 0].mean(), found[kinds == 2].mean())
    assert found[(kinds == 1) & (motions[0] > 0)].mean() > 1.3 * found[unseen].mean()  # where motion is seen, more so


def test_motion_counts_relative_to_the_kind_that_moves_most():
    random = np.random.default_rng(1)
    features, evidence = random.normal(size=(500, 8)).astype(np.float32), random.random(500)
    strong, weak = (fit_kinds(features, evidence * strength, seed=2) for strength in (1, 0.1))
    np.testing.assert_allclose(weak.scores, strong.scores, rtol=1e-6)


def test_without_motion_the_rare_kind_stands_out():
    kinds, motions, video = make_video()
    still = [np.zeros_like(motion) for motion in motions]
    found = fit_saliency(video, still).saliency(video[0], still[0])
    assert found[kinds == 2].mean() > found[kinds == 0].mean()


def test_same_seed_same_kinds():
    random = np.random.default_rng(1)
    features, evidence = random.normal(size=(500, 8)).astype(np.float32), random.random(500)
    first, second = (fit_kinds(features, evidence, seed=2) for _ in range(2))
    np.testing.assert_array_equal(first.centres, second.centres)
    np.testing.assert_array_equal(first.scores, second.scores)
