"""Scores of detectors: one finding after non-maximum suppression, and which part of it.

A finding is chosen by its index in the model's own list, by class, or by a box; its class logit, its box, its
mask, a keypoint or its objectness is what gets explained.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from isotherm.cam.activation import probabilities
from isotherm.cam.scores.naming import class_index
from isotherm.cam.trace import Targets
from isotherm.cam.view import Detections, Inputs, Pins, Prediction, giver_of
from isotherm.errors import TargetError, UnfitTargetError
from isotherm.relevance.score import Score

Part = Literal[
    "class", "box", "left", "top", "right", "bottom", "width", "height", "size", "mask", "keypoint", "objectness"
]
"""What of a finding is explained.

``class`` its class logit; ``box`` its overlap (IoU) with where it is now; ``left`` ... ``bottom`` how far that
side reaches from the box's present centre, so positive evidence pushes it outwards; ``width``, ``height``,
``size`` (square root of the area) in input pixels; ``mask`` the mean mask logit over its mask; ``keypoint`` the
score of one keypoint; ``objectness`` that there is anything.
"""
SIDES = ("left", "top", "right", "bottom")


@dataclass(frozen=True)
class Detection(Score):
    """One or several findings of a detector, one target each.

    Args:
        which: position in the picture's list (0 is the most confident), a class name, several of either, or
            None for all.
        box: (x0, y0, x1, y1) in *source* pixels: the finding that overlaps it most.
        of: part or parts of the finding to explain; ``all`` is class, box and, where there are, mask,
            objectness.
        keypoint: which keypoint, for ``of="keypoint"``: its number, or its name where the model's names are known.
        min_iou: least overlap with ``box`` for a finding to count as it.
    """

    which: int | str | tuple[int | str, ...] | None = None
    box: tuple[float, float, float, float] | None = None
    of: Part | Literal["all"] | tuple[Part, ...] = "class"
    keypoint: int | str | None = None
    min_iou: float = 0.3

    def __call__(self, prediction: Prediction, inputs: Inputs) -> Targets:
        if not isinstance(prediction, Detections):
            raise UnfitTargetError(
                f"Detection is a score of detectors, but this model gives {type(prediction).__name__}; use ClassLogit or TopK for classifiers",
                gives=giver_of(prediction),
            )
        finding = positions(prediction.picture)
        chosen = self._rows(prediction, inputs, finding)
        parts = self._parts(prediction)
        keypoint = self._keypoint(prediction) if "keypoint" in parts else None
        rows = torch.tensor(chosen, dtype=torch.long).repeat_interleave(len(parts))
        part = parts * len(chosen)
        picked = prediction.take(rows)
        fixed = _Fixed.of(picked, part, keypoint)
        scores = part_scores(picked, part, fixed)

        def read(p: Prediction, target: Tensor) -> Tensor:
            assert isinstance(p, Detections)
            index = target.cpu()
            return part_scores(p, tuple(part[i] for i in index.tolist()), fixed.take(index))

        def rivals(p: Prediction, target: Tensor) -> Tensor:
            assert isinstance(p, Detections)
            return p.logits

        classes_alone = set(parts) == {"class"} and prediction.logits.shape[1] > 1
        labels = tuple(
            f"{picked.names[c]} {q:.2f}"
            + (
                ""
                if what == "class"
                else f" {what}" + (f" {_keypoint_name(picked, keypoint)}" if what == "keypoint" else "")
            )
            for c, q, what in zip(picked.classes.tolist(), picked.confidence.tolist(), part, strict=True)
        )
        return Targets(
            scores,
            picked.picture.cpu(),
            labels,
            read,
            pins=Pins(picked.boxes.detach(), picked.classes.cpu(), picked.candidate.cpu()),
            boxes=picked.boxes.detach(),
            finding=finding[rows],
            confidence=picked.confidence.detach(),
            probability=_class_probability(picked),
            rows=rows,
            part=part,
            of="logit" if set(parts) <= {"class", "objectness", "mask"} else None,
            activation=picked.activation,
            rivals=rivals if classes_alone else None,
            which=picked.classes.cpu() if classes_alone else None,
            among=picked.logits.detach() if classes_alone else None,
        )

    def _rows(self, p: Detections, inputs: Inputs, finding: Tensor) -> list[int]:
        if self.box is not None:
            return self._by_box(p, inputs)
        if self.which is None:
            return list(range(len(p)))
        several = self.which if isinstance(self.which, tuple) else (self.which,)
        return sorted({row for one in several for row in _one(p, one, finding)})

    def _by_box(self, p: Detections, inputs: Inputs) -> list[int]:
        rows = []
        for picture in range(len(inputs)):
            members = torch.nonzero(p.picture.cpu() == picture).flatten()
            if not len(members):
                continue
            wanted = inputs.frame[picture].boxes_from_source(torch.tensor([self.box], dtype=torch.float64))
            overlap = iou(p.boxes.detach()[members.to(p.boxes.device)].cpu().double(), wanted)
            best = int(overlap.argmax())
            if float(overlap[best]) >= self.min_iou:
                rows.append(int(members[best]))
        if not rows:
            raise TargetError(
                f"no finding overlaps the box {self.box} (source pixels) by IoU >= {self.min_iou}; the model found {len(p)} in all"
            )
        return rows

    def _parts(self, p: Detections) -> tuple[Part, ...]:
        if self.of == "all":
            has = {"mask": p.masks is not None, "objectness": p.objectness is not None}
            box = ("box",) if p.boxes_move else ()
            return ("class", *box, *(part for part in ("mask", "objectness") if has[part]))  # type: ignore[return-value]
        parts = (self.of,) if isinstance(self.of, str) else tuple(self.of)
        for part in parts:
            if part not in get_args(Part):
                raise UnfitTargetError(
                    f"a finding has no part {part!r}; expected one of {', '.join(get_args(Part))}, all"
                )
            if not p.boxes_move and part not in ("class", "mask", "objectness", "keypoint"):
                raise UnfitTargetError(
                    f"this model's boxes are the extents of its masks, which have no gradient, so {part} cannot be explained; explain its class or mask"
                )
            lacks = {"mask": p.masks is None, "objectness": p.objectness is None, "keypoint": p.keypoints is None}
            if lacks.get(part):
                raise UnfitTargetError(
                    f"this detector gives no {part}; explain its class or box, or use a model that does"
                )
        return parts  # type: ignore[return-value]

    def _keypoint(self, p: Detections) -> int:
        """The number of the keypoint that is explained."""
        assert p.keypoints is not None
        if isinstance(self.keypoint, str) and p.keypoint_names and not self.keypoint.isdigit():
            return class_index(self.keypoint, p.keypoint_names)
        if self.keypoint is None or not str(self.keypoint).isdigit() or int(self.keypoint) >= p.keypoints.shape[1]:
            known = (
                f" ({', '.join(p.keypoint_names)})"
                if p.keypoint_names
                else ", numbered from 0, whose names are not known"
            )
            raise UnfitTargetError(
                f"keypoint {self.keypoint} does not exist: this model has {p.keypoints.shape[1]}{known}"
            )
        return int(self.keypoint)


def _keypoint_name(p: Detections, keypoint: int | None) -> str:
    return str(keypoint) if keypoint is None or not p.keypoint_names else p.keypoint_names[keypoint]


def _class_probability(picked: Detections) -> Float[Tensor, " n"] | None:
    """Of each finding's class, where the confidence holds more than that and it is known what makes it of the logit."""
    if picked.activation is None or picked.confidence_of_class:
        return None
    return probabilities(picked.logits, picked.activation)[torch.arange(len(picked)), picked.classes.cpu()]


