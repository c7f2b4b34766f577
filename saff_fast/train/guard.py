"""What is not finite must not spread: whether a run is still sound, and with what step size it goes on if not."""

from collections.abc import Iterable

import torch
from torch import Tensor

from saff_fast.errors import UserError

_SMALLEST = 1 / 16
"""Share of the learning rate below which trying again is given up."""


class FiniteGuard:
    """Watches losses on their device and waits for it only when asked."""

    def __init__(self, device: torch.device) -> None:
        self._finite = torch.ones((), dtype=torch.bool, device=device)

    def watch(self, loss: Tensor) -> None:
        """Remember whether this loss is finite."""
        self._finite.logical_and_(loss.detach().isfinite())

    def is_sound(self, parameters: Iterable[Tensor]) -> bool:
        """Whether every loss watched so far and every parameter is finite; waits for the device."""
        parts = [parameter.detach().isfinite().all() for parameter in parameters]
        return bool(torch.stack([self._finite, *parts]).all())


def smaller(step_size: float, step: int) -> float:
    """Half of a factor on the learning rate, for going on from the last good state.

    Raises:
        UserError: if it has become too small for that to help.
    """
    if step_size <= _SMALLEST:
        raise UserError(
            f"the losses must be finite, but at step {step} they are not even with {step_size:g} of the learning rate; "
            "lower train.learning_rate, or look for priors that are wrong with `saff-fast prepare --report`"
        )
    return step_size / 2
