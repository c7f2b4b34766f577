"""Shots rendered in tiles against the whole render, and what is shown of objects."""

from dataclasses import replace

import pytest
import torch

from saff_fast.geometry.rays import pixel_rays
from saff_fast.playback.modalities import MODALITIES
from saff_fast.playback.renderer import ShotRenderer, Stopped
from saff_fast.playback.shot import shot_of


def small_tiles(renderer):
    return replace(renderer, tile_bytes=0)


def test_every_map_has_its_shape_and_type(renderer):
    maps = renderer.render(shot_of(renderer.model, 1, 1), MODALITIES)
    channels = {"rgb": 3, "static": 3, "dynamic": 3, "flow": 2, "flow_bw": 2, "scene_flow": 3, "semantic": 6}
    for name in MODALITIES:
        assert maps[name].shape == (12, 16, *([channels[name]] if name in channels else [])), name
        assert maps[name].dtype == (torch.int64 if name == "labels" else torch.float32), name
        assert maps[name].isfinite().all(), name


def test_maps_are_those_of_the_whole_render(renderer):
    model = renderer.model
    pixels = model.cameras.pixel_grid()
    poses = torch.full((len(pixels),), 2)
    with torch.no_grad():
        expected = model.renderer(pixel_rays(model.space, model.cameras, poses, pixels, poses.float())).outputs
    maps = renderer.render(shot_of(model, 2, 2), ("rgb", "opacity", "blend", "saliency", "semantic"))
    for name, values in maps.items():
        torch.testing.assert_close(values.flatten(0, 1), getattr(expected, name))


def test_tiles_change_nothing(renderer):
    shot = shot_of(renderer.model, 1, 2)
    whole, tiled = renderer.render(shot, MODALITIES), small_tiles(renderer).render(shot, MODALITIES)
    for name in MODALITIES:
        torch.testing.assert_close(tiled[name], whole[name], msg=name)


def test_a_modality_does_not_depend_on_the_others(renderer):
    shot = shot_of(renderer.model, 1, 1)
    together = renderer.render(shot, MODALITIES)
    for name in MODALITIES:
        torch.testing.assert_close(renderer.render(shot, [name])[name], together[name], msg=name)


def test_a_render_can_be_given_up(renderer):
    asked = iter([False, True])
    with pytest.raises(Stopped):
        small_tiles(renderer).render(shot_of(renderer.model, 0, 0), ["rgb"], stop=lambda: next(asked))


def test_objects_isolated_and_removed_share_the_picture(renderer):
    shot = shot_of(renderer.model, 0, 0)
    everything = renderer.render(shot, ["opacity", "rgb"])
    all_of_them = renderer.render(shot, ["rgb"], only=frozenset({0, 1, 2}))
    torch.testing.assert_close(all_of_them["rgb"], everything["rgb"])
    one = renderer.render(shot, ["opacity", "rgb"], only=frozenset({2}))
    also_one = renderer.render(shot, ["rgb"], without=frozenset({0, 1}))
    torch.testing.assert_close(one["rgb"], also_one["rgb"])
    assert 0 < one["opacity"].sum() < everything["opacity"].sum()
    none = renderer.render(shot, ["opacity"], without=frozenset({0, 1, 2}))
    assert none["opacity"].sum() == 0


def test_a_camera_that_looks_away_sees_nothing(renderer):
    shot = shot_of(renderer.model, 0, 0)
    away = replace(shot, c2w=shot.c2w * torch.tensor([1.0, -1, -1, 1]))
    maps = renderer.render(away, MODALITIES)
    assert maps["opacity"].sum() == 0
    assert maps["rgb"].sum() == 0
    assert (maps["depth"] == torch.inf).all()


def test_a_camera_inside_the_scene_sees_only_what_is_in_front(renderer):
    shot = shot_of(renderer.model, 0, 0)
    c2w = shot.c2w.clone()
    c2w[2, 3] = -4.0
    maps = renderer.render(replace(shot, c2w=c2w), ["depth", "rgb", "opacity"])
    assert (maps["depth"] >= 0).all()
    assert all(values.isfinite().all() for values in maps.values())


def test_times_outside_of_the_clip_show_its_ends(renderer):
    model = renderer.model
    for outside, end in ((-3.0, 0), (99.0, model.n_frames - 1)):
        actual = renderer.render(shot_of(model, 1, outside), ["rgb"])["rgb"]
        torch.testing.assert_close(actual, renderer.render(shot_of(model, 1, 0).at(end), ["rgb"])["rgb"])


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (23, 5)])
def test_any_size(renderer, size):
    maps = renderer.render(shot_of(renderer.model, 1, 1).resized(*size), MODALITIES)
    assert all(values.shape[:2] == size for values in maps.values())


def test_bad_requests_are_named(renderer):
    shot = shot_of(renderer.model, 0, 0)
    with pytest.raises(ValueError, match=r"modalities must be among rgb, .* got colour"):
        renderer.render(shot, ["colour"])
    bare = ShotRenderer(renderer.model)
    for wrong in ({"modalities": ["labels"]}, {"modalities": ["rgb"], "only": frozenset({1})}):
        with pytest.raises(ValueError, match="need objects"):
            bare.render(shot, **wrong)
    with pytest.raises(ValueError, match=r"pose must be in \[0, 3\], got 4"):
        shot_of(renderer.model, 4, 0)
