"""Times without a training frame: where the dynamic field is worth looking at."""

import torch
from jaxtyping import Float
from torch import Tensor

from saff_fast.render.occupancy import SeenSamples
from saff_fast.train.model import SceneModel


@torch.no_grad()
def carry_occupancy(model: SceneModel) -> None:
    """Fill the occupancy of untrained times from the frames beside them, through scene flow.

    Training asked the dynamic field at those times only where the flow of a neighbour frame led, so what it holds
    elsewhere is noise. Every pixel of the neighbours is looked at, and every cell; a gap of several frames fills from
    its ends.
    """
    occupancy = model.occupancy
    if not occupancy.learns:
        return
    known = set(occupancy.trained.nonzero().flatten().tolist())
    unknown = set(range(model.n_frames)) - known
    while known and unknown:
        reached = {frame: {frame - 1, frame + 1} & known for frame in unknown if {frame - 1, frame + 1} & known}
        for frame, neighbours in reached.items():
            carried = [_carried(model, neighbour, frame - neighbour) for neighbour in sorted(neighbours)]
            positions, weights = (torch.cat(parts) for parts in zip(*carried, strict=True))
            occupancy.observe_untrained(frame, SeenSamples(positions, weights))
        occupancy.refresh()
        known |= reached.keys()
        unknown -= reached.keys()


def _carried(model: SceneModel, frame: int, sign: int) -> tuple[Float[Tensor, "n 3"], Float[Tensor, " n"]]:
    """Where the dynamic samples of `frame` are one frame later (+1) or earlier (-1), and their weights."""
    positions, weights = [], []
    lattice = model.cameras.lattice(max(model.cameras.height, model.occupancy.config.resolution))
    for pixels in lattice.split(model.occupancy.rays_at_once):
        batch = model.renderer(model.frame_rays(frame, pixels))
        flows = batch.dynamic.flows_fw if sign > 0 else batch.dynamic.flows_bw
        moved = batch.positions[batch.samples.dynamic_indices] + flows
        inside = ((moved >= 0) & (moved < 1)).all(-1)
        positions.append(moved[inside])
        weights.append(batch.dynamic_weights[inside])
    return torch.cat(positions), torch.cat(weights)
