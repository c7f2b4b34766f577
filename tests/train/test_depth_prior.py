"""The aligned depth prior against the synthetic scene's truth."""

import numpy as np
import torch

from saff_fast.geometry.alignment import robust_line
from saff_fast.scene.reader import read_scene
from saff_fast.train.depth_prior import aligned_inverse_depths, nearest_plane


def test_alignment_recovers_depth_up_to_the_priors_own_noise(scene_folder):
    scene = read_scene(scene_folder, 36)
    depths = 1 / aligned_inverse_depths(scene)
    truth = torch.stack([torch.from_numpy(np.load(scene_folder / f"truth/depth/{k:05d}.npy")) for k in range(6)])
    ratio = depths / truth
    world = ratio.median()  # the loader's scale
    assert ((ratio / world - 1).abs().median()) < 0.08
    per_frame = ratio.flatten(1).median(dim=1).values / world
    assert (per_frame - 1).abs().max() < 0.12  # the disparities' own scales differ by up to a factor of two


def test_a_line_is_found_among_outliers():
    x = torch.rand(1000)
    y = 2 * x + 0.5
    y[:300] += 3 * torch.rand(300)
    scale, shift = robust_line(x, y, torch.ones(1000))
    assert abs(scale - 2) < 0.02
    assert abs(shift - 0.5) < 0.02


def test_the_near_plane_is_in_front_of_everything_but_never_beyond_the_published_one():
    assert nearest_plane(torch.full((1, 10, 10), 0.1)) == 1.0
    assert abs(nearest_plane(torch.full((1, 10, 10), 2.0)) - 0.4) < 1e-6
