"""Beyond the borders of the trained frames: static surfaces go on for a little."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from saff_fast.render.compositing import static_alone
from saff_fast.render.occupancy import shell
from saff_fast.train.model import SceneModel

_MARGIN = 0.1
"""Share of the image, on each side of it; the coarse levels of the field carry colour and density no farther."""
_OPAQUE = 0.9


@torch.no_grad()
def extend_static(model: SceneModel) -> None:
    """Let a view that sees past what was filmed find the surface that it left off at, and not a black rim.

    Occupancy ends with what trained frames saw. Where none of them looks, static surfaces are continued at the depth
    that they have at the nearest border.
    """
    occupancy = model.occupancy
    if not occupancy.learns:
        return
    trained = occupancy.trained.nonzero().flatten().tolist()
    cells = torch.stack([_continued(model, frame) for frame in trained]).any(0)
    occupancy.extend_static(_unseen(model, trained, cells))


def _continued(model: SceneModel, frame: int) -> Bool[Tensor, "x y z"]:
    """Cells about the static surfaces just outside of what a frame saw."""
    config, device = model.occupancy.config, model.cameras.c2w.device
    size = torch.tensor([model.cameras.width, model.cameras.height], dtype=torch.float32)
    spacing = float(size.min()) / config.resolution  # as dense as cells
    steps = [torch.arange(-_MARGIN * n, (1 + _MARGIN) * n, spacing) for n in size.tolist()]
    pixels = torch.stack(torch.meshgrid(*steps, indexing="ij"), dim=-1).reshape(-1, 2)
    pixels = pixels[((pixels < 0) | (pixels >= size)).any(-1)]
    border, of_pixel = torch.maximum(pixels, torch.tensor(0.5)).minimum(size - 0.5).unique(dim=0, return_inverse=True)
    t, opacity = (values[of_pixel.to(device)] for values in _static_surface(model, frame, border.to(device)))
    pixels = pixels.to(device)
    pixels, t = pixels[opacity > _OPAQUE], t[opacity > _OPAQUE]
    return shell(model.frame_rays(frame, pixels), t, torch.full_like(t, 1.5 / config.resolution), config)


def _static_surface(
    model: SceneModel, frame: int, pixels: Float[Tensor, "n 2"]
) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
    """Ray parameter and opacity of the static field alone."""
    batch = model.renderer(model.frame_rays(frame, pixels))
    alone = static_alone(batch.static, batch.samples, batch.lengths)
    return alone.depth / alone.opacity.clamp_min(1e-6), alone.opacity


def _unseen(model: SceneModel, frames: list[int], cells: Bool[Tensor, "x y z"]) -> Bool[Tensor, "x y z"]:
    """Those whose centres are in none of these frames' pictures: of the others training knows better."""
    where = cells.nonzero()
    points = model.space.to_world((where + 0.5) / model.occupancy.config.resolution)
    width, height = model.cameras.width, model.cameras.height
    unseen = torch.ones(len(points), dtype=torch.bool, device=points.device)
    for frame in frames:
        pixels, depth = model.cameras.project(torch.full((len(points),), frame, device=points.device), points)
        x, y = pixels.unbind(1)
        unseen &= (x < 0) | (x >= width) | (y < 0) | (y >= height) | (depth <= 0)
    kept = torch.zeros_like(cells)
    kept[tuple(where[unseen].T)] = True
    return kept
