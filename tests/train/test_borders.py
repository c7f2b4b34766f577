"""Static surfaces beyond what trained frames saw."""

import torch

from saff_fast.geometry.rays import pixel_rays
from saff_fast.train.borders import extend_static
from saff_fast.train.checkpoint import load_checkpoint
from saff_fast.train.rendering import load_run


def opacity(model, frame, pixels):
    poses = torch.full((len(pixels),), frame)
    with torch.no_grad():
        return model.renderer(pixel_rays(model.space, model.cameras, poses, pixels, poses.float())).outputs.opacity


def test_a_view_past_the_border_is_opaque(swept):
    model = swept(dynamic=False)
    y = torch.arange(4.0, 32.0, 4)
    beside, far = (torch.stack([torch.full_like(y, 64.0 + away), y], 1) for away in (3.5, 12.0))
    assert opacity(model, 3, beside).max() < 0.1
    extend_static(model)
    assert opacity(model, 3, beside).min() > 0.9
    assert opacity(model, 3, far).max() < 0.1


def test_cells_that_a_trained_frame_sees_stay_as_they_are(swept):
    model = swept(dynamic=False)
    before = model.occupancy.static_candidates.clone()
    extend_static(model)
    added = (model.occupancy.static_candidates & ~before).nonzero()
    points = model.space.to_world((added + 0.5) / model.occupancy.config.resolution)
    assert len(points) > 100
    for frame in range(model.n_frames):
        pixels, depth = model.cameras.project(torch.full((len(points),), frame), points)
        assert not ((pixels >= 0).all(-1) & (pixels[:, 0] < 64) & (pixels[:, 1] < 36) & (depth > 0)).any()


def test_a_loaded_run_goes_on_past_its_borders(finished):
    trained = load_checkpoint(finished / "checkpoints").tensors["occupancy.static_candidates"]
    assert load_run(finished).occupancy.static_candidates.sum() > trained.sum()
