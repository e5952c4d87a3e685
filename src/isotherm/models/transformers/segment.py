"""transformers' semantic segmenters (SegFormer, BEiT, MobileViT, UPerNet, DPT) as views."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from isotherm.cam.view import Inputs, LayerChoice, Layout, Pins, Segmentation
from isotherm.models.transformers.classify import EncoderView
from isotherm.models.transformers.layers import last_named


class SegmenterView(EncoderView):
    """Fulfils :class:`isotherm.cam.view.View`; logits are brought to the input's size as the processor's own decoder
    does.
    """

    def __init__(self, model: Any, **arguments: Any) -> None:
        super().__init__(model, **arguments)
        self.default_method = "gradcam"

    def run(self, inputs: Inputs) -> Float[Tensor, "b k h w"]:
        """The forward pass: the model's own logits, mostly at a quarter of the input's size."""
        return self.call(inputs).logits

    def answer(self, raw: Float[Tensor, "b k h w"]) -> Tensor:
        """The likeliest class over the whole picture."""
        return raw.mean((2, 3))

    def find(self, raw: Float[Tensor, "b k h w"], inputs: Inputs) -> Segmentation:
        """Logits (b, k, h, w) over the whole input."""
        size = (int(inputs.tensor.shape[-2]), int(inputs.tensor.shape[-1]))
        return Segmentation(F.interpolate(raw, size=size, mode="bilinear", align_corners=False), self.names)

    def refind(self, raw: Float[Tensor, "b k h w"], inputs: Inputs, pins: Pins) -> Segmentation:
        """The same as :meth:`find`: a segmenter's answers cannot be reordered."""
        return self.find(raw, inputs)

    def layout(self, layer: str, output: Tensor, inputs: Inputs) -> Layout:
        """How a layer's output lies over the input: evenly, as the model stretches its answer."""
        return replace(super().layout(layer, output, inputs), spans=True)

    def auto_layers(self) -> LayerChoice:
        """The end of the encoder."""
        name = last_named(self.model, r"segformer\.stages\.\d+")
        if self._choice is None and name:
            self._choice = LayerChoice(
                (name,),
                "the encoder's last stage: the decoder looks at each pixel by itself, so a map of its layers would only repeat "
                "the mask (Vinogradova et al., Seg-Grad-CAM, 2020)",
            )
        return super().auto_layers()
