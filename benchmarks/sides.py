"""Cases made of two functions of the same tensors: their values, and their values with gradients."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from harness import Case
from torch import Tensor


@dataclass(frozen=True)
class Sides:
    """An op and its baseline, functions of the same tensors."""

    native: Callable[..., Tensor]
    reference: Callable[..., Tensor]
    reference_name: str
    inputs: Sequence[Tensor]

    def forward(self, name: str, unit: str) -> Case:
        ours, reference = (lambda f=f: f(*self.inputs) for f in (self.native, self.reference))
        torch.testing.assert_close(ours(), reference(), rtol=1e-4, atol=1e-4 * float(reference().abs().max()))
        return Case(name=name, unit=unit, ours=ours, reference=reference, reference_name=self.reference_name)

    def forward_backward(self, name: str, unit: str, differentiable: Sequence[int] | None = None) -> Case:
        """Values and the gradients of the inputs with these indices, by default all."""
        wanted = range(len(self.inputs)) if differentiable is None else differentiable
        upstream = torch.randn_like(self.native(*self.inputs))
        ours, reference = (gradients(f, self.inputs, wanted, upstream) for f in (self.native, self.reference))
        for actual, expected in zip(ours(), reference(), strict=True):
            # By norm: where rounding turns a ReLU, which of 10^5 rows a few do, what is behind it differs.
            if not (actual - expected).norm() <= 1e-2 * expected.norm():
                raise AssertionError(f"{name}: the gradients of both sides must be the same")
        return Case(name=name, unit=unit, ours=ours, reference=reference, reference_name=self.reference_name)


def gradients(
    function: Callable[..., Tensor], inputs: Sequence[Tensor], wanted: Sequence[int], upstream: Tensor
) -> Callable[[], Sequence[Tensor]]:
    """A forward and a backward pass."""

    def run() -> Sequence[Tensor]:
        leaves = [t.detach().requires_grad_(i in wanted) for i, t in enumerate(inputs)]
        return torch.autograd.grad(function(*leaves), [leaves[i] for i in wanted], upstream)

    return run
