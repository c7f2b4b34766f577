import numpy as np

from saff_fast.priors.semi_global import JUMP_PENALTY, STEP_PENALTY, aggregate

GRAY = np.full((12, 16, 3), 128, np.uint8)


def test_a_path_costs_what_its_best_labels_cost():
    """A row of pixels against all ways to label it."""
    random = np.random.default_rng(0)
    cost = (30 * random.random((1, 4, 3))).astype(np.float32)
    penalty = np.array([[0, STEP_PENALTY, JUMP_PENALTY], [STEP_PENALTY, 0, STEP_PENALTY]])
    penalty = np.vstack([penalty, penalty[0, ::-1]])

    def along(costs):
        found = costs[0]
        for own in costs[1:]:
            found = own + (found[:, None] + penalty).min(0) - found.min()
        return found

    found = aggregate(cost, GRAY[:1, :4])
    for column in range(4):
        paths = along(cost[0, : column + 1]) + along(cost[0, column:][::-1]) + 2 * cost[0, column]
        np.testing.assert_allclose(found[0, column], paths / 4, rtol=1e-5)


def test_transposed_pictures_give_transposed_costs():
    random = np.random.default_rng(0)
    cost, guide = random.random((12, 16, 5)).astype(np.float32), random.integers(0, 255, (12, 16, 3), np.uint8)
    turned = aggregate(cost.transpose(1, 0, 2), guide.transpose(1, 0, 2))
    np.testing.assert_allclose(aggregate(cost, guide), turned.transpose(1, 0, 2), rtol=1e-5)


def test_labels_fill_gaps_and_jump_where_colours_do():
    truth = np.where(np.arange(16) < 8, 1, 6) * np.ones((12, 1), int)
    cost = 20 * (np.arange(8) != truth[..., None]).astype(np.float32)
    cost[:, 3:13] = 0  # nothing known about the edge
    image = GRAY.copy()
    image[:, 8:] = 250
    np.testing.assert_array_equal(aggregate(cost, image).argmin(-1), truth)
