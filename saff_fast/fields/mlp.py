"""The small network behind a hash grid."""

from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from saff_fast.fields import in_torch
from saff_fast.fields.in_tcnn import TcnnMlp
from saff_fast.ops import mlp


class Mlp(nn.Module):
    """Linear layers with ReLU between them.

    Args:
        widths: Of the inputs, each hidden layer and the outputs.
        backend: `native`, `tcnn` or `torch`; the parameters are the same for all.
    """

    def __init__(self, widths: tuple[int, ...], backend: str) -> None:
        super().__init__()
        layers = [nn.Linear(a, b) for a, b in pairwise(widths)]
        for layer in layers:
            nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
        self.weights = nn.ParameterList(layer.weight for layer in layers)
        self.biases = nn.ParameterList(layer.bias for layer in layers)
        self._run = TcnnMlp(widths) if backend == "tcnn" else {"native": mlp, "torch": in_torch.mlp}[backend]

    def forward(
        self, inputs: Float[Tensor, "n d_in"], openness: Float[Tensor, " d_in"], n_outputs: int | None = None
    ) -> Float[Tensor, "n d_out"]:
        """Outputs of the last, linear layer, the first `n_outputs` or all, for inputs times their `openness`."""
        weights, biases = list(self.weights), list(self.biases)
        weights[0] = weights[0] * openness  # the same as scaling the inputs, which are larger by orders
        if n_outputs is not None:
            weights[-1], biases[-1] = weights[-1][:n_outputs], biases[-1][:n_outputs]
        return self._run(inputs, weights, biases)

    @torch.no_grad()
    def scale_output(self, rows: slice, factor: float) -> None:
        """Scale the last layer's initial weights of some outputs."""
        self.weights[-1][rows] *= factor
