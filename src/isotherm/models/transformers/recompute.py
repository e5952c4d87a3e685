"""Graphs of one layer at a time: a model's layers keep their inputs alone and are computed again when a gradient
passes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from functools import partial
from typing import Any

from torch import nn
from torch.utils.checkpoint import checkpoint

from isotherm.cam.capture import evaluating
from isotherm.vlm.frozen import frozen_norms
from isotherm.vlm.graph import PIXELS, kept_graph
from isotherm.vlm.trace import frozen_weights


@contextmanager
def recomputed_layers(model: nn.Module) -> Iterator[None]:
    """Inside of the block a graph through the model's layers holds one layer's activations at a time, and each layer
    runs twice. Weights and norms are frozen, both times.

    It costs a second forward pass through the layers. Layers are what transformers marks as fit for it; in a model
    without any the graph is the usual one.
    """
    from transformers.modeling_layers import GradientCheckpointingLayer

    layers = [m for m in model.modules() if isinstance(m, GradientCheckpointingLayer)]
    before = [layer.__dict__.get("forward") for layer in layers]
    try:
        for layer in layers:
            layer.forward = partial(_later, layer, layer.forward)
        with _Frozen(model):
            yield
    finally:
        for layer, forward in zip(layers, before, strict=True):
            layer.__dict__.pop("forward", None)
            if forward is not None:
                layer.forward = forward


def _later(layer: nn.Module, forward: Any, *args: Any, **kwargs: Any) -> Any:
    return checkpoint(
        forward,
        *args,
        use_reentrant=False,
        preserve_rng_state=False,
        context_fn=lambda: (nullcontext(), _Frozen(layer)),
        **kwargs,
    )


class _Frozen:
    """How both computations run. The second comes when the blocks around the first have ended, maybe in another thread,
    and once for every gradient.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.entered: list[ExitStack] = []

    def __enter__(self) -> None:
        self.entered.append(ExitStack())
        # gradients are kept last, so that a norm is frozen with gradients on
        for one in (
            evaluating(self.model),
            frozen_weights(self.model),
            frozen_norms(),
            kept_graph(self.model, {}, start=PIXELS),
        ):
            self.entered[-1].enter_context(one)

    def __exit__(self, *raised: Any) -> None:
        self.entered.pop().__exit__(*raised)
