"""The interface of tiny-cuda-nn's torch bindings in plain torch, to test without a GPU what is handed to it.

Options, order, sizes and padding of parameters follow its `grid.h`, `fully_fused_mlp.cu` and `cutlass_mlp.cu`.
"""

import numpy as np
import torch
from torch import nn

from saff_fast.ops import HashGridLayout, hash_encode


class Encoding(nn.Module):
    """`Encoding(n_input_dims, encoding_config)`: flat float32 parameters, level by level, entry by entry."""

    def __init__(self, n_input_dims, encoding_config):
        super().__init__()
        self.n_input_dims = n_input_dims
        self.layout = grid_layout(n_input_dims, **encoding_config)
        self.n_output_dims = self.layout.n_outputs
        self.params = nn.Parameter(torch.zeros(self.layout.n_entries * self.layout.n_features))

    def forward(self, x):
        assert x.shape[1] == self.n_input_dims
        table = self.params.half().float().reshape(self.layout.n_entries, -1)  # as tiny-cuda-nn stores it
        return hash_encode(x.float(), table, self.layout).half()


def grid_layout(n_dims, otype, n_levels, n_features_per_level, log2_hashmap_size, base_resolution, per_level_scale):
    """Sizes by tiny-cuda-nn's float32 arithmetic."""
    assert otype == "HashGrid"
    growth = np.log2(np.float32(per_level_scale))
    scales, resolutions, offsets = [], [], [0]
    for level in range(n_levels):
        scale = np.exp2(np.float32(level) * growth) * np.float32(base_resolution) - np.float32(1)
        resolution = int(np.ceil(scale)) + 1
        scales.append((float(scale),) * n_dims)
        resolutions.append((resolution,) * n_dims)
        offsets.append(offsets[-1] + min(-(-(resolution**n_dims) // 8) * 8, 2**log2_hashmap_size))
    return HashGridLayout(n_dims, n_features_per_level, tuple(resolutions), tuple(scales), tuple(offsets))


class Network(nn.Module):
    """`Network(n_input_dims, n_output_dims, network_config)`: matrices without biases, one after the other, by rows."""

    def __init__(self, n_input_dims, n_output_dims, network_config):
        super().__init__()
        assert (network_config["activation"], network_config["output_activation"]) == ("ReLU", "None")
        width, n_hidden = network_config["n_neurons"], network_config["n_hidden_layers"]
        assert network_config["otype"] == ("FullyFusedMLP" if width in (16, 32, 64, 128) else "CutlassMLP")
        self.n_input_dims, self.n_output_dims = n_input_dims, n_output_dims
        columns, rows = (-(-n // 16) * 16 for n in (n_input_dims, n_output_dims))
        self.shapes = [(width, columns), *[(width, width)] * (n_hidden - 1), (rows, width)]
        self.params = nn.Parameter(torch.zeros(sum(a * b for a, b in self.shapes)))

    def forward(self, x):
        assert x.shape[1] == self.n_input_dims
        padded = nn.functional.pad(x, (0, self.shapes[0][1] - x.shape[1]), value=1.0)  # its Identity encoding
        parts = self.params.split([a * b for a, b in self.shapes])
        *hidden, last = (part.reshape(shape) for part, shape in zip(parts, self.shapes, strict=True))
        for matrix in hidden:
            padded = torch.relu(padded @ matrix.T)
        return (padded @ last.T)[:, : self.n_output_dims].half()
