"""The evidence gain of maps of answers: how much better the answer's words are known from what a map marks than from
the rest of the picture.

Pixels are covered, and not vision tokens: without tokens a language model is nearly as lost as without a picture,
whichever they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from isotherm.cam.view import Picture
from isotherm.metrics.fills import ground_fill
from isotherm.metrics.gain import Gain, evidence_gain, random_half
from isotherm.metrics.ranking import rank_cells
from isotherm.metrics.references import mix
from isotherm.metrics.trust import BELIEVABLE
from isotherm.ops.hashing import pixels_key
from isotherm.ops.resample import to_source
from isotherm.relevance.judge import Pause, go_on
from isotherm.vlm.lay_out import lay_out
from isotherm.vlm.pixel_cells import asked_covered, shown_pictures
from isotherm.vlm.tokens import PictureTokens
from isotherm.vlm.trace import TokenTrace

BATCH = 4
"""Covered versions whose answers are read at once."""


def answer_gain(
    trace: TokenTrace,
    values: Float[Tensor, " n"],
    places: Sequence[PictureTokens],
    *,
    thorough: bool = False,
    seed: int = 0,
    pause: Pause = go_on,
) -> Gain | None:
    """The gain of one map; None where the score is of no words.

    Args:
        values: of each token or cell.
        places: where they lie, picture by picture.
        thorough: look at all fractions.
        seed: of ties and random halves.
        pause: called before the model is run.
    """
    question, target = trace.question, trace.target
    read = [(step, token) for (row, step), token in zip(target.steps, target.tokens, strict=False) if row == 0]
    if not read or not target.words:
        return None
    row = target.continuations[0]
    steps, tokens = [step for step, _ in read], [token for _, token in read]
    prompt, view = question.prompt, question.view
    fills = [_ground(picture) for picture in shown_pictures(prompt)]
    sizes = [place.size for place in places]
    parts = values.detach().cpu().float().split([place.count for place in places])
    laid = [lay_out(part, place, additive=False) for part, place in zip(parts, places, strict=True)]
    flat = torch.cat([to_source(one.nan_to_num(0.0), frame).flatten() for one, frame in laid])
    seen = torch.cat([place.seen().flatten() for place in places])
    key = mix(seed, *(pixels_key(torch.from_numpy(source)) for source in prompt.sources))
    rank, units = rank_cells(flat[None], region=seen[None], seed=key)

    def logits(covers: Bool[Tensor, "n 1 p"]) -> Float[Tensor, "n s k"]:
        pause()
        streams = [view.embed(asked_covered(view, prompt, _apart(cover[0], sizes), fills)) for cover in covers]
        together = tuple(torch.cat(several) for several in zip(*streams, strict=True))
        with torch.no_grad():
            return question.read(together, [row] * len(covers)).logits[:, steps].float()

    def half(number: int) -> Bool[Tensor, "1 p"]:
        return torch.cat([random_half(size, seed=mix(key, number, i)).flatten() for i, size in enumerate(sizes)])[None]

    whole = question.logits(row)[steps]
    more: dict[str, Any] = {"below": BELIEVABLE, "thorough": thorough, "batch": BATCH}
    return evidence_gain(rank, units, logits, tokens, half=half, whole=whole, **more)


def _apart(cover: Bool[Tensor, " p"], sizes: Sequence[tuple[int, int]]) -> list[Bool[np.ndarray, "_ _"]]:
    """Each picture's part of what is covered."""
    ends = [0, *np.cumsum([h * w for h, w in sizes]).tolist()]
    return [cover[a:b].view(size).numpy() for (a, b), size in zip(pairwise(ends), sizes, strict=True)]


def _ground(picture: Picture) -> UInt8[np.ndarray, "h w 3"]:
    filled = ground_fill(torch.from_numpy(picture).permute(2, 0, 1)[None].float())
    return filled[0].permute(1, 2, 0).round().to(torch.uint8).numpy()
