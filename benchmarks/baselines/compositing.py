"""Joint compositing of a static and a dynamic field in vectorised torch, over a batch padded to the longest ray.

`composite` has the form of published NeRF code (SAFF's `raw2outputs_blending`): `(n_rays, n_samples)` tensors, a
cumulative product for the transmittance, products summed over the sample axis, autograd's own backward. Padding has
length zero.
"""

import torch
from torch import Tensor


def pad(values: Tensor, packed_info: Tensor) -> Tensor:
    """Packed samples `(n_samples, ...)` as `(n_rays, longest, ...)`, zeros behind the last sample of each ray."""
    pieces = [values[begin : begin + count] for begin, count in packed_info.tolist()]
    return torch.nn.utils.rnn.pad_sequence(pieces, batch_first=True)


def composite(sigmas: tuple[Tensor, Tensor], blends: Tensor, deltas: Tensor, channels: tuple[Tensor, Tensor]) -> Tensor:
    """Channels `(n_rays, n_channels)` of rays; densities and channels `(n_rays, n_samples, ...)`: static, dynamic."""
    static, dynamic = _weights(sigmas, blends, deltas)
    return (static[..., None] * channels[0] + dynamic[..., None] * channels[1]).sum(1)


def composite_einsum(
    sigmas: tuple[Tensor, Tensor], blends: Tensor, deltas: Tensor, channels: tuple[Tensor, Tensor]
) -> Tensor:
    """The same with batched matrix products for the sums: what a careful author would write for many channels."""
    static, dynamic = _weights(sigmas, blends, deltas)
    return torch.einsum("rs,rsc->rc", static, channels[0]) + torch.einsum("rs,rsc->rc", dynamic, channels[1])


def _weights(sigmas: tuple[Tensor, Tensor], blends: Tensor, deltas: Tensor) -> tuple[Tensor, Tensor]:
    static = (1 - blends) * (1 - torch.exp(-sigmas[0] * deltas))
    dynamic = blends * (1 - torch.exp(-sigmas[1] * deltas))
    trans = _transmittance((1 - static) * (1 - dynamic))
    return trans * static, trans * dynamic


def render_weights(sigmas: Tensor, deltas: Tensor) -> Tensor:
    """Weights `(n_rays, n_samples)` of one field's samples."""
    alphas = 1 - torch.exp(-sigmas * deltas)
    return _transmittance(1 - alphas) * alphas


def _transmittance(passing: Tensor) -> Tensor:
    through = torch.cumprod(passing, dim=1)
    return torch.cat([torch.ones_like(through[:, :1]), through[:, :-1]], dim=1)
