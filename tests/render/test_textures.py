import pytest
import torch

from saff_fast.geometry.cameras import Cameras
from saff_fast.render.textures import FrameTextures, SurfaceTextures

HEIGHT, WIDTH, FOCAL, FAR = 12, 16, 16.0, 2.0


def cameras(*x):
    """Cameras side by side that look along -z, with world y up."""
    c2w = torch.eye(4)[:3].repeat(len(x), 1, 1)
    c2w[:, 1, 1] = c2w[:, 2, 2] = -1
    c2w[:, 0, 3] = torch.tensor(x)
    return Cameras(c2w, torch.tensor([[FOCAL, FOCAL, WIDTH / 2, HEIGHT / 2]]).repeat(len(x), 1), HEIGHT, WIDTH)


def wall(pictures, fields=0.0, depth=FAR, seen=1.0):
    """Textures of a wall that faces the cameras: `pictures` of it, and what the field shows of it there."""
    pictures = pictures.expand(-1, 3, HEIGHT, WIDTH)
    rest = torch.tensor([1 / depth, seen])[:, None, None].expand(len(pictures), 2, HEIGHT, WIDTH)
    return torch.cat([pictures - fields / 2, rest], 1)


def points():
    """Points of the wall behind the inner pixels of a camera in the middle."""
    grid = cameras(0.0).pixel_grid().view(HEIGHT, WIDTH, 2)[3:-3, 5:-5].reshape(-1, 2)
    origins, directions = cameras(0.0).world_rays(torch.zeros(len(grid), dtype=torch.int64), grid)
    return origins + FAR * directions


EYE = torch.zeros(3)
GREY = torch.tensor([0.4, 0.5, 0.6])


def seen(x, maps, eye=EYE, colours=GREY, where=None):
    where = points() if where is None else where
    return SurfaceTextures.near(eye, cameras(*x), maps).onto(where, colours.expand(len(where), 3))


def test_a_frame_in_its_own_view_is_its_picture():
    picture = torch.rand(1, 3, HEIGHT, WIDTH)
    shown = seen([0.0], wall(picture, GREY[:, None, None]))
    torch.testing.assert_close(shown, picture[0, :, 3:-3, 5:-5].flatten(1).T, atol=1e-5, rtol=0)


def test_is_the_mean_of_picture_and_corrected_field():
    there = torch.tensor([0.2, 0.2, 0.9])  # what the field shows in the frame's own view
    shown = seen([0.1], wall(torch.tensor(0.5).expand(1, 1, 1, 1), there[:, None, None]))
    expected = (0.5 + (GREY + 0.5 - there)) / 2
    torch.testing.assert_close(shown, expected.expand_as(shown), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("maps", "where"),
    [
        pytest.param({"seen": 0.0}, None, id="not seen"),
        pytest.param({"depth": FAR / 2}, None, id="hidden"),
        pytest.param({}, points() * torch.tensor([1.0, 1, -1]), id="behind"),
        pytest.param({}, points() + torch.tensor([9.0, 0, 0]), id="beside"),
    ],
)
def test_stays_where_no_frame_sees_the_surface(maps, where):
    shown = seen([0.5], wall(torch.ones(1, 1, 1, 1), **maps), where=where)
    torch.testing.assert_close(shown, GREY.expand_as(shown), atol=1e-6, rtol=0)


def test_depths_count_by_the_parallax_that_they_make():
    # Twice the depth is 0.2 pixels from beside and 2.4 from afar.
    near, far = (seen([x], wall(torch.ones(1, 1, 1, 1), depth=2 * FAR)) for x in (0.05, 0.6))
    assert near.min() > 0.9
    torch.testing.assert_close(far, GREY.expand_as(far), atol=1e-6, rtol=0)


def test_a_hidden_surface_leaves_the_say_to_other_frames():
    maps = torch.cat([wall(torch.ones(1, 1, 1, 1), depth=FAR / 4), wall(torch.zeros(1, 1, 1, 1))])
    torch.testing.assert_close(seen([0.3, 0.6], maps), (GREY / 2).expand(len(points()), 3), atol=1e-5, rtol=0)


def test_the_nearer_frame_counts_more():
    maps = torch.cat([wall(torch.ones(1, 1, 1, 1)), wall(torch.zeros(1, 1, 1, 1))])
    shown = [
        float(seen([-0.5, 0.5], maps, torch.tensor([x, 0.0, 0.0]), 0 * GREY).mean()) for x in (-0.5, -0.2, 0.0, 0.2)
    ]
    assert shown == sorted(shown, reverse=True)
    assert shown[0] == pytest.approx(1, abs=1e-3)
    assert shown[2] == pytest.approx(0.5, abs=1e-3)


def test_colours_do_not_jump_as_the_eye_passes_frames():
    x = torch.linspace(-0.2, 0.2, 14).tolist()  # more than are looked up, and seen from behind they all are as near
    maps = wall((torch.arange(14) % 2).float().view(-1, 1, 1, 1))
    eyes = torch.tensor([[at, 0.0, 1.0] for at in torch.linspace(-0.1, 0.1, 801)])
    shown = torch.stack([seen(x, maps, eye).mean() for eye in eyes])
    assert shown.diff().abs().max() < 0.02
    assert shown.max() - shown.min() > 0.02


def test_all_cameras_in_one_place():
    maps = wall(torch.tensor([0.0, 1.0]).view(-1, 1, 1, 1))
    shown = seen([0.0, 0.0], maps, colours=0 * GREY)
    torch.testing.assert_close(shown, torch.full_like(shown, 0.5), atol=1e-5, rtol=0)


def frames():
    static, dynamic = (wall(torch.rand(3, 1, 1, 1)).half() for _ in range(2))
    return FrameTextures((0, 1, 3), cameras(-0.1, 0.0, 0.2), static, dynamic)


def test_what_moves_is_shown_by_the_frame_of_that_time():
    textures = frames()
    view = textures.seen_from(EYE, 3.0)
    torch.testing.assert_close(view.dynamic.maps, textures.dynamic[2:].float())
    torch.testing.assert_close(view.dynamic.cameras.c2w, textures.cameras.c2w[2:])
    assert len(view.static.cameras) == 3
    assert [textures.seen_from(EYE, time).dynamic for time in (2.0, 0.5)] == [None, None]


def test_every_device_shows_the_same(device):
    here, colours = frames(), GREY.expand(len(points()), 3)
    there = here.to(device)
    expected = here.seen_from(EYE, 1.0).static.onto(points(), colours)
    shown = there.seen_from(EYE.to(device), 1.0).static.onto(points().to(device), colours.to(device))
    torch.testing.assert_close(shown.cpu(), expected, atol=1e-4, rtol=0)
