"""Layers whose map is zero whatever is explained, as a normalisation stands directly behind them.

What a layer norm over channels makes of a cell does not change when the cell is scaled, or a constant is added. So its
gradient is at right angles to the cell's own values: gradient times activation sums to zero in every cell (Ba, Kiros
and Hinton, "Layer normalization", 2016, section 5.1). What an instance norm makes of a channel does not change when a
constant is added to all of its cells, so the mean gradient of every channel is zero, which are Grad-CAM's weights.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

LEAST = 1e-3
"""Share of what is summed that is left, below which the sum is taken to be zero by construction: rounding leaves some
1e-6, the constants that norms add to their variance up to 1e-4."""


def cancels(activation: Float[Tensor, "1 c *m h w"], gradient: Float[Tensor, "1 c *m h w"]) -> str:
    """Why maps of a layer are zero by construction, in words; nothing where they are not.

    Args:
        activation: what the layer put out for one input.
        gradient: of the answer at it.

    Example:
        >>> import torch
        >>> x = torch.randn(1, 8, 3, 3, requires_grad=True)
        >>> y = torch.nn.functional.layer_norm(x.movedim(1, -1), (8,)).square()[..., 0].sum()
        >>> cancels(x.detach(), torch.autograd.grad(y, x)[0]).partition(",")[0]
        'gradient times activation sums to zero in every cell'
    """
    activation, gradient = activation.detach().double(), gradient.detach().double()
    product = activation * gradient
    if activation.shape[1] > 1 and float(product.sum(1).abs().sum()) < LEAST * float(product.abs().sum()):
        return "gradient times activation sums to zero in every cell, as in front of a normalisation over channels"
    channels, cells = gradient.flatten(2), gradient[0, 0].numel()
    if cells > 1 and float(channels.sum(2).abs().sum()) < LEAST * float(channels.abs().sum()):
        return "the gradient of every channel sums to zero over its cells, as in front of an instance normalisation"
    return ""
