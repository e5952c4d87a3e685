"""A reward for looking at the right place: the share of an answer's relevance that lies inside of regions."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from isotherm.data.pictures import as_picture
from isotherm.errors import MethodError, OptionError, TargetError
from isotherm.heatmap import Heatmap
from isotherm.vlm.choose import answer_score, token_methods
from isotherm.vlm.explain import explain_answer
from isotherm.vlm.view import LanguageView


@dataclass(frozen=True, eq=False)
class RelevanceRewards:
    """The rewards of some pictures.

    Args:
        shares: (n,) from 0 to 1, of each picture; 0 where there is no map.
        reasons: for each picture why there is no map, "" where there is one.
        seconds: what all of them took.
    """

    shares: Float[np.ndarray, " n"]
    reasons: tuple[str, ...]
    seconds: float

    @property
    def seconds_each(self) -> float:
        """The cost of one picture, on average."""
        return self.seconds / max(1, len(self.shares))


def relevance_reward(
    view: LanguageView,
    pictures: Sequence[Any],
    regions: Sequence[Any],
    *,
    prompt: str | Sequence[str],
    target: Any = None,
    method: str = "attention_gradient",
) -> RelevanceRewards:
    """The share of the positive relevance that lies inside of each picture's regions, for reinforcement learning.

    The share is a number and has no gradient. Each picture takes one pass forwards and, for methods of gradients, one
    back through the language model, one picture after another; the memory is that of one.

    Args:
        pictures: paths, PIL pictures or (h, w, 3) uint8.
        regions: for each picture boxes (x0, y0, x1, y1) in its pixels, or an (h, w) boolean mask.
        prompt: one for all, or one for each.
        target: what of the answer, as :func:`isotherm.explain` takes it; unless given, the expected number where the
            prompt asks how many and the whole answer otherwise.
        method: of the maps; ``propagation`` lies on the evidence more often and takes about twice as long.

    Raises:
        OptionError: not as many regions or prompts as pictures, or a region that is none.
    """
    prompts = [prompt] * len(pictures) if isinstance(prompt, str) else list(prompt)
    if not len(pictures) == len(regions) == len(prompts):
        raise OptionError(
            f"there are {len(pictures)} pictures, {len(regions)} regions and {len(prompts)} prompts; expected as many of each, or one prompt for all"
        )
    methods, _ = token_methods(method)
    start = time.perf_counter()
    shares, reasons = np.zeros(len(pictures)), []
    for i, (picture, region, words) in enumerate(zip(pictures, regions, prompts, strict=True)):
        pixels = as_picture(picture).array
        inside = region_mask(region, (int(pixels.shape[0]), int(pixels.shape[1])))
        try:
            score, _ = answer_score(target, words)
            first = explain_answer(view, [pixels], words, score=score, methods=methods, trust="off")[0]
        except (TargetError, MethodError) as error:
            reasons.append(str(error))
            continue
        shares[i] = _share(first, inside)
        reasons.append("" if first.has_evidence else "no part of the picture speaks for the answer")
    return RelevanceRewards(shares, tuple(reasons), time.perf_counter() - start)


def region_mask(region: Any, size: tuple[int, int]) -> np.ndarray:
    """A region as an (h, w) boolean mask: boxes in pixels, each rounded to whole ones, or a mask of the same size.

    Raises:
        OptionError: neither, or of another size.

    Example:
        >>> region_mask([(1, 0, 3, 1)], (2, 4)).astype(int).tolist()
        [[0, 1, 1, 0], [0, 0, 0, 0]]
    """
    array = np.asarray(region)
    if array.dtype == bool and array.ndim == 2:
        if array.shape != size:
            raise OptionError(f"the mask is {array.shape} and the picture {size}, (height, width); expected the same")
        return array
    boxes = array.reshape(-1, 4) if array.size % 4 == 0 and array.dtype.kind in "iuf" else None
    if boxes is None:
        raise OptionError("a region is boxes (x0, y0, x1, y1) in pixels, or a boolean mask of the picture's size")
    out = np.zeros(size, bool)
    for x0, y0, x1, y1 in np.rint(boxes).astype(int).clip(min=0):
        out[y0:y1, x0:x1] = True
    return out


def _share(heatmap: Heatmap, inside: np.ndarray) -> float:
    # each pixel has a share of its cell, wherever cells are equally large
    values = heatmap.at_source().detach().cpu().double().nan_to_num(0.0).clamp(min=0).numpy()
    total = float(values.sum())
    return float(values[inside].sum()) / total if total > 0 else 0.0
