import pytest
import torch

from saff_fast.geometry.cameras import Cameras
from saff_fast.geometry.spaces import NdcSpace


@pytest.fixture
def cameras():
    axes = torch.diag(torch.tensor([1.0, -1.0, -1.0], dtype=torch.float64))
    angle = torch.tensor(0.1, dtype=torch.float64)
    tilt = torch.tensor([[angle.cos(), 0, angle.sin()], [0, 1, 0], [-angle.sin(), 0, angle.cos()]], dtype=torch.float64)
    centres = torch.tensor([[0.0, 0, 0], [0.3, -0.1, 0.05], [-0.2, 0.1, 0.0]], dtype=torch.float64)
    rotations = torch.stack([axes, tilt @ axes, axes])
    c2w = torch.cat([rotations, centres.unsqueeze(2)], dim=2)
    intrinsics = torch.tensor([[50.0, 52.0, 32.5, 18.5]], dtype=torch.float64).repeat(3, 1)
    return Cameras(c2w, intrinsics, height=36, width=64)


@pytest.fixture
def space(cameras):
    return NdcSpace.around(cameras, near=0.8)
