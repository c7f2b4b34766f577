import numpy as np
import pytest

from saff_fast.priors.flow import FrameFlows
from saff_fast.priors.steady_movers import steady_movers

HEIGHT, WIDTH, STEP = 24, 60, 3


def mover(frame):
    """A block of 8 x 10 pixels that goes to the right by 3 pixels a frame."""
    mask = np.zeros((HEIGHT, WIDTH), np.float32)
    mask[6:14, 4 + STEP * frame : 14 + STEP * frame] = 1
    return mask


def seen(frame, value):
    """A slanted ground, and the mover in front of it, nearer at its left."""
    ground = np.tile(np.linspace(0.1, 0.2, HEIGHT)[:, None], (1, WIDTH))
    mask = mover(frame)
    ground[mask > 0] = np.tile(np.linspace(1.1, 0.9, 10) * value, 8)
    return ground


@pytest.fixture
def flows():
    """Exact where the block is, and so are the forward and the backward one."""
    images = [np.full((HEIGHT, WIDTH, 3), frame, np.uint8) for frame in range(7)]

    def estimate(source, target):
        a, b = int(source[0, 0, 0]), int(target[0, 0, 0])
        flow = np.zeros((HEIGHT, WIDTH, 2), np.float32)
        flow[mover(a) > 0, 0] = STEP * (b - a)
        return flow

    return FrameFlows(images, estimate)


@pytest.mark.parametrize("wrong", [0.1, 3.0, 21.0])
def test_a_mover_that_one_frame_misplaces_stands_where_its_neighbours_have_it(flows, wrong):
    depths = [seen(frame, wrong if frame == 3 else 0.5) for frame in range(7)]
    np.testing.assert_allclose(steady_movers(depths, mover, flows, 3), seen(3, 0.5), rtol=1e-6)
    for other in (0, 1, 2, 4, 5, 6):
        np.testing.assert_allclose(steady_movers(depths, mover, flows, other), seen(other, 0.5), rtol=1e-6)


def test_what_comes_nearer_still_does(flows):
    depths = [seen(frame, 0.3 + 0.02 * frame) for frame in range(7)]
    np.testing.assert_allclose(steady_movers(depths, mover, flows, 3), depths[3], rtol=1e-6)


def test_what_stands_still_is_left_alone(flows):
    depths = [seen(frame, 0.5) * (2 if frame == 3 else 1) for frame in range(7)]
    still = mover(3) == 0
    np.testing.assert_array_equal(steady_movers(depths, mover, flows, 3)[still], depths[3][still])


def test_two_frames_do_not_tell_which_of_them_errs(flows):
    images = [np.full((HEIGHT, WIDTH, 3), frame, np.uint8) for frame in range(2)]
    depths = [seen(0, 0.5), seen(1, 0.8)]
    pair = FrameFlows(images, lambda a, b: flows.between(int(a[0, 0, 0]), int(b[0, 0, 0]))[0])
    np.testing.assert_array_equal(steady_movers(depths, mover, pair, 0), depths[0])


def test_a_neighbour_where_flow_loses_the_mover_has_no_say(flows):
    """In frames 1 and 2 nothing moves; the three that are left agree."""
    depths = [seen(frame, 9.0 if frame in (1, 2) else 0.8 if frame == 3 else 0.5) for frame in range(7)]
    lost = np.zeros((HEIGHT, WIDTH), np.float32)
    found = steady_movers(depths, lambda frame: lost if frame in (1, 2) else mover(frame), flows, 3)
    np.testing.assert_allclose(found, seen(3, 0.5), rtol=1e-6)
