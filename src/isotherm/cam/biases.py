"""The biases of a network, which FullGrad counts as evidence beside the input.

Srinivas & Fleuret, "Full-gradient representation for neural network visualization" (NeurIPS 2019), section 3:
a piecewise-linear network's output is the sum of input gradient times input and bias gradient times bias,
where normalisation layers count with the bias that they amount to in eval mode.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from isotherm.cam.capture import Call
from isotherm.cam.layers import LayerRef
from isotherm.cam.receptive import Field
from isotherm.cam.trace import LayerTrace
from isotherm.cam.view import Inputs, Layout


def bias_layers(model: nn.Module) -> tuple[LayerRef, ...]:
    """Every convolution with a bias and every batch normalisation, in the order of ``named_modules()``."""
    return tuple(LayerRef(name, m) for name, m in model.named_modules() if effective_bias(m) is not None)


@torch.no_grad()
def effective_bias(module: nn.Module) -> Float[Tensor, " c"] | None:
    """What the module adds to each channel in eval mode; None for other modules."""
    bias = getattr(module, "bias", None)
    mean, var = getattr(module, "running_mean", None), getattr(module, "running_var", None)
    if isinstance(mean, Tensor) and isinstance(var, Tensor):
        weight = getattr(module, "weight", None)
        scale = (var + getattr(module, "eps", 1e-5)).rsqrt() * (1 if weight is None else weight)
        return -(mean * scale) + (0 if bias is None else bias)
    if isinstance(module, nn.Conv2d) and bias is not None:
        return bias.detach()
    return None


def bias_traces(
    calls: Sequence[Call],
    gradients: Sequence[Float[Tensor, "t ..."]],
    fields: Sequence[Field | None],
    inputs: Inputs,
    picture: Tensor,
) -> tuple[LayerTrace, ...]:
    """One LayerTrace per call that lies on a grid: the bias broadcast as activation, the gradient at its output."""
    traces = []
    for call, gradient, field in zip(calls, gradients, fields, strict=True):
        bias = effective_bias(call.layer.module)
        if bias is None or gradient.ndim != 4 or len(bias) != gradient.shape[1]:
            continue
        activation = bias.to(gradient)[None, :, None, None].expand_as(gradient)
        frame = Layout().frame(inputs, (gradient.shape[-2], gradient.shape[-1]), field)[picture]
        traces.append(LayerTrace(str(call), activation, gradient, frame))
    return tuple(traces)
