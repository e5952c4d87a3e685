"""Anchors: which level and cell an anchor is, and what an anchor-based head says there, computed for that cell
alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from isotherm.frame import Size
from isotherm.models.ultralytics.head import AnchorOutput


def locate(anchor: Int[Tensor, " m"], shapes: Sequence[Size]) -> tuple[Int[Tensor, " m"], Int[Tensor, "m 2"]]:
    """Indices among all anchors -> level (m,) and cell (m, 2) as (row, column); levels follow one another, row by
    row.
    """
    counts = torch.tensor([h * w for h, w in shapes], device=anchor.device)
    ends = counts.cumsum(0)
    level = torch.bucketize(anchor, ends, right=True)
    inside = anchor - (ends - counts)[level]
    widths = torch.tensor([w for _, w in shapes], device=anchor.device)[level]
    return level, torch.stack([inside // widths, inside % widths], 1)


def boxes_at(
    head: Any,
    distances: Float[Tensor, "m d"],
    cell: Int[Tensor, "m 2"],
    stride: Float[Tensor, " m"],
    angle: Float[Tensor, " m"] | None = None,
) -> Float[Tensor, "m 4"]:
    """The head's box output at cells -> x0, y0, x1, y1 in input pixels.

    A box is the distances from the cell's centre to its four sides, in strides, each the mean of a distribution over
    whole strides where the head has one (Li et al., "Generalized Focal Loss", NeurIPS 2020, eq. 3).

    Args:
        distances: (m, 4 * bins).
        cell: (m, 2) as (row, column).
        stride: (m,) input pixels per cell.
        angle: (m,) radians of oriented boxes, which lie off the cell's centre along their own axes; what comes back
            is the rectangle before it is turned about its centre.
    """
    sides = head.dfl(distances[:, :, None])[:, :, 0]
    near, far = sides[:, :2], sides[:, 2:]
    centre = cell.flip(1).to(sides) + 0.5
    shift = (far - near) / 2
    if angle is not None:
        cos, sin = angle.cos(), angle.sin()
        shift = torch.stack([shift[:, 0] * cos - shift[:, 1] * sin, shift[:, 0] * sin + shift[:, 1] * cos], 1)
    middle, half = centre + shift, (near + far) / 2
    return torch.cat([middle - half, middle + half], 1) * stride.to(sides)[:, None]


def read_anchors(out: AnchorOutput, head: Any, anchor: Int[Tensor, " m"]) -> AnchorOutput:
    """A prompt-free head's output at the anchors asked for, in that order, whether its proposal filter kept them or
    not.
    """
    assert out.proposals is not None
    level, cell = locate(anchor, out.shapes)
    b, m = out.dense.shape[0], len(anchor)
    lrpc = head.one2one_lrpc if out.end_to_end and hasattr(head, "one2one_lrpc") else head.lrpc
    logits = out.logits.new_empty(b, m, out.classes)
    coefficients = None
    if out.proposals.coefficients:
        coefficients = torch.cat([c.flatten(2) for c in out.proposals.coefficients], 2)[:, :, anchor]
    for i, module in enumerate(lrpc):
        members = torch.nonzero(level == i).flatten()
        if len(members):
            at = out.proposals.features[i][:, :, cell[members, 0], cell[members, 1]]
            logits = logits.index_copy(
                1, members, vocabulary_logits(module, at.transpose(1, 2).flatten(0, 1)).unflatten(0, (b, -1))
            )
    raw = out.raw["boxes"][:, :, anchor].transpose(1, 2)
    stride = head.stride.to(raw)[level]
    boxes = boxes_at(head, raw.flatten(0, 1), cell.repeat(b, 1), stride.repeat(b)).unflatten(0, (b, m))
    dense = torch.cat([boxes, logits.sigmoid(), *([] if coefficients is None else [coefficients.transpose(1, 2)])], 2)
    return replace(out, dense=dense.transpose(1, 2), corners=True, logits=logits.transpose(1, 2), kept=anchor)


def vocabulary_logits(module: Any, features: Float[Tensor, "m c"]) -> Float[Tensor, "m k"]:
    """Class logits of single cells from a prompt-free head's vocabulary, which is linear, as a matrix or as a 1 x 1
    convolution.
    """
    if module.enabled:
        return module.vocab(features)
    return module.vocab(features[:, :, None, None])[:, :, 0, 0]
