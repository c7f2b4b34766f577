"""The multiresolution hash grid as a module."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from saff_fast.ops import HashGridLayout, hash_encode


class HashGrid(nn.Module):
    """A trainable table and its layout (Instant-NGP, section 3)."""

    def __init__(self, layout: HashGridLayout) -> None:
        super().__init__()
        self.layout = layout
        self.table = nn.Parameter(torch.empty(layout.n_entries, layout.n_features).uniform_(-1e-4, 1e-4))

    def forward(self, positions: Float[Tensor, "n n_dims"]) -> Float[Tensor, "n n_outputs"]:
        """Encodings of `positions` in the unit cube."""
        return hash_encode(positions, self.table, self.layout)
