"""transformers' semantic segmenters (SegFormer, BEiT, MobileViT, UPerNet, DPT) as views."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from isotherm.cam.view import Inputs, LayerChoice, Layout, Pins, Prediction, Segmentation
from isotherm.errors import LayerError
from isotherm.models.shared.probe import Candidate
from isotherm.models.transformers.classify import EncoderView, model_type
from isotherm.models.transformers.layers import known_choice, last_named


class SegmenterView(EncoderView):
    """Fulfils :class:`isotherm.cam.view.View`; logits are brought to the input's size as the processor's own decoder
    does.
    """

    encoder: str | None = None
    """The part of the model at whose end is explained, where it is not the one that transformers names its base."""

    def __init__(self, model: Any, **arguments: Any) -> None:
        super().__init__(model, **arguments)
        self.default_method = "gradcam"
        self._within = ""

    def run(self, inputs: Inputs) -> Float[Tensor, "b k h w"]:
        """The forward pass: the model's own logits, mostly at a quarter of the input's size."""
        return self.call(inputs).logits

    def answer(self, raw: Float[Tensor, "b k h w"]) -> Tensor:
        """The likeliest class over the whole picture."""
        return raw.mean((2, 3))

    def find(self, raw: Any, inputs: Inputs) -> Prediction:
        """Logits (b, k, h, w) over the whole input."""
        size = (int(inputs.tensor.shape[-2]), int(inputs.tensor.shape[-1]))
        return Segmentation(F.interpolate(raw, size=size, mode="bilinear", align_corners=False), self.names)

    def refind(self, raw: Any, inputs: Inputs, pins: Pins) -> Prediction:
        """The same as :meth:`find`: a segmenter's answers cannot be reordered."""
        return self.find(raw, inputs)

    def layout(self, layer: str, output: Tensor, inputs: Inputs) -> Layout:
        """How a layer's output lies over the input: evenly, as the model stretches its answer."""
        return replace(super().layout(layer, output, inputs), spans=True)

    def auto_layers(self) -> LayerChoice:
        """The end of the encoder."""
        if self._choice is None:
            known = known_choice(self.model, self.rules, model_type(self.model))
            stages = last_named(self.model, r"segformer\.stages\.\d+")
            layers = (stages,) if stages else () if known is None else known.layers
            self._choice = self.settle(LayerChoice(layers, AT_THE_END) if layers else None)
        return self._choice

    def settle(self, known: LayerChoice | None) -> LayerChoice:
        """The family's choice if its layers can be explained; else the last of the encoder that can, else of all."""
        prefix = self.model.base_model_prefix
        base = prefix if prefix and hasattr(self.model, prefix) else "backbone"
        self._within = f"{self.encoder or base}."
        try:
            return super().settle(known)
        except LayerError:
            self._within = ""
            return super().settle(known)

    def among(self, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
        """Those of the part of the model that is looked at."""
        return [c for c in candidates if c[0].name.startswith(self._within)]


AT_THE_END = (
    "the end of the encoder: the decoder looks at each pixel by itself, so a map of its layers would only repeat the mask "
    "(Vinogradova et al., Seg-Grad-CAM, 2020)"
)
