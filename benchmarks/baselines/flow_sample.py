"""Scene-flow sampling in vectorised torch: displace, test, encode, each a pass of its own over the samples."""

import torch
from baselines.hash_grid import hash_encode
from torch import Tensor

from saff_fast.ops import HashGridLayout


def flow_sample(
    positions: Tensor, flows: Tensor, times: Tensor, table: Tensor, layout: HashGridLayout
) -> tuple[Tensor, Tensor, Tensor]:
    """Displaced points, their encodings at the neighbour time, and 1 where they are inside the unit cube."""
    points = torch.cat([positions + flows, times[:, None]], dim=1)
    valid = ((points >= 0) & (points <= 1)).all(1).to(points.dtype)
    return points[:, :3], hash_encode(points.clamp(0, 1), table, layout), valid