def _one(p: Detections, which: int | str, finding: Tensor) -> list[int]:
    """Rows of the findings at a position, or of a class; at least one."""
    if isinstance(which, int):
        rows = torch.nonzero(finding == which).flatten().tolist()
        if not rows:
            most = int(finding.max()) + 1 if len(p) else 0
            numbered = f", numbered from 0 to {most - 1}" if most else " (lower the confidence threshold?)"
            raise TargetError(f"there is no finding {which}: the model found {most}{numbered}")
        return rows
    index = class_index(which, p.names)
    rows = torch.nonzero(p.classes.cpu() == index).flatten().tolist()
    if not rows:
        labels = sorted({p.names[c] for c in p.classes.tolist()})
        raise TargetError(
            f"the model did not find {p.names[index]!r}; it found {', '.join(labels) or 'nothing'} (lower the confidence threshold?)"
        )
    return rows


@dataclass(frozen=True, eq=False)
class _Fixed:
    """What stays as it was when a finding is read again: its box, class and, where that is explained, its mask."""

    boxes: Float[Tensor, "n 4"]
    classes: Tensor
    masks: tuple[Tensor | None, ...]
    keypoint: int | None

    @classmethod
    def of(cls, p: Detections, part: Sequence[str], keypoint: int | None) -> _Fixed:
        with torch.no_grad():
            logits = _mask_logits(p, part)
        masks = tuple(logits[i] > 0 if i in logits else None for i in range(len(p)))
        return cls(p.boxes.detach(), p.classes, masks, keypoint)

    def take(self, index: Tensor) -> _Fixed:
        def pick(t: Tensor) -> Tensor:
            return t[index.to(t.device)]

        return _Fixed(pick(self.boxes), pick(self.classes), tuple(self.masks[i] for i in index.tolist()), self.keypoint)


