"""Which squares of a head's input decide which score: what :mod:`isotherm.cam.patches` needs to know of a YOLO head.

A finding's class, box, keypoint and angle are outputs of small branches at one cell of one level. A mask is not: its
prototypes see the whole of the finest level, so findings whose mask is explained are left to the dense way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from isotherm.cam.locality import Refused
from isotherm.cam.patches import PatchGroup, PatchPlan
from isotherm.cam.trace import Targets
from isotherm.cam.view import Detections
from isotherm.models.ultralytics.anchors import boxes_at, locate, vocabulary_logits
from isotherm.models.ultralytics.head import AnchorOutput, head_of

KNOWN = frozenset(
    {
        "Detect",
        "Segment",
        "Segment26",
        "Pose",
        "Pose26",
        "OBB",
        "OBB26",
        "v10Detect",
        "YOLOEDetect",
        "YOLOESegment",
        "YOLOESegment26",
    }
)
"""Heads whose branches are known to read the levels directly; a subclass may do anything."""
NEEDS = {"class": {"class"}, "keypoint": {"keypoint"}}
BOX = frozenset({"box", "left", "top", "right", "bottom", "width", "height", "size"})


def plan_patches(
    model: nn.Module, out: AnchorOutput, findings: Detections, targets: Targets, layers: tuple[str, ...]
) -> PatchPlan | Refused:
    """How to explain targets by patches, or why that is not exact.

    Args:
        findings: what was read from ``out``.
        targets: scores of some of them.
        layers: names of the head's inputs.
    """
    head = head_of(model)
    if type(head).__name__ not in KNOWN:
        return Refused(f"it is not known which cells a {type(head).__name__} head reads for one finding")
    if not len(targets):
        return Refused("there is nothing to explain")
    if targets.rows is None or not targets.part:
        return Refused("the score is not a part of a finding, so it may read the whole picture")
    wanted: set[str] = set()
    for part in set(targets.part):
        if part in BOX:
            wanted |= {"box"} | ({"angle"} if findings.angles is not None else set())
        elif part in NEEDS:
            wanted |= NEEDS[part]
        elif part == "mask":
            return Refused("a mask also reads the prototypes, which see the whole of the finest level")
        else:
            return Refused(f"it is not known which cells the {part} of a finding reads")
    if "keypoint" in wanted and head.kpt_shape[1] != 3:
        return Refused("these keypoints have no visibility of their own")
    rows = targets.rows.to(findings.candidate.device)
    anchor, picture = findings.candidate[rows], findings.picture[rows]
    level, cell = locate(anchor, out.shapes)
    groups = []
    for i in level.unique().tolist():
        members = torch.nonzero(level == i).flatten()
        some = findings.take(rows[members])
        branches, decode = _branches(head, out, i, wanted, some, cell[members], picture[members])
        groups.append(
            PatchGroup(
                layer=layers[i],
                features=out.feats[i].detach(),
                targets=members,
                picture=picture[members],
                cell=cell[members],
                branches=branches,
                decode=decode,
                expected=_expected(some, wanted),
                score=_score(some, targets, members),
            )
        )
    return PatchPlan(model, tuple(groups), len(targets))


def _branches(
    head: Any, out: AnchorOutput, i: int, wanted: set[str], part: Detections, cell: Tensor, picture: Tensor
) -> tuple[dict[str, nn.Module], Callable[[Mapping[str, Tensor]], dict[str, Tensor]]]:
    """The branches of level i that the wanted outputs come from, and what follows them at single cells."""
    prefix = "one2one_" if out.end_to_end else ""

    def branch(name: str) -> Any:
        return getattr(head, prefix + name)[i]

    free = hasattr(head, "lrpc")
    vocabulary = None
    if free:
        vocabulary = (head.one2one_lrpc if out.end_to_end and hasattr(head, "one2one_lrpc") else head.lrpc)[i]
    branches: dict[str, nn.Module] = {}
    if "class" in wanted:
        branches["class"] = branch("cv3")
    if "box" in wanted:
        branches["box"] = nn.Sequential(branch("cv2"), vocabulary.loc) if vocabulary is not None else branch("cv2")
    if "angle" in wanted:
        branches["angle"] = branch("cv4")
    if "keypoint" in wanted:
        branches["keypoint"] = (
            nn.Sequential(branch("cv4"), branch("cv4_kpts")) if hasattr(head, "cv4_kpts") else branch("cv4")
        )
    contrast = None if free or not hasattr(head, "reprta") else branch("cv4")
    stride = head.stride.to(out.feats[i])[i].expand(len(cell))
    squash = type(head).__name__ == "OBB"

    def decode(at: Mapping[str, Tensor]) -> dict[str, Tensor]:
        outputs: dict[str, Tensor] = {}
        if "class" in at:
            logits = at["class"]
            if vocabulary is not None:
                logits = vocabulary_logits(vocabulary, logits)
            elif contrast is not None:
                assert out.prompt is not None
                words = out.prompt.to(logits)
                words = words.expand(len(logits), -1, -1) if len(words) == 1 else words[picture.to(words.device)]
                logits = contrast(logits[:, :, None, None], words)[:, :, 0, 0]
            outputs["logits"] = logits.float()
        angle = None
        if "angle" in at:
            angle = at["angle"][:, 0]
            angle = (angle.sigmoid() - 0.25) * torch.pi if squash else angle
            outputs["angles"] = angle.float()
        if "box" in at:
            outputs["boxes"] = boxes_at(head, at["box"], cell, stride, angle).float()
        if "keypoint" in at:
            visible = at["keypoint"].unflatten(1, head.kpt_shape)[..., 2]
            outputs["visible"] = visible.float()
        return outputs

    return branches, decode


def _expected(part: Detections, wanted: set[str]) -> dict[str, Tensor]:
    outputs: dict[str, Tensor] = {}
    if "class" in wanted:
        outputs["logits"] = part.logits.detach()
    if "box" in wanted:
        outputs["boxes"] = part.boxes.detach()
    if "angle" in wanted:
        assert part.angles is not None
        outputs["angles"] = part.angles.detach()
    if "keypoint" in wanted:
        assert part.keypoints is not None
        outputs["visible"] = part.keypoints[..., 2].detach()
    return outputs


def _score(part: Detections, targets: Targets, members: Tensor) -> Callable[[Mapping[str, Tensor]], Tensor]:
    """The targets' own scores, read from findings whose wanted outputs come from patches and whose others stay as they
    are.
    """
    from dataclasses import replace

    def score(outputs: Mapping[str, Tensor]) -> Tensor:
        keypoints = part.keypoints
        if "visible" in outputs:
            assert keypoints is not None
            keypoints = torch.cat([keypoints[..., :2].detach(), outputs["visible"][..., None]], -1)
        findings = replace(
            part,
            boxes=outputs.get("boxes", part.boxes.detach()),
            logits=outputs.get("logits", part.logits.detach()),
            angles=outputs.get("angles", part.angles),
            keypoints=keypoints,
            masks=None,
        )
        return targets.read(findings, members.cpu())

    return score
