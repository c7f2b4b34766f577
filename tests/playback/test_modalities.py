"""Pictures of every map, in colours that mean the same throughout a run."""

import numpy as np

from saff_fast.playback.modalities import MODALITIES, picture
from saff_fast.playback.renderer import ShotRenderer
from saff_fast.playback.scales import picture_scales
from saff_fast.playback.shot import shot_of


def test_every_map_is_a_picture(renderer):
    scales = picture_scales(renderer)
    maps = renderer.render(shot_of(renderer.model, 1, 1), MODALITIES)
    for name, values in maps.items():
        image = picture(name, values.numpy(), scales)
        assert image.shape == (12, 16, 3), name
        assert image.dtype == np.uint8, name


def test_labels_have_the_colours_of_their_objects(renderer, objects):
    edited = ShotRenderer(renderer.model, objects.edited(colours={2: (9, 8, 7)}))
    image = picture("labels", np.array([[0, 2]]), picture_scales(edited))
    assert image[0].tolist() == [[0, 0, 0], [9, 8, 7]]


def test_what_stands_still_is_grey_in_scene_flow(renderer):
    scales = picture_scales(renderer)
    assert picture("scene_flow", np.zeros((1, 1, 3)), scales)[0, 0].tolist() == [128, 128, 128]
