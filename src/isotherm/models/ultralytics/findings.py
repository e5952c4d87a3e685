"""From a head's raw output to findings: what the package's own predict reports, with the graph attached.

Which anchors survive is decided by the package's own non-maximum suppression (or the head's own top-k for
end-to-end branches) on detached values; boxes, logits, masks and keypoints are then read from the output itself,
at those anchors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from isotherm.cam.scores.detections import iou
from isotherm.cam.view import Detections, Inputs, Pins
from isotherm.models.ultralytics.anchors import read_anchors
from isotherm.models.ultralytics.head import AnchorOutput, QueryOutput, borrowed
from isotherm.models.ultralytics.masks import mask_coefficients, mask_reader, not_empty

PATIENCE_S = 1e9
"""The package stops suppressing after two seconds and drops what is left; a slow machine must not change the answer."""


@dataclass(frozen=True)
class Thresholds:
    """What counts as a finding.

    Args:
        confidence: in [0, 1], more than this.
        iou: in [0, 1], a box that overlaps a better one by more is dropped.
        max_detections: per picture.
        agnostic: boxes of different classes suppress one another.
        only: class indices to report, or None for all.
    """

    confidence: float = 0.25
    iou: float = 0.7
    max_detections: int = 300
    agnostic: bool = False
    only: tuple[int, ...] | None = None


@dataclass(frozen=True, eq=False)
class Picked:
    """Columns of an :class:`AnchorOutput` that are findings, ordered by picture and confidence; all (n,)."""

    picture: Int[Tensor, " n"]
    column: Int[Tensor, " n"]
    classes: Int[Tensor, " n"]
    confidence: Float[Tensor, " n"]

    def keep(self, which: Tensor) -> Picked:
        return Picked(self.picture[which], self.column[which], self.classes[which], self.confidence[which])


def find_anchors(out: AnchorOutput, head: Any, inputs: Inputs, t: Thresholds, names: Sequence[str]) -> Detections:
    """The findings of an anchor-based model."""
    with torch.no_grad():
        picked = _end_to_end(out, head, t) if out.end_to_end else _suppress(out, head, t)
        if out.proto is not None:
            # predict drops findings whose mask is empty, which moves all later ones up
            size = (inputs.tensor.shape[-2], inputs.tensor.shape[-1])
            boxes = _corners(_rows(out.dense, picked)[:, :4].float(), out.corners)
            picked = picked.keep(
                not_empty(mask_coefficients(out, picked.picture, picked.column), out.proto, boxes, picked.picture, size)
            )
    return _detections(out, head, inputs, picked, names)


def refind_anchors(out: AnchorOutput, head: Any, inputs: Inputs, pins: Pins, names: Sequence[str]) -> Detections:
    """The same anchors read from other pictures, one per row of the batch."""
    device = out.dense.device
    candidate, classes = pins.candidate.to(device), pins.classes.to(device)
    picture = torch.arange(len(candidate), device=device)
    if out.kept is None:
        row = out.logits[picture, :, candidate]
        confidence = row[picture, classes].detach().float().sigmoid()
        return _detections(out, head, inputs, Picked(picture, candidate, classes, confidence), names)
    # the proposal filter of a prompt-free head may have dropped an anchor: read the wanted ones past it
    wanted = read_anchors(out, head, candidate)
    confidence = wanted.logits[picture, :, picture][picture, classes].detach().float().sigmoid()
    return _detections(wanted, head, inputs, Picked(picture, picture, classes, confidence), names)


def find_queries(out: QueryOutput, inputs: Inputs, t: Thresholds, names: Sequence[str]) -> Detections:
    """The findings of an RT-DETR: its own list, cut at the threshold."""
    with torch.no_grad():
        score, label = out.pred[..., 4], out.pred[..., 5].long()
        good = score > t.confidence
        if t.only is not None:
            good &= torch.isin(label, torch.tensor(t.only, device=label.device))
        good &= good.cumsum(1) <= t.max_detections
        picture, place = torch.nonzero(good, as_tuple=True)
        query, classes, confidence = out.query[picture, place], label[picture, place], score[picture, place].float()
    return _queries(out, inputs, picture, query, classes, confidence, names)


def refind_queries(out: QueryOutput, inputs: Inputs, pins: Pins, names: Sequence[str]) -> Detections:
    """The query of each row that fits its pin best, by IoU x class probability: queries have no fixed place."""
    device = out.logits.device
    classes = pins.classes.to(device)
    picture = torch.arange(len(classes), device=device)
    with torch.no_grad():
        boxes = _query_boxes(out.boxes, inputs)
        probability = out.logits.float().sigmoid()[picture, :, classes]
        fit = torch.stack([iou(b, pin[None]) for b, pin in zip(boxes, pins.boxes.to(boxes), strict=True)]) * probability
        query = fit.argmax(1)
    return _queries(out, inputs, picture, query, classes, probability[picture, query], names)


def _suppress(out: AnchorOutput, head: Any, t: Thresholds) -> Picked:
    from ultralytics.utils.nms import non_max_suppression

    rotated = "angle" in out.raw
    kept, columns = non_max_suppression(
        out.dense.detach().float(),
        t.confidence,
        t.iou,
        classes=None if t.only is None else list(t.only),
        agnostic=t.agnostic,
        max_det=t.max_detections,
        nc=out.classes,
        rotated=rotated,
        return_idxs=True,
        max_time_img=PATIENCE_S,
    )
    device = out.dense.device
    picture = torch.repeat_interleave(
        torch.arange(len(kept), device=device), torch.tensor([len(f) for f in kept], device=device)
    )
    rows = torch.cat(kept)
    return Picked(picture, torch.cat([c.flatten().long() for c in columns]), rows[:, 5].long(), rows[:, 4].float())


def _end_to_end(out: AnchorOutput, head: Any, t: Thresholds) -> Picked:
    scores = out.dense[:, 4 : 4 + out.classes].detach().transpose(1, 2)
    with borrowed(head, agnostic_nms=t.agnostic, export=False):
        score, label, column = head.get_topk_index(scores, max(t.max_detections, 300))
    score, label = score[..., 0].float(), label[..., 0].long()
    good = score > t.confidence
    if t.only is not None:
        good &= torch.isin(label, torch.tensor(t.only, device=label.device))
    good &= good.cumsum(1) <= t.max_detections
    picture, place = torch.nonzero(good, as_tuple=True)
    return Picked(picture, column[picture, place], label[picture, place], score[picture, place])


def _detections(out: AnchorOutput, head: Any, inputs: Inputs, picked: Picked, names: Sequence[str]) -> Detections:
    rows = _rows(out.dense, picked)
    logits = out.logits[picked.picture, :, picked.column].float()
    size = (inputs.tensor.shape[-2], inputs.tensor.shape[-1])
    masks = None
    if out.proto is not None:
        coefficients = mask_coefficients(out, picked.picture, picked.column)
        masks = mask_reader(coefficients, out.proto, picked.picture, size)
    keypoints = None
    if "kpts" in out.raw:
        keypoints = _keypoints(out, head, picked, rows[:, 4 + out.classes :].float(), logits)
    return Detections(
        picture=picked.picture,
        # of an oriented box: the rectangle before it is turned about its centre by its angle
        boxes=_corners(rows[:, :4].float(), out.corners),
        logits=logits,
        classes=picked.classes,
        confidence=picked.confidence,
        candidate=out.anchor(picked.column),
        names=names,
        masks=masks,
        keypoints=keypoints,
        angles=rows[:, -1].float() if "angle" in out.raw else None,
        activation="sigmoid",
    )


def _keypoints(out: AnchorOutput, head: Any, picked: Picked, decoded: Tensor, logits: Tensor) -> Float[Tensor, "n j 3"]:
    """x, y in input pixels and the visibility logit; of two-valued keypoints the finding's own class logit stands
    in.
    """
    count, values = head.kpt_shape
    places = decoded.unflatten(1, (count, values))[..., :2]
    if values == 3:
        raw = out.raw["kpts"][picked.picture, :, picked.column].float().unflatten(1, (count, values))
        return torch.cat([places, raw[..., 2:]], -1)
    own = logits.gather(1, picked.classes[:, None])
    return torch.cat([places, own[:, None].expand(-1, count, 1)], -1)


def _queries(
    out: QueryOutput,
    inputs: Inputs,
    picture: Tensor,
    query: Tensor,
    classes: Tensor,
    confidence: Tensor,
    names: Sequence[str],
) -> Detections:
    return Detections(
        picture=picture,
        boxes=_query_boxes(out.boxes[picture, query], inputs),
        logits=out.logits[picture, query].float(),
        classes=classes,
        confidence=confidence,
        candidate=query,
        names=names,
        activation="sigmoid",
    )


def _query_boxes(boxes: Float[Tensor, "*n 4"], inputs: Inputs) -> Float[Tensor, "*n 4"]:
    h, w = inputs.tensor.shape[-2:]
    return _corners(boxes.float(), False) * boxes.new_tensor([w, h, w, h], dtype=torch.float32)


def _corners(boxes: Float[Tensor, "*n 4"], already: bool) -> Float[Tensor, "*n 4"]:
    """Centre, width, height -> x0, y0, x1, y1."""
    if already:
        return boxes
    half = boxes[..., 2:] / 2
    return torch.cat([boxes[..., :2] - half, boxes[..., :2] + half], -1)


def _rows(dense: Float[Tensor, "b a n"], picked: Picked) -> Float[Tensor, "m a"]:
    return dense[picked.picture, :, picked.column]
