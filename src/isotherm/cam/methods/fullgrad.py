"""FullGrad: the evidence of the input and of every bias in the network.

Srinivas & Fleuret, "Full-gradient representation for neural network visualization" (NeurIPS 2019), eqs. 3 and 5.
A network of ReLUs is linear around each picture: its score is input gradient times input plus, for every bias, bias
gradient times bias, exactly (eq. 3). The map of eq. 5 gives up that balance for looks: each channel's absolute
values are stretched to [0, 1], enlarged and summed. Both are here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from isotherm.cam.methods.scoring import batch_on, check_batch
from isotherm.cam.trace import LayerMap, LayerTrace, Trace
from isotherm.errors import MethodError
from isotherm.ops.resample import to_frame


@dataclass(frozen=True, kw_only=True)
class FullGrad:
    """Input and bias evidence over the input's pixels; target layers are not looked at.

    Args:
        channels: ``stretched`` sums each channel's absolute values after stretching them to [0, 1] (eq. 5);
            ``exact`` sums them as they are, signed and with each layer's total kept, so that the map sums to the score
            of a network of ReLUs, less what biases behind the last grid (linear layers) add.
        batch: pictures per pass for the input gradient; None: 4 on a CPU, 32 elsewhere.
    """

    channels: Literal["stretched", "exact"] = "stretched"
    batch: int | None = None

    name = "FullGrad"
    explains = frozenset({"pictures"})
    needs = frozenset({"rerun", "bias"})

    def __post_init__(self) -> None:
        check_batch(self.batch)
        if self.channels not in ("stretched", "exact"):
            raise MethodError(f"channels is {self.channels!r}; expected stretched or exact")

    @property
    def signed(self) -> bool:
        """Only the exact decomposition is signed."""
        return self.channels == "exact"

    def __call__(self, trace: Trace) -> list[LayerMap]:
        values = self._input_part(trace)
        for bias in trace.biases:
            values = values + self._bias_part(bias, trace).to(values)
        return [LayerMap("input and biases", values, trace.frame)]

    def _input_part(self, trace: Trace) -> Tensor:
        rerun = trace.need_rerun()
        parts = []
        for rows in torch.arange(len(trace)).split(batch_on(trace.inputs.tensor.device, self.batch)):
            whole = trace.input_of(rows)
            _, gradient = rerun.input_gradient(whole, rows)
            dtype = torch.promote_types(whole.dtype, torch.float32)
            parts.append(self._summed(gradient.to(dtype) * whole.to(dtype)))
        return torch.cat(parts)

    def _bias_part(self, bias: LayerTrace, trace: Trace) -> Tensor:
        gradient = bias.need_gradient()
        dtype = torch.promote_types(gradient.dtype, torch.float32)
        summed = self._summed(bias.activation.to(dtype) * gradient.to(dtype))
        # enlarging is linear, so the channels are summed first and one map is enlarged instead of hundreds
        if not self.signed:
            return to_frame(summed, bias.frame, trace.frame, outside="edge")
        return _enlarged_with_total(summed, bias, trace)

    def _summed(self, product: Tensor) -> Tensor:
        return product.sum(1) if self.signed else _stretched(product.abs()).sum(1)


def _stretched(product: Tensor) -> Tensor:
    """Each channel to [0, 1]; one that is constant up to rounding becomes 0."""
    low, high = product.amin((2, 3), keepdim=True), product.amax((2, 3), keepdim=True)
    extent = high - low
    flat = extent <= 32 * torch.finfo(product.dtype).eps * high
    return torch.where(
        flat, torch.zeros_like(product), (product - low) / torch.where(flat, torch.ones_like(extent), extent)
    )


def _enlarged_with_total(summed: Tensor, bias: LayerTrace, trace: Trace) -> Tensor:
    """Over the input's pixels, with the sum over pixels equal to the sum over cells."""
    with torch.enable_grad():
        probe = torch.zeros_like(summed, requires_grad=True)
        large = to_frame(probe, bias.frame, trace.frame, outside="edge")
        # how much of each cell the pixels read altogether: the column sums of the interpolation
        (read,) = torch.autograd.grad(large.sum(), probe)
    share = torch.where(read > 0, summed / torch.where(read > 0, read, torch.ones_like(read)), torch.zeros_like(summed))
    return to_frame(share, bias.frame, trace.frame, outside="edge")


fullgrad = FullGrad()
