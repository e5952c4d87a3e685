"""transformers' segmenters of queries (MaskFormer, Mask2Former, OneFormer) as views: classes of pixels, or segments.

Each query says a class and a mask. The class of a pixel is made of all of them, by the processor's own semantic
post-processing; a segment is one query that the processor's own panoptic post-processing keeps.
"""

from __future__ import annotations

from copy import copy
from types import SimpleNamespace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from isotherm.cam.scores import Detection
from isotherm.cam.scores.named import Boxed
from isotherm.cam.view import Detections, Inputs, Pins, Prediction, Segmentation, View
from isotherm.errors import AdapterError
from isotherm.models.transformers.detect import grown_masks, own_threshold
from isotherm.models.transformers.other_jobs import AS_ONES_OWN, IN_A_MODULE
from isotherm.models.transformers.prepare import image_processor_of, takes
from isotherm.models.transformers.segment import SegmenterView
from isotherm.relevance.score import Score

LEAST = 1e-6
"""Least share that a class, or the rest beside it, is taken to have of a pixel: the logarithm of less would be all
noise.
"""
SPREAD = 1000
"""Classes of no name among which a query's remaining probability is spread, so that none of them is its likeliest."""


class UniversalView(SegmenterView):
    """Fulfils :class:`isotherm.cam.view.View`: a semantic segmenter; where a score asks for a finding, a detector of
    segments.

    The semantic logits are the log-odds of the class scores that the processor makes, so that their largest is the
    class that it reports. Segments are those of the processor's panoptic post-processing, in its order and with nothing
    fused; their ``logits`` are the query's whole row, whose last class, "no object", makes its softmax the reported
    confidence. Their boxes are the extents of their masks and have no gradient.

    Args:
        processor: has ``post_process_semantic_segmentation`` and ``post_process_panoptic_segmentation``; of OneFormer
            with the tokeniser that reads the task.
        confidence: least confidence of a segment; the processor's own default if None.
        arguments: as :class:`SegmenterView` has them; ``names`` are followed by one of "no object".
    """

    def __init__(self, model: Any, *, processor: Any, confidence: float | None, **arguments: Any) -> None:
        super().__init__(model, **arguments)
        self.decoder = image_processor_of(processor)
        if takes(self.decoder.post_process_semantic_segmentation, "size"):
            what = (
                f"{type(self.decoder).__name__} cuts pictures into parts or pads them, and puts its answer together again from the picture's size; "
                "where its classes lie over the input is not known, so they are not read"
            )
            raise AdapterError(f"{what}; {AS_ONES_OWN}", command_line=f"{what}; {IN_A_MODULE}")
        self.confidence = own_threshold(self.decoder.post_process_panoptic_segmentation, confidence)
        self.segments = False
        self.tasks = tasks_of(model, processor)

    def of_score(self, score: Score | None) -> View:
        """A view of the same model that reads segments for a score of findings, and classes of pixels for others."""
        other = copy(self)
        other.segments = isinstance(score, Detection | Boxed)
        return other

    def run(self, inputs: Inputs) -> Any:
        """The forward pass: the model's own output."""
        task = self.tasks.get("panoptic" if self.segments else "semantic")
        further = {} if task is None else {"task_inputs": task.to(inputs.tensor.device).expand(len(inputs), -1)}
        return self.call(inputs, **further)

    def answer(self, raw: Any) -> Tensor:
        """The likeliest class of the surest query."""
        return raw.class_queries_logits[..., :-1].flatten(1)

    def find(self, raw: Any, inputs: Inputs) -> Prediction:
        """Log-odds of the classes of every pixel, or the segments."""
        return self._segments(raw, inputs) if self.segments else self._classes(raw, inputs)

    def refind(self, raw: Any, inputs: Inputs, pins: Pins) -> Prediction:
        """The same queries, whose numbers mean the same in every picture; of pixels the same as :meth:`find`."""
        if not self.segments:
            return self.find(raw, inputs)
        device = raw.class_queries_logits.device
        row = torch.arange(len(inputs), device=device)
        query, classes = pins.candidate.to(device), pins.classes.to(device)
        chance = raw.class_queries_logits.detach().float().softmax(-1)[row, query, classes]
        return self._detections(raw, inputs, row, query, classes, chance, pins.boxes.to(device))

    def answers(self, raw: Any) -> tuple[Tensor, ...]:
        """What decides which segments are reported, and where."""
        return raw.class_queries_logits.detach(), raw.masks_queries_logits.detach()

    def _classes(self, raw: Any, inputs: Inputs) -> Segmentation:
        sizes = [inputs.frame.size] * len(inputs)
        made = self.decoder.post_process_semantic_segmentation(raw, target_sizes=sizes, return_segmentation_scores=True)
        share = torch.stack([one.segmentation_scores for one in made]).float()
        # several queries may add up to more than 1
        logits = share.clamp_min(LEAST).log() - (1 - share).clamp_min(LEAST).log()
        return Segmentation(logits, self.names)

    def _segments(self, raw: Any, inputs: Inputs) -> Detections:
        logits = raw.class_queries_logits
        with torch.no_grad():
            # the processor changes masks in place
            numbered = SimpleNamespace(
                class_queries_logits=numbered_classes(logits), masks_queries_logits=raw.masks_queries_logits.clone()
            )
            made = self.decoder.post_process_panoptic_segmentation(
                numbered,
                threshold=self.confidence,
                label_ids_to_fuse=set(),
                target_sizes=[inputs.frame.size] * len(inputs),
            )
            parts = [
                (i, info["label_id"], extent(one["segmentation"] == info["id"]))
                for i, one in enumerate(made)
                for info in one["segments_info"]
            ]
            picture = torch.tensor([p[0] for p in parts], dtype=torch.long, device=logits.device)
            query = torch.tensor([p[1] for p in parts], dtype=torch.long, device=logits.device)
            boxes = torch.tensor([p[2] for p in parts], dtype=torch.float32, device=logits.device).view(-1, 4)
            best = logits.float().softmax(-1)[picture, query].max(-1)
        return self._detections(raw, inputs, picture, query, best.indices, best.values, boxes)

    def _detections(
        self,
        raw: Any,
        inputs: Inputs,
        picture: Tensor,
        query: Tensor,
        classes: Tensor,
        confidence: Tensor,
        boxes: Tensor,
    ) -> Detections:
        return Detections(
            picture=picture,
            boxes=boxes,
            logits=raw.class_queries_logits[picture, query],
            classes=classes,
            confidence=confidence,
            candidate=query,
            names=(*self.names, "no object"),
            masks=grown_masks(raw.masks_queries_logits, inputs, picture, query),
            boxes_move=False,
        )


