"""The multiresolution hash grid as a module."""

from collections.abc import Callable
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn

from saff_fast.fields import in_torch
from saff_fast.fields.in_tcnn import TcnnEncoding
from saff_fast.ops import FlowSamples, HashGridLayout, flow_sample, hash_encode


class HashGrid(nn.Module):
    """A trainable table and its layout (Instant-NGP, section 3).

    Args:
        layout: Sizes and places of the levels.
        backend: `native`, `tcnn` or `torch`; the table is the same for all.
    """

    def __init__(self, layout: HashGridLayout, backend: str) -> None:
        super().__init__()
        self.layout = layout
        self.backend = backend
        self.table = nn.Parameter(torch.empty(layout.n_entries, layout.n_features).uniform_(-1e-4, 1e-4))
        self.register_buffer("openness", torch.ones(layout.n_outputs))
        self._encode = _encoder(layout, backend)

    def open(self, share: float) -> None:
        """Open the coarsest `share` of the levels, the last of them partly.

        Coarse to fine as in Nerfies, section 3.5, and BARF, equation 14, with a linear window. Encodings do not depend
        on it: what follows has to multiply them by `openness`, so that closed levels tell nothing and do not learn.
        """
        levels = torch.arange(self.layout.n_outputs, device=self.openness.device) // self.layout.n_features
        self.openness.copy_((share * self.layout.n_levels - levels).clamp(0, 1))

    def forward(self, positions: Float[Tensor, "n n_dims"]) -> Float[Tensor, "n n_outputs"]:
        """Encodings of `positions` in the unit cube."""
        return self._encode(positions, self.table)

    def displaced(
        self,
        positions: Float[Tensor, "n 3"],
        flows: Float[Tensor, "n_neighbours n 3"],
        times: Float[Tensor, "n_neighbours n"],
    ) -> FlowSamples:
        """Encodings at `positions + flows` at the neighbour `times`, and where that is."""
        if self.backend == "native":
            return flow_sample(positions, flows, times, self.table, self.layout)
        points = torch.cat([positions + flows, times.unsqueeze(-1)], dim=-1)
        encodings = self(points.flatten(0, 1)).unflatten(0, times.shape)
        return in_torch.placed(points[..., :3], times, encodings)


def _encoder(layout: HashGridLayout, backend: str) -> Callable[[Tensor, Tensor], Tensor]:
    if backend == "tcnn":
        return TcnnEncoding(layout)
    return partial({"native": hash_encode, "torch": in_torch.hash_encode}[backend], layout=layout)
