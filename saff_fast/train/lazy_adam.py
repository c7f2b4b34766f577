"""An optimiser for tables of which each batch touches a small part."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from saff_fast.ops import lazy_adam


class LazyAdam(torch.optim.Optimizer):
    """Adam that skips blocks of 16 values whose gradients are all zero (`saff_fast.ops.lazy_adam`).

    Arguments and state are those of `torch.optim.Adam`, so that either resumes what the other has begun; where no
    gradient is zero, they do the same. There is no weight decay: it would touch every value. The step is counted on
    the host, so a captured CUDA graph would repeat one step's bias correction and learning rate.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps})

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor | None:
        """Update all parameters that have a gradient; the loss if `closure` computes it anew.

        Raises:
            ValueError: if a parameter is not contiguous float32 or float64, or a group's number is out of range.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, group["lr"], group["betas"], group["eps"])
        return loss

    def _update(self, parameter: Tensor, lr: float, betas: tuple[float, float], eps: float) -> None:
        state = self.state[parameter]
        if not state:
            state["step"] = torch.tensor(0.0)
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
        state["step"] += 1
        moments = state["exp_avg"], state["exp_avg_sq"]
        lazy_adam(parameter, parameter.grad, *moments, int(state["step"]), lr, betas, eps)
