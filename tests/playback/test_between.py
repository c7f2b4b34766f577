"""Pictures between frames against cases whose outcome is known exactly."""

from dataclasses import replace

import pytest
import torch

from saff_fast.playback.between import Layers, mixed, moved_layers, steadied
from saff_fast.playback.modalities import MODALITIES
from saff_fast.playback.renderer import ShotRenderer
from saff_fast.playback.shot import shot_of
from saff_fast.playback.sums import RaySums

HEIGHT, WIDTH = 5, 7


def channels(coverage):
    """Random values of a part with this coverage, weighted by it as sums are."""
    values = {"opacity": torch.ones(HEIGHT * WIDTH, 1), "t": torch.rand(HEIGHT * WIDTH, 1)}
    values |= {"rgb": torch.rand(HEIGHT * WIDTH, 3), "hidden": torch.randn(HEIGHT * WIDTH, 4)}
    return {name: value * coverage.view(-1, 1) for name, value in values.items()}


def layers(coverage):
    """A mover in front of an opaque background, of which it hides its share."""
    background = channels(torch.ones(HEIGHT, WIDTH))
    static = {name: value * (1 - coverage.view(-1, 1)) for name, value in background.items()}
    return Layers(RaySums(static, channels(coverage)), background)


def box(left):
    coverage = torch.zeros(HEIGHT, WIDTH)
    coverage[1:4, left : left + 2] = torch.tensor([0.4, 1.0])
    return coverage


def image(part, name):
    return part[name].view(HEIGHT, WIDTH, -1)


def test_zero_flow_changes_nothing():
    given = layers(torch.rand(HEIGHT, WIDTH))
    moved = moved_layers(given, torch.zeros(HEIGHT, WIDTH, 2))
    for actual, expected in ((moved.static, given.sums.static), (moved.dynamic, given.sums.dynamic)):
        for name, values in expected.items():
            torch.testing.assert_close(actual[name], values, msg=name)


def test_whole_pixels_shift_what_moves_and_uncover_the_background():
    given = layers(box(1))
    flow = torch.zeros(HEIGHT, WIDTH, 2)
    flow[..., 0], flow[..., 1] = 3, 1
    moved = moved_layers(given, flow)
    for name, values in given.sums.dynamic.items():
        expected = torch.roll(values.view(HEIGHT, WIDTH, -1), (1, 3), (0, 1))
        torch.testing.assert_close(image(moved.dynamic, name), expected, msg=name)
    left = 1 - torch.roll(box(1), (1, 3), (0, 1))
    for name, values in given.background.items():
        expected = values.view(HEIGHT, WIDTH, -1) * left[..., None]
        torch.testing.assert_close(image(moved.static, name), expected, msg=name)


def test_half_a_pixel_keeps_the_colour_and_shares_the_coverage():
    given = layers(torch.zeros(HEIGHT, WIDTH).index_put((torch.tensor(2), torch.tensor(3)), torch.tensor(1.0)))
    moved = moved_layers(given, torch.full((HEIGHT, WIDTH, 2), 0.0) + torch.tensor([0.5, 0.0]))
    coverage, rgb = image(moved.dynamic, "opacity")[2, :, 0], image(moved.dynamic, "rgb")[2]
    assert coverage.tolist() == [0, 0, 0, 0.5, 0.5, 0, 0]
    torch.testing.assert_close(rgb[3] / 0.5, image(given.sums.dynamic, "rgb")[2, 3])


def test_the_nearer_of_two_movers_wins():
    given = layers(torch.zeros(HEIGHT, WIDTH))
    for column, t in ((1, 0.2), (5, 0.8)):
        for name, values in given.sums.dynamic.items():
            image(given.sums.dynamic, name)[2, column] = t if name == "t" else float(column)
            values.clamp_(max=1) if name == "opacity" else None
    flow = torch.zeros(HEIGHT, WIDTH, 2)
    flow[2, 1, 0], flow[2, 5, 0] = 2, -2
    moved = moved_layers(given, flow)
    assert image(moved.dynamic, "opacity")[2, 3] == 1
    torch.testing.assert_close(image(moved.dynamic, "rgb")[2, 3], torch.ones(3), rtol=0, atol=1e-5)


def test_what_leaves_the_picture_uncovers_all():
    given = layers(box(2))
    moved = moved_layers(given, torch.full((HEIGHT, WIDTH, 2), 100.0))
    for name, values in given.background.items():
        torch.testing.assert_close(moved.static[name], values, msg=name)
        assert moved.dynamic[name].abs().max() == 0


def test_the_mixture_is_each_end_at_its_end():
    first, second = (layers(torch.rand(HEIGHT, WIDTH)).sums for _ in range(2))
    for share, end in ((0.0, first), (1.0, second)):
        found = mixed({3: first, 5: second}, 3 + 2 * share)
        assert torch.equal(found.static["rgb"], end.static["rgb"])
        assert torch.equal(found.dynamic["t"], end.dynamic["t"])


def test_whole_frames_are_reached_continuously(renderer):
    model = renderer.model
    with torch.no_grad():
        model.field.dynamic.mlp.weights[-1][5:11] *= 0.05
    frame = renderer.render(shot_of(model, 1, 2.0), ["rgb", "depth", "semantic"])
    just_after = renderer.render(shot_of(model, 1, 2.0 + 1e-4), ["rgb", "depth", "semantic"])
    for name, values in frame.items():
        difference = (just_after[name] - values).abs()
        assert difference.mean() < 2e-3 * values.abs().mean(), name


