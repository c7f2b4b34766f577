"""The backend `tcnn`: tiny-cuda-nn's grid and fused network, run on this package's own parameters.

Parameters stay where the other backends have them and reach tiny-cuda-nn in its layout at each call, so checkpoints,
the optimiser and a change of backend know nothing of it. Outputs are rounded to float16 on the way.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.func import functional_call

from saff_fast.fields.in_torch import in_unit_cube
from saff_fast.ops import HashGridLayout

_ALIGNMENT = 16  # widths that tiny-cuda-nn does not pad
_FUSED_WIDTHS = (16, 32, 64, 128)


class TcnnEncoding:
    """`saff_fast.ops.hash_encode` by tiny-cuda-nn, for layouts whose axes grow alike.

    Raises:
        ValueError: if the layout is not one of tiny-cuda-nn's.
    """

    def __init__(self, layout: HashGridLayout) -> None:
        import tinycudann

        self._n_outputs = layout.n_outputs
        self._module = tinycudann.Encoding(layout.n_dims, grid_config(layout))
        n_own, n_needed = self._module.params.numel(), layout.n_entries * layout.n_features
        if n_own != n_needed:
            raise ValueError(
                f"encoding backend tcnn: the table must have the {n_own} parameters that tiny-cuda-nn's rounding of "
                f"the resolutions gives, got {n_needed}; change finest_resolution a little or take 'native'"
            )
        self._module.params.data = self._module.params.new_empty(0)  # ours take their place

    def __call__(
        self, positions: Float[Tensor, "n n_dims"], table: Float[Tensor, "n_entries n_features"]
    ) -> Float[Tensor, "n n_outputs"]:
        """Encodings of `positions`."""
        encodings = functional_call(self._module, {"params": table.flatten()}, in_unit_cube(positions))
        return encodings[:, : self._n_outputs].to(positions.dtype)


class TcnnMlp:
    """`saff_fast.ops.mlp` by tiny-cuda-nn, for one hidden layer.

    Its networks have no biases: a column of ones among the inputs stands for the hidden layer's, and the last layer's
    is added to its outputs.

    Raises:
        ValueError: if there is not exactly one hidden layer.
    """

    def __init__(self, widths: tuple[int, ...]) -> None:
        import tinycudann

        if len(widths) != 3:
            raise ValueError(f"mlp backend tcnn: widths must be of inputs, one hidden layer and outputs, got {widths}")
        n_inputs, width, self._n_outputs = widths
        self._n_columns, self._n_rows = _aligned(n_inputs + 1), _aligned(self._n_outputs)
        config = {
            "otype": "FullyFusedMLP" if width in _FUSED_WIDTHS else "CutlassMLP",
            "activation": "ReLU",
            "output_activation": "None",
            "n_neurons": width,
            "n_hidden_layers": 1,
        }
        self._module = tinycudann.Network(self._n_columns, self._n_rows, config)

    def __call__(
        self, inputs: Float[Tensor, "n d_in"], weights: list[Tensor], biases: list[Tensor]
    ) -> Float[Tensor, "n d_out"]:
        """Outputs of the last, linear layer."""
        n_spare = self._n_columns - inputs.shape[1]
        columns = torch.nn.functional.pad(inputs, (0, n_spare), value=1.0)
        hidden = torch.cat([weights[0], biases[0].unsqueeze(1)], dim=1)
        hidden = torch.nn.functional.pad(hidden, (0, n_spare - 1))
        last = torch.nn.functional.pad(weights[1], (0, 0, 0, self._n_rows - self._n_outputs))
        parameters = torch.cat([hidden.flatten(), last.flatten()])
        outputs = functional_call(self._module, {"params": parameters}, columns)
        return outputs[:, : self._n_outputs].to(inputs.dtype) + biases[1]


def grid_config(layout: HashGridLayout) -> dict[str, Any]:
    """The options with which tiny-cuda-nn makes the grid of `layout`.

    Raises:
        ValueError: if an axis grows on its own.
    """
    if any(len(set(scales)) > 1 for scales in layout.scales):
        raise ValueError(
            "encoding backend tcnn: all axes of a grid must grow alike; set field.dynamic.time_axis to 'shared' and "
            "finest_depth of both fields to finest_resolution, or take 'native'"
        )
    base, finest = round(layout.scales[0][0] + 1), layout.scales[-1][0] + 1
    largest = max(end - begin for begin, end in zip(layout.offsets, layout.offsets[1:], strict=False))
    return {
        "otype": "HashGrid",
        "n_levels": layout.n_levels,
        "n_features_per_level": layout.n_features,
        "log2_hashmap_size": (largest - 1).bit_length(),
        "base_resolution": base,
        "per_level_scale": (finest / base) ** (1 / max(layout.n_levels - 1, 1)),
    }


def _aligned(width: int) -> int:
    return -(-width // _ALIGNMENT) * _ALIGNMENT
