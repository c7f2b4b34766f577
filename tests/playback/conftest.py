import pytest
import torch

from saff_fast.fields.dynamic_field import DynamicFieldConfig
from saff_fast.fields.scene_field import FieldConfig
from saff_fast.fields.static_field import StaticFieldConfig
from saff_fast.geometry.cameras import Cameras
from saff_fast.geometry.spaces import NdcSpace
from saff_fast.playback.objects import ObjectModel
from saff_fast.playback.renderer import ShotRenderer
from saff_fast.render.occupancy import OccupancyConfig
from saff_fast.train.model import build_model
from tests.train.conftest import finished, scene_folder, tiny_config  # noqa: F401 - fixtures

N_FRAMES, N_SEMANTIC, N_CLUSTERS = 4, 6, 3


@pytest.fixture
def model():
    """Fields of random, dense, changing content, seen by four cameras on a line."""
    c2w = torch.eye(4)[:3].repeat(N_FRAMES, 1, 1)
    c2w[:, 1, 1] = c2w[:, 2, 2] = -1  # world y up, looking along -z
    c2w[:, 0, 3] = torch.linspace(-0.1, 0.1, N_FRAMES)
    cameras = Cameras(c2w, torch.tensor([[16.0, 16, 8, 6]]).repeat(N_FRAMES, 1), height=12, width=16)
    grid = {"n_levels": 4, "log2_table_size": 10, "width": 16, "n_hidden": 8, "initial_density": 6.0}
    field = FieldConfig(
        static=StaticFieldConfig(finest_resolution=16, initial_blend=0.5, **grid),
        dynamic=DynamicFieldConfig(finest_resolution=16, **grid),
    )
    model = build_model(
        field, OccupancyConfig(resolution=16, n_steps=32), cameras, NdcSpace.around(cameras, 0.5), N_SEMANTIC
    )
    with torch.no_grad():
        for grid in (model.field.static.grid, model.field.dynamic.grid):
            grid.table.uniform_(-1, 1)
    return model


@pytest.fixture
def objects():
    """Three clusters, of which two are objects."""
    prototypes = torch.randn(N_CLUSTERS, N_SEMANTIC)
    return ObjectModel(prototypes, unit=True, object_of=torch.tensor([0, 2, 1]))


@pytest.fixture
def renderer(model, objects):
    return ShotRenderer(model, objects)
