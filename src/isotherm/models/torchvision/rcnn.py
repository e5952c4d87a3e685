"""torchvision's two-stage detectors, Faster, Mask and Keypoint R-CNN: a candidate is the anchor of a proposal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from isotherm.cam.capture import evaluating
from isotherm.cam.view import Detections, Inputs, Pins
from isotherm.frame import Size
from isotherm.models.torchvision.detectors import (
    DetectorView,
    batch_rows,
    clip_one_each,
    image_sizes,
    own_method,
    suppress,
)
from isotherm.ops.resample import interpolation_matrix
from isotherm.relevance.grad_mode import without_gradients

NOWHERE = -1e4
"""Mask logit outside of a finding's box, where the model pastes probability 0: sigmoid gives exactly 0, and float16
holds it.
"""


@dataclass(frozen=True, eq=False)
class Proposals:
    """What the first stage proposes.

    Args:
        objectness: (b, n) logit of every anchor, with graph.
        boxes: per picture (p, 4), without graph, as torchvision has it.
        anchor: per picture (p,) the anchor that each proposal came from.
    """

    objectness: Float[Tensor, "b n"]
    boxes: tuple[Float[Tensor, "p 4"], ...]
    anchor: tuple[Int[Tensor, " p"], ...]


@dataclass(frozen=True, eq=False)
class Regions:
    """What the second stage says about m boxes: (m, k) class logits, (m, k, 4) refined boxes, before clipping."""

    logits: Float[Tensor, "m k"]
    boxes: Float[Tensor, "m k 4"]


@dataclass(frozen=True, eq=False)
class RCNNOutput:
    """What the whole forward pass left; the m findings of the batch are those of the model itself, in its order.

    Args:
        features: the pyramid by name.
        proposals, regions: both stages; ``regions`` has the proposals of all pictures one after the other.
        counts: findings per picture.
        region: (m,) row of ``regions``.
        label, score: (m,) as reported.
        boxes: (m, 4).
        anchor: (m,) the anchor of the finding's proposal, in its picture.
        mask_logits: (m, k, s, s) over each box.
        keypoints: (m, j, 3).
    """

    features: dict[str, Tensor]
    proposals: Proposals
    regions: Regions
    counts: tuple[int, ...]
    region: Int[Tensor, " m"]
    label: Int[Tensor, " m"]
    score: Float[Tensor, " m"]
    boxes: Float[Tensor, "m 4"]
    anchor: Int[Tensor, " m"]
    mask_logits: Float[Tensor, "m k s s"] | None
    keypoints: Float[Tensor, "m j 3"] | None


class RCNNView(DetectorView):
    """Fulfils :class:`isotherm.cam.view.View`. ``objectness`` is the first stage's logit of the finding's anchor.

    :meth:`refind` pools the second stage at the pinned box itself, not at the proposal that once led to it, which a
    changed picture may no longer propose. For an unchanged picture masks and keypoints come out as found, class logits
    and boxes as a second look at the final box, so compare readings with readings.
    """

    def __init__(self, model: Any, **arguments: Any) -> None:
        from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN
        from torchvision.models.detection.roi_heads import RoIHeads
        from torchvision.models.detection.rpn import RegionProposalNetwork

        own_method(model, "forward", GeneralizedRCNN)
        for method in ("forward", "postprocess_detections"):
            own_method(model.roi_heads, method, RoIHeads)
        for method in ("forward", "filter_proposals", "_get_top_n_idx"):
            own_method(model.rpn, method, RegionProposalNetwork)
        super().__init__(model, **arguments)

    @staticmethod
    def count_classes(model: Any) -> int:
        """How many labels the model has, the background included."""
        return int(model.roi_heads.box_predictor.cls_score.out_features)

    def run(self, inputs: Inputs) -> RCNNOutput:
        """Both stages, masks and keypoints, as the model's own forward runs them."""
        sizes = image_sizes(inputs)
        features = self._features(inputs)
        proposals = self._propose(features, inputs)
        regions = self._look(features, proposals.boxes, sizes)
        start = 0
        parts: list[tuple[Tensor, ...]] = []
        for boxes, size in zip(proposals.boxes, sizes, strict=True):
            here = slice(start, start + len(boxes))
            region, label, score, final = self._select(Regions(regions.logits[here], regions.boxes[here]), size)
            parts.append((region + start, label, score, final, proposals.anchor[len(parts)][region]))
            start += len(boxes)
        region, label, score, final, anchor = (torch.cat(column) for column in zip(*parts, strict=True))
        split = [part[3] for part in parts]
        return RCNNOutput(
            features,
            proposals,
            regions,
            tuple(map(len, split)),
            region,
            label,
            score,
            final,
            anchor,
            self._masks(features, split, sizes),
            self._keypoints(features, split, sizes),
        )

    def find(self, raw: RCNNOutput, inputs: Inputs) -> Detections:
        """The model's own findings, each with the logits of its proposal."""
        picture = batch_rows(raw.counts, raw.boxes.device)
        masks = None
        if raw.mask_logits is not None:
            masks = _Pasted(raw.mask_logits, raw.label, raw.boxes.detach(), inputs.frame.size)
        return self._sure(
            Detections(
                picture=picture,
                boxes=raw.boxes,
                logits=raw.regions.logits[raw.region],
                classes=raw.label,
                confidence=raw.score,
                candidate=raw.anchor,
                names=self.names,
                objectness=raw.proposals.objectness[picture, raw.anchor],
                masks=masks,
                keypoints=raw.keypoints,
                keypoint_names=keypoint_names(raw.keypoints),
                activation="softmax",
            )
        )

    def refind(self, raw: RCNNOutput, inputs: Inputs, pins: Pins) -> Detections:
        """The second stage at the pinned boxes; the first stage's logit at the same anchors."""
        sizes = image_sizes(inputs)
        row = torch.arange(len(inputs), device=raw.boxes.device)
        pinned = pins.boxes.detach().to(raw.boxes)
        classes, anchor = pins.classes.to(row.device), pins.candidate.to(row.device)
        each = list(pinned.split(1))
        with evaluating(self.model.roi_heads):  # this runs behind the forward pass, where nobody else guards the mode
            regions = self._look(raw.features, each, sizes)
            mask_logits = self._masks(raw.features, each, sizes)
            keypoints = self._keypoints(raw.features, each, sizes)
        return Detections(
            picture=row,
            boxes=clip_one_each(regions.boxes[row, classes], sizes),
            logits=regions.logits,
            classes=classes,
            confidence=F.softmax(regions.logits.detach(), dim=-1)[row, classes],
            candidate=anchor,
            names=self.names,
            objectness=raw.proposals.objectness[row, anchor],
            masks=None if mask_logits is None else _Pasted(mask_logits, classes, pinned, inputs.frame.size),
            keypoints=keypoints,
            keypoint_names=keypoint_names(keypoints),
            activation="softmax",
        )

    def _propose(self, features: dict[str, Tensor], inputs: Inputs) -> Proposals:
        """The first stage: the best anchors per level, then suppression within levels."""
        from torchvision.models.detection.rpn import concat_box_prediction_layers
        from torchvision.ops import clip_boxes_to_image, remove_small_boxes

        rpn, maps = self.model.rpn, list(features.values())
        objectness, deltas = rpn.head(maps)
        counts = [o.shape[1] * o.shape[2] * o.shape[3] for o in objectness]
        anchors = rpn.anchor_generator(self._image_list(inputs), maps)
        flat, deltas = concat_box_prediction_layers(objectness, deltas)
        logits = flat.reshape(len(inputs), -1)
        boxes_out, anchor_out = [], []
        with without_gradients():
            boxes = rpn.box_coder.decode(deltas.detach(), anchors).view(len(inputs), -1, 4)
            best, start = [], 0
            for count in counts:
                level = logits.detach()[:, start : start + count]
                best.append(level.topk(min(count, rpn.pre_nms_top_n()), dim=1).indices + start)
                start += count
            of_level = torch.cat([torch.full_like(b[0], i) for i, b in enumerate(best)])
            index = torch.cat(best, dim=1)
            probability = torch.sigmoid(logits.detach().gather(1, index))
            for i, size in enumerate(image_sizes(inputs)):
                chosen = clip_boxes_to_image(boxes[i, index[i]], size)
                keep = remove_small_boxes(chosen, rpn.min_size)
                keep = keep[probability[i, keep] >= rpn.score_thresh]
                alive = suppress(chosen[keep], probability[i, keep], of_level[keep], rpn.nms_thresh)
                keep = keep[alive[: rpn.post_nms_top_n()]]
                boxes_out.append(chosen[keep])
                anchor_out.append(index[i, keep])
        return Proposals(logits, tuple(boxes_out), tuple(anchor_out))

    def _look(self, features: dict[str, Tensor], boxes: Sequence[Tensor], sizes: list[Size]) -> Regions:
        """The second stage at given boxes, per picture (p, 4)."""
        heads = self.model.roi_heads
        logits, deltas = heads.box_predictor(heads.box_head(heads.box_roi_pool(features, list(boxes), sizes)))
        refined = heads.box_coder.decode(deltas, list(boxes))
        return Regions(logits, refined.reshape(len(logits), -1, 4))

    def _select(self, regions: Regions, size: Size) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """One picture's findings: (region, label, score, boxes with graph), the background left out."""
        from torchvision.ops import clip_boxes_to_image, remove_small_boxes

        heads, k = self.model.roi_heads, regions.logits.shape[1]
        boxes = clip_boxes_to_image(regions.boxes, size)[:, 1:].reshape(-1, 4)
        with without_gradients():
            scores = F.softmax(regions.logits, -1)[:, 1:].reshape(-1)
            pair = torch.where(scores > heads.score_thresh)[0]
            pair = pair[remove_small_boxes(boxes[pair], min_size=1e-2)]
            label = pair % (k - 1) + 1
            keep = suppress(boxes[pair], scores[pair], label, heads.nms_thresh)[: heads.detections_per_img]
            pair = pair[keep]
        return pair // (k - 1), label[keep], scores[pair], boxes[pair]

    def _masks(self, features: dict[str, Tensor], boxes: Sequence[Tensor], sizes: list[Size]) -> Tensor | None:
        heads = self.model.roi_heads
        if not heads.has_mask():
            return None
        return heads.mask_predictor(heads.mask_head(heads.mask_roi_pool(features, list(boxes), sizes)))

    def _keypoints(self, features: dict[str, Tensor], boxes: Sequence[Tensor], sizes: list[Size]) -> Tensor | None:
        """(m, j, 3): x, y where the keypoint's map is highest, and the logit there; the logit has the graph."""
        from torchvision.models.detection.roi_heads import keypointrcnn_inference

        heads = self.model.roi_heads
        if not heads.has_keypoint():
            return None
        logits = heads.keypoint_predictor(heads.keypoint_head(heads.keypoint_roi_pool(features, list(boxes), sizes)))
        places, scores = keypointrcnn_inference(logits, list(boxes))
        return torch.cat([torch.cat(list(places))[..., :2], torch.cat(list(scores))[..., None]], dim=-1)


