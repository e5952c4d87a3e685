"""Taking vision tokens away: what stands in their places."""

from __future__ import annotations

from typing import Literal, get_args

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from isotherm.errors import OptionError
from isotherm.ops.names import known_word
from isotherm.vlm.question import Question
from isotherm.vlm.trace import TokenTrace
from isotherm.vlm.view import Streams

Fill = Literal["mean", "blur", "mask"]
BLUR = 7
"""Cells of the box that ``blur`` averages over, twice."""


def stand_ins(trace: TokenTrace, fill: Fill) -> Streams:
    """What each token becomes: the mean of its picture, or of its surroundings; (1, n, d) per stream."""
    if fill == "mean":
        values = trace.means()
    elif fill == "blur":
        values = tuple(_blurred(trace.question, a) for a in trace.activations)
    else:
        raise OptionError(f"fill is {fill!r}; expected mean, blur or mask")
    return tuple(f[None].to(s) for f, s in zip(values, trace.question.streams, strict=True))


def filled(trace: TokenTrace, gone: Bool[Tensor, "b n"], fill: Fill) -> Float[Tensor, " b"]:
    """The target's value for versions without some of the vision tokens."""
    known_word(fill, get_args(Fill), "fill")
    streams = trace.question.streams
    if fill == "mask":
        return trace.scores(tuple(s.expand(len(gone), -1, -1) for s in streams), hidden=gone)
    away = gone.to(streams[0].device)[..., None]
    return trace.scores(tuple(torch.where(away, f, s) for f, s in zip(stand_ins(trace, fill), streams, strict=True)))


def _blurred(question: Question, values: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    out = values.clone()
    for start, picture in zip(question.prompt.first, question.prompt.pictures, strict=False):
        for grid in picture.grids:
            at = (start + grid.token).to(values.device)
            smooth = values[at].permute(2, 0, 1)[None]
            for _ in range(2):
                smooth = F.avg_pool2d(smooth, BLUR, 1, BLUR // 2, count_include_pad=False)
            out[at.flatten()] = smooth[0].flatten(1).T
    return out
