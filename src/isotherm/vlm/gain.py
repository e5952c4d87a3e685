"""The evidence gain of maps of answers: how much better the answer's words are known from what a map marks than from
the rest of the picture.

Pixels are covered, and not vision tokens: without tokens a language model is nearly as lost as without a picture,
whichever they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from isotherm.cam.view import Picture
from isotherm.frame import Size
from isotherm.metrics.fills import ground_fill
from isotherm.metrics.gain import Gain, evidence_gain, random_half, random_halves
from isotherm.metrics.ranking import rank_cells
from isotherm.metrics.references import mix
from isotherm.metrics.trust import UNSURE
from isotherm.ops.hashing import pixels_key
from isotherm.ops.resample import to_source
from isotherm.relevance.judge import Pause, go_on
from isotherm.relevance.memory import within_memory
from isotherm.vlm.lay_out import lay_out
from isotherm.vlm.pixel_cells import asked_covered, shown_pictures
from isotherm.vlm.question import Question
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
        values, places, thorough: as of :meth:`CoveredPrompt.gain`. The others: as of :class:`CoveredPrompt`.
    """
    return CoveredPrompt(trace.question, seed=seed, pause=pause).gain(trace, values, places, thorough=thorough)


class CoveredPrompt:
    """The pictures of a prompt of which parts are covered: all maps of the prompt's answers are judged by it.

    What no map decides is read once for all maps of an answer: the pictures that are covered everywhere, and their
    random halves.

    Args:
        question: the prompt, to a model with the weights that it has now.
        seed: of ties and random halves.
        pause: called before the model is run.
    """

    def __init__(self, question: Question, *, seed: int = 0, pause: Pause = go_on) -> None:
        self._question, self._pause = question, pause
        self._fills = [_ground(picture) for picture in shown_pictures(question.prompt)]
        self._key = mix(seed, *(pixels_key(torch.from_numpy(source)) for source in question.prompt.sources))
        self._read: dict[tuple[str, _Read, bytes], Float[Tensor, "n s k"]] = {}

    def gain(
        self, trace: TokenTrace, values: Float[Tensor, " n"], places: Sequence[PictureTokens], *, thorough: bool = False
    ) -> Gain | None:
        """The gain of one map; None where the score is of no words.

        Args:
            values: of each token or cell.
            places: where they lie, picture by picture.
            thorough: look at all fractions.
        """
        target = trace.target
        known = [(step, token) for (row, step), token in zip(target.steps, target.tokens, strict=False) if row == 0]
        if not known or not target.words:
            return None
        read = _Read(tuple(target.continuations[0]), tuple(step for step, _ in known), tuple(p.size for p in places))
        parts = values.detach().cpu().float().split([place.count for place in places])
        laid = [lay_out(part, place, additive=False) for part, place in zip(parts, places, strict=True)]
        flat = torch.cat([to_source(one.nan_to_num(0.0), frame).flatten() for one, frame in laid])
        seen = torch.cat([place.seen().flatten() for place in places])[None]
        rank, units = rank_cells(flat[None], region=seen, seed=self._key)
        return evidence_gain(
            rank,
            units,
            lambda covers: self._logits(covers, read),
            [token for _, token in known],
            empty=lambda: self._once("empty", read, seen),
            halves=lambda: self._once("halves", read, seen),
            whole=self._question.logits(read.row)[list(read.steps)],
            unsure=UNSURE,
            thorough=thorough,
            batch=BATCH,
        )

    def _logits(self, covers: Bool[Tensor, "n 1 p"], read: _Read) -> Float[Tensor, "n s k"]:
        return within_memory(len(covers), lambda part: self._logits_of(covers[part], read))

    def _logits_of(self, covers: Bool[Tensor, "n 1 p"], read: _Read) -> Float[Tensor, "n s k"]:
        self._pause()
        question = self._question
        view, prompt = question.view, question.prompt
        streams = [
            view.embed(asked_covered(view, prompt, _apart(cover[0], read.sizes), self._fills)) for cover in covers
        ]
        together = tuple(torch.cat(several) for several in zip(*streams, strict=True))
        with torch.no_grad():
            return question.read(together, [read.row] * len(covers)).logits[:, list(read.steps)].float()

    def _once(self, what: Literal["empty", "halves"], read: _Read, seen: Bool[Tensor, "1 p"]) -> Float[Tensor, "n s k"]:
        key = (what, read, seen.numpy().tobytes())
        if key not in self._read:

            def half(number: int) -> Bool[Tensor, "1 p"]:
                some = [random_half(size, seed=mix(self._key, number, i)) for i, size in enumerate(read.sizes)]
                return torch.cat([one.flatten() for one in some])[None]

            covers = seen[None] if what == "empty" else random_halves(half, seen)
            self._read[key] = torch.cat([self._logits(part, read) for part in covers.split(BATCH)])
        return self._read[key]


class _Read(NamedTuple):
    """Where an answer's words are read, and the sizes of the pictures that are covered."""

    row: tuple[int, ...]
    steps: tuple[int, ...]
    sizes: tuple[Size, ...]


def _apart(cover: Bool[Tensor, " p"], sizes: Sequence[tuple[int, int]]) -> list[Bool[np.ndarray, "_ _"]]:
    """Each picture's part of what is covered."""
    ends = [0, *np.cumsum([h * w for h, w in sizes]).tolist()]
    return [cover[a:b].view(size).numpy() for (a, b), size in zip(pairwise(ends), sizes, strict=True)]


def _ground(picture: Picture) -> UInt8[np.ndarray, "h w 3"]:
    filled = ground_fill(torch.from_numpy(picture).permute(2, 0, 1)[None].float())
    return filled[0].permute(1, 2, 0).round().to(torch.uint8).numpy()
