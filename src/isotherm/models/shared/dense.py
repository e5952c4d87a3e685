"""The view of any module that puts out logits for every pixel: binary and semantic segmenters that nobody described."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from isotherm.cam.premises import Premise
from isotherm.cam.view import Inputs, LayerChoice, Layout, Pins, Segmentation
from isotherm.errors import AdapterError
from isotherm.models.shared.classifier import where_it_lives
from isotherm.models.shared.grids import layout_of
from isotherm.models.shared.own_transform import Preparation
from isotherm.models.shared.preprocess import Pictures
from isotherm.models.shared.probe import Candidate, Places, last_grid, noise_inputs
from isotherm.relevance.modules import resolve

COARSEST = 32
"""Input pixels per cell beyond which a grid is no stage of an encoder but the inside of a pyramid pooling."""


def dense_logits(raw: Any) -> Float[Tensor, "b k h w"] | None:
    """The logits in what a segmenter puts out, itself or under ``out`` as torchvision's; None where there are none."""
    logits = raw.get("out") if isinstance(raw, Mapping) else raw
    return logits if isinstance(logits, Tensor) and logits.ndim == 4 and logits.is_floating_point() else None


class DenseView:
    """Fulfils :class:`isotherm.cam.view.View` for a module that maps (b, c, h, w) to (b, k, h', w') logits.

    With one channel its logit is that of a sigmoid. Logits of another size are brought to the input's, bilinearly.
    """

    default_method = "gradcam"

    def __init__(
        self,
        model: nn.Module,
        *,
        name: str,
        names: Sequence[str],
        preprocess: Preparation,
        premises: Sequence[Premise] = (),
    ) -> None:
        self.model = model
        self.premises = tuple(premises)
        self.name = name
        self.names: Sequence[str] = tuple(names)
        self.preprocess = preprocess
        self._choice: LayerChoice | None = None
        self.places = Places(model, self.run, self._declared)

    def prepare(self, pictures: Pictures) -> Inputs:
        """Pictures of any sizes -> one batch."""
        device, dtype = where_it_lives(self.model)
        return self.preprocess.batch(pictures, device=device, dtype=dtype)

    def run(self, inputs: Inputs) -> Float[Tensor, "b k h w"]:
        """The forward pass."""
        logits = dense_logits(self.model(inputs.tensor))
        if logits is None:
            raise AdapterError(
                f"{self.name} puts out no (pictures, classes, rows, columns) logits any more; it did when it was opened"
            )
        return logits

    def find(self, raw: Float[Tensor, "b k h w"], inputs: Inputs) -> Segmentation:
        """The logits with their names over the whole input."""
        if raw.shape[1] != len(self.names):
            raise AdapterError(
                f"{self.name} puts out {raw.shape[1]} channels of logits, but {len(self.names)} class names were given; pass names= with one name per channel"
            )
        size = (int(inputs.tensor.shape[-2]), int(inputs.tensor.shape[-1]))
        return Segmentation(
            raw
            if tuple(raw.shape[-2:]) == size
            else F.interpolate(raw, size=size, mode="bilinear", align_corners=False),
            self.names,
        )

    def refind(self, raw: Float[Tensor, "b k h w"], inputs: Inputs, pins: Pins) -> Segmentation:
        """The same as :meth:`find`: a segmenter's answers cannot be reordered."""
        return self.find(raw, inputs)

    def auto_layers(self) -> LayerChoice:
        """The end of the encoder, as running the model once shows it."""
        if self._choice is None:
            self._choice = self._probe()
        return self._choice

    def layout(self, layer: str, output: Tensor, inputs: Inputs) -> Layout:
        """How a layer's output lies over the input; refuses what it cannot place."""
        (ref,) = resolve(self.model, layer)
        return self.places.layout(ref.name, output, inputs)

    def _declared(self, name: str, output: Tensor, inputs: Inputs) -> Layout:
        """What the module and arithmetic say of a layer."""
        return layout_of(name, self.model.get_submodule(name), output, inputs)

    def _probe(self) -> LayerChoice:
        inputs = noise_inputs(self.prepare([np.zeros((*self.preprocess.sample, 3), np.uint8)]))
        with torch.no_grad():
            answer = self.run(inputs)
        size = (int(inputs.tensor.shape[-2]), int(inputs.tensor.shape[-1]))

        def among(candidates: Sequence[Candidate]) -> list[Candidate]:
            return _coarse(candidates, (int(answer.shape[-2]), int(answer.shape[-1])), size)

        grid = last_grid(self.places, lambda raw: raw.mean((2, 3)), inputs, among=among)
        return LayerChoice(
            (grid.name,),
            f"the last layer of this {type(self.model).__name__} on its coarsest grid ({grid.grid[0]} x {grid.grid[1]}), found by running the model "
            "once: later layers look at each pixel by itself, so a map of them would only repeat the mask (Vinogradova et al., Seg-Grad-CAM, 2020)",
        )


def _coarse(candidates: Sequence[Candidate], answer: tuple[int, int], size: tuple[int, int]) -> list[Candidate]:
    """The candidates on the coarsest grid, without the layer that puts out the answer itself."""
    kept = [c for c in candidates if c[1][0] * COARSEST >= size[0] and c[1][1] * COARSEST >= size[1]] or list(
        candidates
    )
    least = min(h * w for _, (h, w) in kept)
    kept = [c for c in kept if c[1][0] * c[1][1] == least]
    return kept[1:] if kept[0][1] == answer and len(kept) > 1 else kept
