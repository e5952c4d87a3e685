"""transformers' models of depth (Depth Anything, DPT, ZoeDepth, GLPN) as views."""

from __future__ import annotations

from typing import Any

from jaxtyping import Float
from torch import Tensor

from isotherm.cam.maps import Maps
from isotherm.cam.view import Inputs, Prediction
from isotherm.models.transformers.segment import SegmenterView


class DepthView(SegmenterView):
    """Fulfils :class:`isotherm.cam.view.View`: one map, of depth, in whatever unit the model was trained; of models of
    relative depth larger values are nearer.
    """

    def run(self, inputs: Inputs) -> Float[Tensor, "b h w"]:
        """The forward pass: the model's own depth, whatever its size."""
        return self.call(inputs).predicted_depth

    def answer(self, raw: Float[Tensor, "b h w"]) -> Tensor:
        """The mean over the whole picture."""
        return raw.mean((1, 2))[:, None]

    def find(self, raw: Any, inputs: Inputs) -> Prediction:
        """The map of depth, spread evenly over the input."""
        size = (int(raw.shape[-2]), int(raw.shape[-1]))
        return Maps(raw[:, None], self.names, inputs.frame.to_grid(size=size), peaked=False)
