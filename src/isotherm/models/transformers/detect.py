"""transformers' query-based detectors (DETR and its kin, RT-DETR, D-FINE, YOLOS) as views.

Which queries are reported, in which order and with which score is decided by the processor's own post-processing: it
is given the number of each query in place of its box, so every finding comes back with the query it is from, and
whatever the family does (softmax or sigmoid, thresholds, the best k of all queries and classes) is never repeated here.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from isotherm.cam.activation import Activation
from isotherm.cam.view import Detections, Inputs, LayerChoice, Layout, MaskReader, Pins
from isotherm.errors import AdapterError, LayerError, OptionError
from isotherm.frame import Size
from isotherm.models.shared.probe import Candidate
from isotherm.models.transformers.classify import EncoderView, model_type
from isotherm.models.transformers.layers import TokenRule, detector_choice, layer_layout
from isotherm.models.transformers.prepare import Preparer, takes

NO_OBJECT = "no object"
FIXED_QUERIES = ("detr", "table-transformer", "conditional_detr", "dab-detr", "yolos", "owlvit", "owlv2")
"""Model types in which a query (or patch) is the same one in every picture. Others choose their queries in each."""


class QueryDetectorView(EncoderView):
    """Fulfils :class:`isotherm.cam.view.View` for ``...ForObjectDetection`` with learned labels.

    A candidate is a query. Findings have the order of the processor's own answer, which for DETR and YOLOS is that of
    the queries. ``logits`` are the model's whole row: where it has a column for nothing (DETR, YOLOS), that is the
    last class, named "no object", so that the softmax over the row is the reported confidence.

    Args:
        model, name, names, preparer: as in EncoderView.
        processor: has ``post_process_object_detection``.
        confidence: the threshold; the processor's own default if None.
    """

    confidence_of_class = True
    """Whether the reported confidence is the probability of the class alone."""

    def __init__(
        self,
        model: Any,
        *,
        name: str,
        names: Sequence[str],
        preparer: Preparer,
        processor: Any,
        confidence: float | None,
    ) -> None:
        super().__init__(model, name=name, names=names, preparer=preparer)
        self.default_method = "hirescam"
        self.confidence = own_threshold(self.decoder(processor), confidence)
        self.processor = processor
        self._grids: dict[Size, Size] = {}
        self._projection = flattened(model)

    def decoder(self, processor: Any) -> Any:
        """The processor's function that makes findings of outputs."""
        function = getattr(processor, "post_process_object_detection", None)
        if function is None:
            raise AdapterError(
                f"{type(processor).__name__} has no post_process_object_detection, so its findings are not known; give the detector's own processor"
            )
        return function

    # --- running ---------------------------------------------------------------------------------------

    def further(self, inputs: Inputs) -> dict[str, Any]:
        """Arguments of the forward pass beside the pixels."""
        mask = inputs.extra.get("pixel_mask")
        return {"pixel_mask": mask} if mask is not None and takes(self.model.forward, "pixel_mask") else {}

    def run(self, inputs: Inputs) -> Any:
        """The forward pass: the model's own output."""
        with self._watching_grid(inputs):
            return self.call(inputs, **self.further(inputs))

    @contextmanager
    def _watching_grid(self, inputs: Inputs):
        """Keep the (h, w) of the map that DETR flattens into tokens, which nothing in its output tells."""
        projection = self._projection[1]
        if projection is None:
            yield
            return
        size = (int(inputs.tensor.shape[-2]), int(inputs.tensor.shape[-1]))

        def hook(_module: nn.Module, _args: Any, output: Tensor) -> None:
            self._grids[size] = (int(output.shape[-2]), int(output.shape[-1]))

        handle = projection.register_forward_hook(hook)
        try:
            yield
        finally:
            handle.remove()

    # --- findings ----------------------------------------------------------------------------------------

    def rows(self, raw: Any) -> Float[Tensor, "b q k"]:
        """Class logits of every candidate."""
        return raw.logits

    def select(self, raw: Any) -> list[Mapping[str, Any]]:
        """The processor's own answer per picture, whose ``boxes`` begin with the number of the query."""
        return self.decoder(self.processor)(numbered_queries(raw), threshold=self.confidence)

    def boxes(self, raw: Any, inputs: Inputs) -> Float[Tensor, "b q 4"]:
        """Every candidate's box in input pixels, in float32; the model's own are shares of the picture."""
        shares = self.shares(raw)
        centre, size = shares[..., :2], shares[..., 2:]
        corners = torch.cat([centre - 0.5 * size, centre + 0.5 * size], -1)
        extent = inputs.extra["sizes"].to(device=corners.device, dtype=torch.float32).flip(-1)
        return corners.float() * extent.repeat(1, 2)[:, None]

    def shares(self, raw: Any) -> Float[Tensor, "b q 4"]:
        """Centre and size of every candidate's box, as shares of the picture."""
        return raw.pred_boxes

    def answers(self, raw: Any) -> tuple[Tensor, ...]:
        """What decides which queries are reported, and where; the rest of a model's output may hold anything where it
        is padded.
        """
        return self.rows(raw).detach(), self.shares(raw).detach()

    def find(self, raw: Any, inputs: Inputs) -> Detections:
        """What the processor's own post-processing reports, in its order."""
        with torch.no_grad():
            findings = self.select(raw)
            counts = torch.tensor([len(f["scores"]) for f in findings])
            device = self.rows(raw).device
            picture = torch.arange(len(findings)).repeat_interleave(counts).to(device)
            query = torch.cat([f["boxes"][:, 0].round().long() for f in findings]).to(device)
            confidence = torch.cat([f["scores"] for f in findings]).float()
            classes = self.classes(raw, findings, picture, query)
        return self._detections(raw, inputs, picture, query, classes, confidence)

    def classes(
        self, raw: Any, findings: Sequence[Mapping[str, Any]], picture: Tensor, query: Tensor
    ) -> Int[Tensor, " n"]:
        """The class of each finding."""
        return torch.cat([f["labels"] for f in findings]).long()

    def refind(self, raw: Any, inputs: Inputs, pins: Pins) -> Detections:
        """The same query where queries are fixed; else the one with the best IoU x class probability."""
        device = self.rows(raw).device
        picture = torch.arange(len(inputs), device=device)
        classes = pins.classes.to(device)
        with torch.no_grad():
            chance = self._probabilities(raw)[picture, :, classes]
            if model_type(self.model) in FIXED_QUERIES:
                query = pins.candidate.to(device)
            else:
                overlap = overlaps(self.boxes(raw, inputs), pins.boxes.to(device, torch.float32))
                # where nothing overlaps any more the likeliest stands for the finding, not query 0
                query = ((overlap + 1e-6) * chance).argmax(1)
            confidence = chance[picture, query].float()
        return self._detections(raw, inputs, picture, query, classes, confidence)

    def _probabilities(self, raw: Any) -> Float[Tensor, "b q k"]:
        rows = self.rows(raw)
        return rows.softmax(-1) if self._is_softmax() else rows.sigmoid()

    def _is_softmax(self) -> bool:
        return self.names[-1:] == (NO_OBJECT,)

    def _activation(self) -> Activation | None:
        """What makes the reported confidence of the class's logit."""
        return "softmax" if self._is_softmax() else "sigmoid"

    def _detections(
        self, raw: Any, inputs: Inputs, picture: Tensor, query: Tensor, classes: Tensor, confidence: Tensor
    ) -> Detections:
        rows = self.rows(raw)
        if rows.shape[-1] != len(self.names):
            raise AdapterError(
                f"{self.name} puts out {rows.shape[-1]} logits per query, but {len(self.names)} class names were given; pass one per logit"
            )
        return Detections(
            picture=picture,
            boxes=self.boxes(raw, inputs)[picture, query],
            logits=rows[picture, query],
            classes=classes,
            confidence=confidence,
            candidate=query,
            names=self.names,
            objectness=self.objectness(raw, picture, query),
            masks=self.masks(raw, inputs, picture, query),
            activation=self._activation(),
            confidence_of_class=self.confidence_of_class,
        )

    def objectness(self, raw: Any, picture: Tensor, query: Tensor) -> Float[Tensor, " n"] | None:
        """That there is anything at all, where the model has such a logit."""
        return None

    def masks(self, raw: Any, inputs: Inputs, picture: Tensor, query: Tensor) -> MaskReader | None:
        """The way to the findings' mask logits over the whole input, where the model makes masks."""
        masks = getattr(raw, "pred_masks", None)
        return None if masks is None else grown_masks(masks, inputs, picture, query)

    # --- layers ------------------------------------------------------------------------------------------

    def auto_layers(self) -> LayerChoice:
        """The layer or levels whose cells every finding depends on."""
        if self._choice is None:
            self._choice = self.settle(detector_choice(self.model, self._rules()))
        return self._choice

    def among(self, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
        """Those in front of the decoder, where there are any: its queries read a few points each, and a map of those
        would be specks.
        """
        return [c for c in candidates if ".decoder." not in f".{c[0].name}."] or candidates

    def layout(self, layer: str, output: Tensor, inputs: Inputs) -> Layout:
        """How a layer's output lies over the input; refuses what it cannot place."""
        layout = super().layout(layer, output, inputs)
        # those that choose their queries among the cells place cell i at i + 1/2 strides
        return layout if model_type(self.model) in FIXED_QUERIES else replace(layout, spans=True)

    def declared(self, layer: str, output: Tensor, inputs: Inputs) -> Layout:
        """What the model's configuration, its modules and arithmetic say of a layer."""
        return layer_layout(self.model, layer, output, inputs, self._rules())

    def _rules(self) -> list[TokenRule]:
        scope, projection = self._projection
        return self.rules if projection is None else [*self.rules, TokenRule(f"{scope}encoder.", self._observed)]

    def _observed(self, size: Size) -> Size:
        if size not in self._grids:
            raise LayerError(
                f"the grid of the encoder's tokens for an input of {size} is known once the model has run on one; run it first"
            )
        return self._grids[size]


def flattened(model: nn.Module) -> tuple[str, nn.Module | None]:
    """The convolution whose map DETR flattens into its encoder's tokens, and the beginning of the names beside it."""
    for name, module in model.named_modules():
        if name.endswith("model.input_projection"):
            return name.removesuffix("input_projection"), module
    return "", None


def own_threshold(decode: Any, confidence: float | None) -> float:
    """The confidence threshold: as given, or the processor's own default."""
    if confidence is None:
        return float(inspect.signature(decode).parameters["threshold"].default)
    if not 0 <= confidence <= 1:
        raise OptionError(f"confidence is {confidence}; expected a number from 0 to 1")
    return float(confidence)


def numbered_queries(raw: Any) -> SimpleNamespace:
    """A model's output whose boxes hold the number of their query as centre, and no size."""
    b, q = raw.logits.shape[:2]
    boxes = torch.zeros(b, q, 4, device=raw.logits.device)
    boxes[..., 0] = torch.arange(q)
    return SimpleNamespace(logits=raw.logits.detach(), pred_boxes=boxes, input_ids=getattr(raw, "input_ids", None))


def overlaps(boxes: Float[Tensor, "b q 4"], pinned: Float[Tensor, "b 4"]) -> Float[Tensor, "b q"]:
    """IoU of every box of a picture with the picture's pinned one."""
    other = pinned[:, None]
    low, high = torch.maximum(boxes[..., :2], other[..., :2]), torch.minimum(boxes[..., 2:], other[..., 2:])
    inter = (high - low).clamp_min(0).prod(-1)
    area = (boxes[..., 2:] - boxes[..., :2]).clamp_min(0).prod(-1) + (other[..., 2:] - other[..., :2]).prod(-1)
    return inter / (area - inter).clamp_min(1e-9)


def grown_masks(masks: Float[Tensor, "b q _ _"], inputs: Inputs, picture: Tensor, query: Tensor) -> MaskReader:
    """The way to mask logits of queries over the whole input."""
    size = (int(inputs.tensor.shape[-2]), int(inputs.tensor.shape[-1]))

    def grown(rows: Tensor | None = None) -> Float[Tensor, "n h w"]:
        mine = masks[picture, query].float() if rows is None else masks[picture[rows], query[rows]].float()
        return F.interpolate(mine[:, None], size=size, mode="bilinear", align_corners=False)[:, 0]

    return grown


def label_names(config: Any, columns: int | None = None) -> list[str]:
    """Class names by label number; with the class for nothing where there is a column more than labels."""
    known = {int(k): str(v) for k, v in (config.id2label or {}).items()}
    count = max([*known, -1]) + 1
    names = [known.get(i, f"class {i}") for i in range(count)]
    return [*names, NO_OBJECT] if columns == count + 1 else names
