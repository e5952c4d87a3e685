"""torchvision's one-stage detectors, RetinaNet, FCOS, SSD and SSDlite: a candidate is an anchor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from isotherm.cam.view import Detections, Inputs, Pins
from isotherm.models.torchvision.detectors import (
    DetectorView,
    batch_rows,
    clip_one_each,
    image_sizes,
    own_method,
    suppress,
)


@dataclass(frozen=True, eq=False)
class AnchorOutput:
    """What the head said about every anchor.

    Args:
        logits: (b, n, k).
        boxes: (b, n, 4) in the head's own code.
        centreness: (b, n) logit, of FCOS.
        anchors: per picture (n, 4).
        levels: anchors per level.
    """

    logits: Float[Tensor, "b n k"]
    boxes: Float[Tensor, "b n 4"]
    centreness: Float[Tensor, "b n"] | None
    anchors: tuple[Float[Tensor, "n 4"], ...]
    levels: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class _Chosen:
    """The findings of one picture: anchor, label and reported confidence, and boxes with graph."""

    anchor: Int[Tensor, " m"]
    label: Int[Tensor, " m"]
    score: Float[Tensor, " m"]
    boxes: Float[Tensor, "m 4"]


class AnchorView(DetectorView):
    """Fulfils :class:`isotherm.cam.view.View`. ``objectness`` is FCOS's centreness."""

    def __init__(self, model: Any, **arguments: Any) -> None:
        from torchvision.models.detection.fcos import FCOS
        from torchvision.models.detection.retinanet import RetinaNet
        from torchvision.models.detection.ssd import SSD

        self._owner = next(owner for owner in (RetinaNet, FCOS, SSD) if isinstance(model, owner))
        own_method(model, "postprocess_detections", self._owner)
        own_method(model, "forward", self._owner)
        self._softmax = self._owner is SSD
        self._centred = self._owner is FCOS
        super().__init__(model, **arguments)

    @staticmethod
    def count_classes(model: Any) -> int:
        """How many labels the model has, the background included where it has one."""
        from torchvision.models.detection.ssd import SSD

        head = model.head.classification_head
        return int(head.num_columns if isinstance(model, SSD) else head.num_classes)

    def run(self, inputs: Inputs) -> AnchorOutput:
        """Backbone, head and anchors, as the model's own forward runs them."""
        features = list(self._features(inputs).values())
        answer = self.model.head(features)
        anchors = self.model.anchor_generator(self._image_list(inputs), features)
        cells = [f.shape[-2] * f.shape[-1] for f in features]
        centreness = answer.get("bbox_ctrness")
        if self._softmax:
            levels = [answer["cls_logits"].shape[1]]  # SSD selects over all levels at once
        else:
            per_cell = answer["cls_logits"].shape[1] // sum(cells)
            levels = [c * per_cell for c in cells]
        return AnchorOutput(
            answer["cls_logits"],
            answer["bbox_regression"],
            None if centreness is None else centreness.squeeze(-1),
            tuple(anchors),
            tuple(levels),
        )

    def find(self, raw: AnchorOutput, inputs: Inputs) -> Detections:
        """The model's own findings, each with the logits of its anchor."""
        sizes = image_sizes(inputs)
        choose = self._choose_by_class if self._softmax else self._choose_by_level
        chosen = [choose(raw, i, size) for i, size in enumerate(sizes)]
        picture = batch_rows([len(c.anchor) for c in chosen], raw.logits.device)
        anchor = torch.cat([c.anchor for c in chosen])
        return self._sure(
            Detections(
                picture=picture,
                boxes=torch.cat([c.boxes for c in chosen]),
                logits=raw.logits[picture, anchor],
                classes=torch.cat([c.label for c in chosen]),
                confidence=torch.cat([c.score for c in chosen]),
                candidate=anchor,
                names=self.names,
                objectness=None if raw.centreness is None else raw.centreness[picture, anchor],
                activation="softmax" if self._softmax else "sigmoid",
                confidence_of_class=not self._centred,
            )
        )

    def refind(self, raw: AnchorOutput, inputs: Inputs, pins: Pins) -> Detections:
        """The same anchors, read again."""
        row = torch.arange(len(inputs), device=raw.logits.device)
        anchor, classes = pins.candidate.to(row.device), pins.classes.to(row.device)
        logits = raw.logits[row, anchor]
        places = torch.stack([raw.anchors[i][a] for i, a in enumerate(anchor.tolist())])
        centreness = None if raw.centreness is None else raw.centreness[row, anchor]
        with torch.no_grad():
            score = self._confidence(logits, centreness)[row, classes]
        return Detections(
            picture=row,
            boxes=clip_one_each(self._decode(raw.boxes[row, anchor], places), image_sizes(inputs)),
            logits=logits,
            classes=classes,
            confidence=score,
            candidate=anchor,
            names=self.names,
            objectness=centreness,
            activation="softmax" if self._softmax else "sigmoid",
            confidence_of_class=not self._centred,
        )

    def _confidence(self, logits: Float[Tensor, "n k"], centreness: Float[Tensor, " n"] | None) -> Float[Tensor, "n k"]:
        if self._softmax:
            return F.softmax(logits, dim=-1)
        if centreness is None:
            return torch.sigmoid(logits)
        return torch.sqrt(torch.sigmoid(logits) * torch.sigmoid(centreness[:, None]))

    def _decode(self, code: Float[Tensor, "n 4"], anchors: Float[Tensor, "n 4"]) -> Float[Tensor, "n 4"]:
        coder = self.model.box_coder
        return coder.decode(code, anchors) if self._centred else coder.decode_single(code, anchors)

    def _choose_by_level(self, raw: AnchorOutput, row: int, size: tuple[int, int]) -> _Chosen:
        """RetinaNet, FCOS: per level the best pairs of anchor and class, then suppression over all levels."""
        from torchvision.ops import clip_boxes_to_image

        parts, start = [], 0
        for count in raw.levels:
            here = slice(start, start + count)
            with torch.no_grad():
                centreness = None if raw.centreness is None else raw.centreness[row, here]
                score = self._confidence(raw.logits[row, here], centreness).flatten()
                above = torch.where(score > self.model.score_thresh)[0]
                score, order = score[above].topk(min(len(above), self.model.topk_candidates))
                pair = above[order]
            anchor, label = pair // raw.logits.shape[-1], pair % raw.logits.shape[-1]
            boxes = self._decode(raw.boxes[row, here][anchor], raw.anchors[row][here][anchor])
            parts.append(_Chosen(anchor + start, label, score, clip_boxes_to_image(boxes, size)))
            start += count
        return self._suppressed(parts)

    def _choose_by_class(self, raw: AnchorOutput, row: int, size: tuple[int, int]) -> _Chosen:
        """SSD: per class the best anchors, the background left out, then suppression."""
        from torchvision.ops import clip_boxes_to_image

        boxes = clip_boxes_to_image(self._decode(raw.boxes[row], raw.anchors[row]), size)
        with torch.no_grad():
            scores = F.softmax(raw.logits, dim=-1)[row]
        parts = []
        for label in range(1, scores.shape[1]):
            above = torch.where(scores[:, label] > self.model.score_thresh)[0]
            score, order = scores[above, label].topk(min(len(above), self.model.topk_candidates))
            anchor = above[order]
            parts.append(_Chosen(anchor, torch.full_like(anchor, label), score, boxes[anchor]))
        return self._suppressed(parts)

    def _suppressed(self, parts: list[_Chosen]) -> _Chosen:
        anchor, label, score, boxes = (
            torch.cat([getattr(p, f) for p in parts]) for f in ("anchor", "label", "score", "boxes")
        )
        keep = suppress(boxes, score, label, self.model.nms_thresh)[: self.model.detections_per_img]
        return _Chosen(anchor[keep], label[keep], score[keep], boxes[keep])
