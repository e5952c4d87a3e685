"""The view of any module that puts out logits for every pixel: binary and semantic segmenters that nobody described."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from isotherm.cam.view import Inputs, LayerChoice, Pins, Segmentation
from isotherm.errors import AdapterError
from isotherm.models.shared.module_view import ModuleView
from isotherm.models.shared.probe import Candidate, last_grid

COARSEST = 32
"""Input pixels per cell beyond which a grid is no stage of an encoder but the inside of a pyramid pooling."""


def dense_logits(raw: Any) -> Float[Tensor, "b k h w"] | None:
    """The logits in what a segmenter puts out, itself or under ``out`` as torchvision's; None where there are none."""
    logits = raw.get("out") if isinstance(raw, Mapping) else raw
    return logits if isinstance(logits, Tensor) and logits.ndim == 4 and logits.is_floating_point() else None


@dataclass(frozen=True, eq=False)
class DenseOutput:
    """What a segmenter's forward pass left: what it put out, and the (b, k, h, w) logits in it."""

    raw: Any
    logits: Float[Tensor, "b k h w"]


class DenseView(ModuleView):
    """Fulfils :class:`isotherm.cam.view.View` for a module that puts out (b, k, h', w') logits, itself or in a part
    of its output.

    With one channel its logit is that of a sigmoid. Logits of another size are brought to the input's, bilinearly.
    """

    def __init__(self, model: nn.Module, **arguments: Any) -> None:
        super().__init__(model, **arguments)
        self._choice: LayerChoice | None = None

    def run(self, inputs: Inputs) -> DenseOutput:
        """The forward pass."""
        raw = super().run(inputs)
        logits = dense_logits(self.calling.logits(raw))
        if logits is None:
            raise AdapterError(
                f"{self.name} puts out no (pictures, classes, rows, columns) logits any more; it did when it was opened"
            )
        return DenseOutput(raw, logits)

    def find(self, raw: DenseOutput, inputs: Inputs) -> Segmentation:
        """The logits with their names over the whole input."""
        logits = raw.logits
        if logits.shape[1] != len(self.names):
            raise AdapterError(
                f"{self.name} puts out {logits.shape[1]} channels of logits, but {len(self.names)} class names were given; pass names= with one name per channel"
            )
        size = (int(inputs.tensor.shape[-2]), int(inputs.tensor.shape[-1]))
        if tuple(logits.shape[-2:]) != size:
            logits = F.interpolate(logits, size=size, mode="bilinear", align_corners=False)
        return Segmentation(logits, self.names, raw.raw)

    def refind(self, raw: DenseOutput, inputs: Inputs, pins: Pins) -> Segmentation:
        """The same as :meth:`find`: a segmenter's answers cannot be reordered."""
        return self.find(raw, inputs)

    def auto_layers(self) -> LayerChoice:
        """The end of the encoder, as running the model once shows it."""
        if self.known is not None:
            return self.known
        if self._choice is None:
            self._choice = self._probe()
        return self._choice

    def _probe(self) -> LayerChoice:
        inputs = self._noise()
        with torch.no_grad():
            answer = self.run(inputs).logits
        size = (int(inputs.tensor.shape[-2]), int(inputs.tensor.shape[-1]))

        def among(candidates: Sequence[Candidate]) -> list[Candidate]:
            return coarsest(candidates, (int(answer.shape[-2]), int(answer.shape[-1])), size)

        grid = last_grid(self.places, lambda raw: raw.logits.mean((2, 3)), inputs, among=among)
        return LayerChoice(
            (grid.name,),
            f"the last layer of this {type(self.model).__name__} on its coarsest grid ({grid.grid[0]} x {grid.grid[1]}), found by running the model "
            "once: later layers look at each pixel by itself, so a map of them would only repeat the mask (Vinogradova et al., Seg-Grad-CAM, 2020)",
        )


def coarsest(candidates: Sequence[Candidate], answer: tuple[int, int], size: tuple[int, int]) -> list[Candidate]:
    """The candidates on the coarsest grid, without the layer that puts out the answer itself.

    Args:
        candidates: grids, the last first.
        answer: (h, w) of the output.
        size: (h, w) of the input.
    """
    kept = [c for c in candidates if c[1][0] * COARSEST >= size[0] and c[1][1] * COARSEST >= size[1]] or list(
        candidates
    )
    least = min(h * w for _, (h, w) in kept)
    kept = [c for c in kept if c[1][0] * c[1][1] == least]
    return kept[1:] if kept[0][1] == answer and len(kept) > 1 else kept