def keypoint_names(keypoints: Float[Tensor, "m j 3"] | None) -> tuple[str, ...]:
    """COCO's names of a person's keypoints, where there are as many; torchvision's models have no others."""
    from torchvision.models.detection import KeypointRCNN_ResNet50_FPN_Weights

    names = tuple(KeypointRCNN_ResNet50_FPN_Weights.COCO_V1.meta["keypoint_names"])
    return names if keypoints is not None and keypoints.shape[1] == len(names) else ()


@dataclass(frozen=True, eq=False)
class _Pasted:
    """Mask logits over boxes -> over the whole input, when asked for; (m, h, w) with graph."""

    logits: Float[Tensor, "m k s s"]
    label: Int[Tensor, " m"]
    boxes: Float[Tensor, "m 4"]
    size: Size

    def __call__(self, rows: Int[Tensor, " n"] | None = None) -> Float[Tensor, "n h w"]:
        if rows is not None:
            rows = rows.to(self.logits.device)
            return _Pasted(self.logits[rows], self.label[rows], self.boxes[rows], self.size)()
        h, w = self.size
        cells = self.logits.shape[-1]
        out = []
        for logits, label, box in zip(self.logits, self.label.tolist(), self.boxes, strict=True):
            x0, y0, x1, y1 = box.double()
            x = (torch.arange(w, device=box.device, dtype=torch.float64) + 0.5 - x0) / (x1 - x0) * cells
            y = (torch.arange(h, device=box.device, dtype=torch.float64) + 0.5 - y0) / (y1 - y0) * cells
            # a box thinner than a pixel may hold no pixel's centre: then the pixel that holds the box's centre stands
            # for it
            for along, low, high in ((x, x0, x1), (y, y0, y1)):
                middle = int(((low + high) / 2).clamp(0, len(along) - 1))
                along[middle] = along[middle].clamp(0, cells)
            columns = interpolation_matrix(x, cells, outside="zero").to(logits)
            rows = interpolation_matrix(y, cells, outside="zero").to(logits)
            inside = ((y >= 0) & (y <= cells))[:, None] & ((x >= 0) & (x <= cells))
            out.append(torch.where(inside, rows @ logits[label] @ columns.T, torch.full_like(rows[:1, :1], NOWHERE)))
        return torch.stack(out) if out else self.logits.new_zeros(0, h, w)
