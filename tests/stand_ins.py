"""Truth in the place of structure from motion, and mean colours in that of a network, for `prepare`.

Run as a program it is `saff-fast prepare` of the synthetic scene with these, every stage spread over two processes:
`python -m tests.stand_ins SOURCE SCENE [OPTION ...]`.
"""

import sys
from dataclasses import replace as changed

import cv2
import numpy as np

from saff_fast import preparation
from saff_fast.priors.networks.weights import WeightsSource
from saff_fast.priors.poses import Reconstruction
from saff_fast.scene.synthetic import SyntheticScene

HEIGHT, WIDTH, N_FRAMES = 144, 256, 8


class FlatBackbone:
    """Describes a crop by its mean colours."""

    name = "flat"

    def __call__(self, frame, image, box):
        return cv2.resize(image, (16, 9), interpolation=cv2.INTER_AREA), None


def true_reconstruction(scene, views):
    """The rig's true cameras, and points on the surfaces that the first view sees."""
    height, width = views[0].rgb.shape[:2]
    c2w = np.stack([view.c2w for view in views])
    y, x = np.mgrid[2:height:4, 2:width:4]
    fx, fy, cx, cy = scene.intrinsics
    local = np.stack([(x + 0.5 - cx) / fx, (y + 0.5 - cy) / fy, np.ones(x.shape)], -1) * views[0].depth[y, x, None]
    points = local[~views[0].motion[y, x]] @ c2w[0, :, :3].T + c2w[0, :, 3]
    visible = np.ones((len(views), len(points)), bool)
    return Reconstruction(c2w, scene.intrinsics, width, height, scene.intrinsics, 0.0, points, visible, 0.25)


def put_in_place(replace, scene, views):
    """Call `replace(module, name, function)` for all that is stood in for."""

    def with_known_poses(images, c2w, intrinsics, held):
        found = true_reconstruction(scene, views)
        return changed(found, c2w=c2w, intrinsics=intrinsics, distorted_intrinsics=intrinsics)

    replace(preparation, "with_known_poses", with_known_poses)
    replace(preparation, "reconstruct", lambda images, names: true_reconstruction(scene, views))
    replace(preparation, "choose_backbone", lambda name, weights, parity: FlatBackbone())
    replace(WeightsSource, "find", lambda source: None)


if __name__ == "__main__":
    from saff_fast.cli.main import main

    scene = SyntheticScene(HEIGHT, WIDTH, N_FRAMES)
    put_in_place(setattr, scene, [scene.render(k, k) for k in range(N_FRAMES)])
    preparation.MIN_PIXELS_TO_SPREAD, preparation.available_cores = 0, lambda: 2
    sys.exit(main(["prepare", *sys.argv[1:]]))
