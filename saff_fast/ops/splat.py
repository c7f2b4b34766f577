"""Images moved forward by optical flow."""

import torch
from jaxtyping import Float
from torch import Tensor

from saff_fast import kernels
from saff_fast.ops import checks


def splat(
    values: Float[Tensor, "height width n_channels"],
    weights: Float[Tensor, "height width"],
    flow: Float[Tensor, "height width 2"],
) -> tuple[Float[Tensor, "height width n_channels"], Float[Tensor, "height width"]]:
    """Sums of the pixels of an image, and of their weights, where `flow` takes them (method section 8.2).

    Pixel (x, y) lands at (x, y) + flow and is added to the four pixels around, with its weight times their bilinear
    shares; what lands outside of the image is dropped. `sums / (totals + 1e-7)` is the published average splatting;
    weights that fall with depth let near pixels win. On the CPU the result does not depend on the number of threads.

    Not differentiable: space-time interpolation splats rendered images and trains nothing.

    Args:
        values: Channels of each pixel, float32 or float64.
        weights: How much each pixel counts; a pixel of weight zero adds nothing, whatever its values.
        flow: Displacement (x, y) in pixels, x to the right and y down; a pixel whose flow is not finite is dropped.

    Returns:
        Sums of weight times value, and sums of weights; zero where nothing lands.

    Raises:
        ValueError: if a shape, dtype or device is wrong, or an argument requires gradients.

    Example:
        >>> values, weights = torch.tensor([[[8.0], [0.0]]]), torch.tensor([[1.0, 0.0]])
        >>> sums, totals = splat(values, weights, torch.tensor([[[0.25, 0.0], [0.0, 0.0]]]))
        >>> sums[..., 0], totals
        (tensor([[6., 2.]]), tensor([[0.7500, 0.2500]]))
    """
    name = "splat"
    tensors = {"values": values, "weights": weights, "flow": flow}
    checks.shape(name, {"height": None, "width": None, "n_channels": None}, values=values)
    height, width, _ = values.shape
    checks.shape(name, {"height": height, "width": width}, weights=weights)
    checks.shape(name, {"height": height, "width": width, "xy": 2}, flow=flow)
    checks.floats(name, **tensors)
    checks.one_device(name, **tensors)
    checks.constant(name, **tensors)
    sums, totals = _splat(values.contiguous(), weights.contiguous(), flow.contiguous())
    return sums, totals


@torch.library.custom_op("saff_fast::splat", mutates_args=())
def _splat(values: Tensor, weights: Tensor, flow: Tensor) -> tuple[Tensor, Tensor]:
    outputs = torch.zeros_like(values), torch.zeros_like(weights)
    kernels.call("splat", *values.shape, values, weights, flow, *outputs, like=values)
    return outputs


@_splat.register_fake
def _(values, weights, flow):
    return torch.empty_like(values), torch.empty_like(weights)