def _mask_logits(p: Detections, part: Sequence[str]) -> dict[int, Float[Tensor, "h w"]]:
    """Mask logits by row, of the rows whose mask is explained: those of all findings would fill the memory."""
    rows = [i for i, what in enumerate(part) if what == "mask"]
    if not rows or p.masks is None:
        return {}
    return dict(zip(rows, p.masks(torch.tensor(rows)), strict=True))


def part_scores(p: Detections, part: Sequence[str], fixed: _Fixed) -> Float[Tensor, " n"]:
    """The score of each finding's part, (n,), differentiable."""
    n = len(p)
    if not n:
        return p.boxes.new_zeros(0)
    scores: list[Tensor] = []
    wanted = set(part)
    masks = _mask_logits(p, part)
    row = torch.arange(n, device=p.logits.device)
    class_scores = p.logits[row, fixed.classes.to(p.logits.device)] if "class" in wanted else None
    for i, what in enumerate(part):
        if what == "class":
            assert class_scores is not None
            scores.append(class_scores[i])
        elif what == "objectness":
            assert p.objectness is not None
            scores.append(p.objectness[i])
        elif what == "mask":
            inside = fixed.masks[i]
            assert inside is not None
            scores.append(masks[i][inside].mean() if bool(inside.any()) else masks[i].max())
        elif what == "keypoint":
            assert p.keypoints is not None
            assert fixed.keypoint is not None
            scores.append(p.keypoints[i, fixed.keypoint, 2])
        else:
            scores.append(_box_score(p.boxes[i], fixed.boxes[i].to(p.boxes), what))
    return torch.stack(scores)


def _box_score(box: Tensor, fixed: Tensor, what: str) -> Tensor:
    if what in SIDES:
        side = SIDES.index(what)
        centre = (fixed[side % 2] + fixed[side % 2 + 2]) / 2
        return (box[side] - centre) * (-1 if side < 2 else 1)
    width, height = box[2] - box[0], box[3] - box[1]
    if what == "width":
        return width
    if what == "height":
        return height
    if what == "size":
        return (width * height).clamp_min(1e-9).sqrt()
    return self_iou(box, fixed)


def self_iou(box: Float[Tensor, "4"], fixed: Float[Tensor, "4"]) -> Float[Tensor, ""]:
    """IoU of a box with where it was.

    At equality IoU has a kink: growing and shrinking both lower it, and autograd's tie-splitting returns a
    gradient of exactly 0. The derivative taken here is the one-sided one for shrinking, because taking evidence
    away is what a relevance map asks about; away from equality it is the ordinary derivative.
    """
    # a side at or inside of the fixed box moves the intersection; ties count as inside
    low = torch.where(box[:2] >= fixed[:2], box[:2], fixed[:2])
    high = torch.where(box[2:] <= fixed[2:], box[2:], fixed[2:])
    inter = (high - low).clamp_min(0).prod()
    area = (box[2:] - box[:2]).clamp_min(0).prod()
    union = area + (fixed[2:] - fixed[:2]).prod() - inter
    return inter / union.clamp_min(1e-9)


def iou(boxes: Float[Tensor, "n 4"], other: Float[Tensor, "1 4"]) -> Float[Tensor, " n"]:
    """Intersection over union of boxes (n, 4) with one box (1, 4)."""
    low, high = torch.maximum(boxes[:, :2], other[:, :2]), torch.minimum(boxes[:, 2:], other[:, 2:])
    inter = (high - low).clamp_min(0).prod(1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1) + (other[:, 2:] - other[:, :2]).prod(1)
    return inter / (areas - inter).clamp_min(1e-9)


def positions(picture: Tensor) -> Tensor:
    """Position of each finding in its picture's list, counted from 0."""
    counts: dict[int, int] = {}
    out = []
    for p in picture.tolist():
        out.append(counts.get(p, 0))
        counts[p] = counts.get(p, 0) + 1
    return torch.tensor(out, dtype=torch.long)
