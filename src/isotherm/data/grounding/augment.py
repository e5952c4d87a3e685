"""Pictures moved and recoloured without making their words untrue: points move by the same Frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Int

from isotherm.data.grounding.sides import COLOUR_WORDS, SIDE_WORDS, names_a_colour, names_a_side
from isotherm.data.keypoint_augment import TURNS, Augmentation, Drawn, draw
from isotherm.frame import Size


@dataclass(frozen=True, kw_only=True)
class GroundingAugmentation(Augmentation):
    """How pictures are changed; the rest of it is in :class:`isotherm.data.keypoint_augment.Augmentation`.

    Args:
        side_words: a picture whose text has one of them is never mirrored and never turned.
        colour_words: a picture whose text has one of them keeps its hues, and is never grey.
    """

    side_words: tuple[str, ...] = SIDE_WORDS
    colour_words: tuple[str, ...] = COLOUR_WORDS

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "side_words", tuple(self.side_words))
        object.__setattr__(self, "colour_words", tuple(self.colour_words))

    def for_text(self, text: str) -> Augmentation:
        """What may be done to a picture that this text is about."""
        allowed: GroundingAugmentation = self
        if names_a_side(text, self.side_words):
            still: dict[str, Any] = dict.fromkeys(TURNS, 0.0)
            allowed = replace(allowed, **still)
        if names_a_colour(text, self.colour_words):
            allowed = replace(allowed, hue=0.0, grey=0.0, saturation=0.0)
        return allowed


def draw_for_texts(
    augmentation: GroundingAugmentation,
    texts: Sequence[str],
    index: Int[torch.Tensor, " b"],
    *,
    seed: int,
    epoch: Int[torch.Tensor, " b"],
    cached: Size,
    size: Size,
) -> Drawn:
    """As :func:`isotherm.data.keypoint_augment.draw`, for every picture what its text allows.

    Args:
        augmentation: how much.
        texts: (b) what is said of each picture.
        index: (b) numbers of the pictures in their set.
        seed, epoch, cached, size: as there.
    """
    drawn = [
        draw(augmentation.for_text(text), index[i : i + 1], seed=seed, epoch=epoch[i : i + 1], cached=cached, size=size)
        for i, text in enumerate(texts)
    ]
    parts = ("to_cells", "flipped", "colour", "hue", "grey", "noise_seed")
    return Drawn(**{name: torch.cat([getattr(one, name) for one in drawn]) for name in parts})
