import numpy as np
import pytest

from saff_fast.geometry.cameras import Cameras
from saff_fast.priors.flow_misfit import FlowMisfit
from tests.priors.sliding_cards import HEIGHT, WIDTH, SlidingCards

DEPTHS = (0.1, 0.5)


def misfit_of(world, start=0.25):
    return FlowMisfit(world.images, world.cameras, DEPTHS)(2, np.full((18, 32), start, np.float32))


def test_flow_of_what_stands_still_fits():
    misfit = misfit_of(SlidingCards(velocity=0), start=0.35)
    assert misfit.distance.shape == (HEIGHT, WIDTH)
    assert np.percentile(misfit.distance[8:-8, 16:-16], 90) < 0.3
    # Neighbours of frame 2 are 0.3, 0.2, 0.1, 0.1 and 0.2 away.
    assert np.median(misfit.parallax) == pytest.approx(15 * 0.18, rel=0.1)


def test_motion_along_the_epipolar_lines_is_found():
    """The camera goes to and fro, so that no depth looks like going on and on."""
    distance = misfit_of(SlidingCards(velocity=1.5)).distance
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
    whole = misfit_of(world)
    small = FlowMisfit(world.images, world.cameras, DEPTHS, max_height=36)(2, np.full((18, 32), 0.25, np.float32))
    assert small.parallax.shape == (36, 64)
    assert np.median(small.parallax) == pytest.approx(np.median(whole.parallax), rel=0.1)