def numbered_classes(logits: Float[Tensor, "b q k"]) -> Float[Tensor, "b q _"]:
    """Class logits with the same largest probability for each query, whose likeliest class is the number of the query,
    or the last where that is "no object": so a processor tells which query a segment is of.

    Example:
        >>> made = numbered_classes(torch.tensor([[[1.0, 3.0, 0.0], [0.0, 1.0, 2.0], [0.0, 5.0, 0.0]]])).softmax(-1).max(-1)
        >>> made.indices.tolist(), [round(p, 4) for p in made.values[0].tolist()]
        ([[0, 1003, 2]], [0.8438, 0.6652, 0.9867])
    """
    best = logits.detach().float().softmax(-1).max(-1)
    queries = logits.shape[1]
    rest = torch.full((*best.values.shape, queries + SPREAD + 1), 0.0, device=logits.device)
    rest += ((1 - best.values) / (queries + SPREAD))[..., None]
    number = torch.arange(queries, device=logits.device).expand_as(best.indices)
    nothing = best.indices == logits.shape[-1] - 1
    place = torch.where(nothing, queries + SPREAD, number)
    return rest.scatter(-1, place[..., None], best.values[..., None]).log()


def extent(mask: Tensor) -> list[float]:
    """The box x0, y0, x1, y1 of a mask's pixels, (h, w)."""
    rows, columns = torch.nonzero(mask.any(1)).flatten(), torch.nonzero(mask.any(0)).flatten()
    return [float(columns[0]), float(rows[0]), float(columns[-1]) + 1, float(rows[-1]) + 1]


def tasks_of(model: Any, processor: Any) -> dict[str, Tensor]:
    """Tokens (1, l) of the sentence that tells the model which task it has, by task; empty where it reads none.

    Raises:
        AdapterError: it reads one, and there is no tokeniser.
    """
    if "task_inputs" not in (getattr(model, "main_input_name", None) or ()):
        return {}
    tokenizer = getattr(processor, "tokenizer", None)
    if tokenizer is None:
        raise AdapterError(
            f"{type(model).__name__} reads which task it has, but there is no tokeniser; pass processor=AutoProcessor.from_pretrained(...) of this model"
        )
    tokens: dict[str, Tensor] = {}
    for task in ("semantic", "panoptic"):
        made = tokenizer(
            [f"the task is {task}"],
            padding="max_length",
            max_length=int(getattr(processor, "task_seq_length", 77)),
            truncation=True,
            return_tensors="pt",
        )
        tokens[task] = made["input_ids"] * made["attention_mask"]
    return tokens