@pytest.mark.parametrize("way", ["field", "splat"])
def test_every_modality_exists_between_frames(renderer, way):
    maps = replace(renderer, between=way).render(shot_of(renderer.model, 1, 1.3), MODALITIES)
    assert set(maps) == set(MODALITIES)
    assert all(values.shape[:2] == (12, 16) and values.isfinite().all() for values in maps.values())


def test_tiles_change_nothing_between_frames(renderer):
    shot = shot_of(renderer.model, 1, 1.3)
    whole, tiled = renderer.render(shot, MODALITIES), replace(renderer, tile_bytes=0).render(shot, MODALITIES)
    for name in MODALITIES:
        torch.testing.assert_close(tiled[name], whole[name], rtol=1e-4, atol=1e-4, msg=name)


def test_a_camera_that_looks_away_sees_nothing_between_frames(renderer):
    shot = shot_of(renderer.model, 0, 0.5)
    away = replace(shot, c2w=shot.c2w * torch.tensor([1.0, -1, -1, 1]))
    assert ShotRenderer(renderer.model).render(away, ["opacity"])["opacity"].sum() == 0


def test_held_out_frames_are_made_of_their_neighbours(renderer):
    """Not of the field at their own time, which saw no picture."""
    held_out = replace(renderer, model=replace(renderer.model, held_out=(1, 2)))
    with torch.no_grad():
        renderer.model.field.dynamic.mlp.weights[-1][5:11] = 0  # no flow: what is carried stands still
        renderer.model.field.dynamic.mlp.biases[-1][5:11] = 0
    shown = {time: renderer.render(shot_of(renderer.model, 1, time), ["rgb"])["rgb"] for time in (0, 1, 2, 3)}
    for time, share in ((1, 1 / 3), (2, 2 / 3)):
        made = held_out.render(shot_of(renderer.model, 1, time), ["rgb"])["rgb"]
        torch.testing.assert_close(made, torch.lerp(shown[0], shown[3], share), rtol=1e-3, atol=1e-3)
        assert (made - shown[time]).abs().max() > 0.05
    assert torch.equal(held_out.render(shot_of(renderer.model, 1, 3), ["rgb"])["rgb"], shown[3])


def test_before_the_first_trained_frame_there_is_that_frame_alone(renderer):
    held_out = replace(renderer, model=replace(renderer.model, held_out=(0, 3)))
    with torch.no_grad():
        renderer.model.field.dynamic.mlp.weights[-1][5:11] = 0
        renderer.model.field.dynamic.mlp.biases[-1][5:11] = 0
    for time, nearest in ((0, 1), (3, 2)):
        made = held_out.render(shot_of(renderer.model, 1, time), ["rgb"])["rgb"]
        shown = renderer.render(shot_of(renderer.model, 1, nearest), ["rgb"])["rgb"]
        torch.testing.assert_close(made, shown, rtol=1e-3, atol=1e-3)


def test_a_point_goes_on_with_its_flow_for_as_many_frames_as_it_is_carried(renderer):
    """Two frames on it has gone as far as with twice the flow in one."""
    model = renderer.model
    far = replace(renderer, model=replace(model, held_out=(1, 2, 3)))
    made = []
    for flow, time in ((1.0, 2.0), (2.0, 1.0)):
        with torch.no_grad():
            model.field.dynamic.mlp.weights[-1][5:11] = 0
            model.field.dynamic.mlp.biases[-1][5:11] = torch.tensor([flow, 0, 0, 0, 0, 0])
        made.append(far.render(shot_of(model, 0, time), ["rgb"])["rgb"])
    torch.testing.assert_close(*made, rtol=1e-4, atol=1e-4)
    assert (made[0] - far.render(shot_of(model, 0, 0.0), ["rgb"])["rgb"]).abs().max() > 0.05


def test_flow_is_averaged_over_what_is_covered():
    coverage = torch.zeros(48, 32)
    coverage[10:30, 5:25] = torch.rand(20, 20) + 0.5
    flow = torch.tensor([2.0, -1.0]).expand(48, 32, 2).clone()
    flow[coverage == 0] = 77.0  # of nothing, and to be left out
    steady = steadied(flow, coverage)
    torch.testing.assert_close(steady[coverage > 0], flow[coverage > 0])
    assert steady[coverage == 0].abs().max() == 0
    flow[20, 15] += 9  # one pixel that parts from its neighbours
    bumped = steadied(flow, coverage)
    share = coverage[20, 15] / coverage[19:22, 14:17].sum()  # a square of 48 / 16 rows
    torch.testing.assert_close(bumped[20, 15], steady[20, 15] + 9 * share)
    assert torch.equal(bumped[15], steady[15])


def test_cracks_are_closed_and_edges_stay():
    """A mover that is stretched by half has pixels on which less than one lands; its outline is where it was taken."""
    coverage = torch.zeros(12, 40)
    coverage[3:9, 4:20] = 1
    stretched = torch.zeros(12, 40, 2)
    stretched[..., 0] = (torch.arange(40) - 4) / 2
    stretched[coverage == 0] = 0
    given = layers_of(coverage)
    moved = moved_layers(given, stretched).dynamic["opacity"].view(12, 40)
    assert moved[3:9, 4:26].min() > 0.99
    assert moved[:, 28:].max() == 0
    assert moved[:3].max() == moved[9:].max() == 0


def layers_of(coverage):
    ones = {name: torch.ones(coverage.numel(), 1) for name in ("opacity", "t")}
    static = {name: value * (1 - coverage.view(-1, 1)) for name, value in ones.items()}
    return Layers(RaySums(static, {name: value * coverage.view(-1, 1) for name, value in ones.items()}), ones)
