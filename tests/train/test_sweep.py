"""What the occupancy grid learns from the fields."""

import torch

from saff_fast.render.compositing import static_alone
from saff_fast.train.sweep import settle


def test_static_surfaces_that_movers_hide_from_every_frame_stay(swept, tiny_config):
    model = swept(dynamic=True)
    settle(model, list(range(model.n_frames)), tiny_config().train)
    model.occupancy.dynamic_candidates.zero_()  # as the movers have gone elsewhere
    model.occupancy.refresh()
    with torch.no_grad():
        batch = model.renderer(model.frame_rays(2, torch.rand(500, 2) * torch.tensor([64.0, 36.0])))
    assert static_alone(batch.static, batch.samples, batch.lengths).opacity.quantile(0.05) > 0.9
