"""What Score-CAM, Ablation-CAM and Shapley-CAM share: one weight per channel, found by asking the model again."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from isotherm.cam.trace import LayerMap, LayerTrace, Trace
from isotherm.relevance.method import cell_dims


def channel_sum(product: Float[Tensor, "t c *m h w"]) -> Float[Tensor, "t *m h w"]:
    """How weighted activations become one map, unless they are projected."""
    return product.sum(1)


@dataclass(frozen=True, kw_only=True)
class ChannelWeighted(ABC):
    """A method whose map is sum_c w_c A_c.

    Args:
        reduce: how the weighted channels become one map; :func:`isotherm.cam.methods.eigen_smooth` changes it.
    """

    reduce: Callable[[Float[Tensor, "t c *m h w"]], Float[Tensor, "t *m h w"]] = channel_sum

    name: ClassVar[str]
    signed: ClassVar[bool] = True
    explains: ClassVar[frozenset[str]] = frozenset({"pictures"})
    needs: ClassVar[frozenset[str]]

    @abstractmethod
    def weights(self, trace: Trace, layer: int) -> Float[Tensor, "t c"]:
        """One weight per target and channel of the trace's ``layer``-th layer."""

    def __call__(self, trace: Trace) -> list[LayerMap]:
        return [self._map(trace, i, layer) for i, layer in enumerate(trace.need_layers())]

    def _map(self, trace: Trace, i: int, layer: LayerTrace) -> LayerMap:
        activation = layer.activation.to(torch.promote_types(layer.activation.dtype, torch.float32))
        weights = self.weights(trace, i).to(activation)
        return layer.map_of(self.reduce(weights.unflatten(1, (-1, *[1] * len(cell_dims(activation)))) * activation))
