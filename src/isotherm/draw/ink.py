"""Ink: a style, for one scale, as tables that have an entry for every level of a map."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8, UInt32
from torch import Tensor

from isotherm.draw.colour import DEFAULT, DEFAULT_DIVERGING, DIVERGING, LEVELS, colour_table
from isotherm.draw.scale import Scale
from isotherm.draw.style import FULL_AT, GREY_AT, STARTS_AT, UNSEEN_GREY, UNSEEN_OPACITY, Style


@dataclass(frozen=True)
class Ink:
    """Colour, opacity and greying of every level; level 0 is what the map does not cover.

    A pixel p of luma Y becomes ``(1 - alpha) ((1 - grey) p + grey Y) + alpha colour``.

    Args:
        colour: (1024, 3) RGB in [0, 1].
        alpha: (1024,) opacity of the colour, in [0, 1].
        grey: (1024,) how much of its own colours the picture loses, in [0, 1].
    """

    colour: Float[Tensor, "n 3"]
    alpha: Float[Tensor, " n"]
    grey: Float[Tensor, " n"]

    @classmethod
    def of(cls, style: Style, scale: Scale, *, signed: bool) -> Ink:
        """The ink of a style: of a signed map 0 is in the middle of the colours, wherever it lies in the scale."""
        t = scale.strengths(LEVELS, signed=signed)
        size, against = t.abs(), t < 0
        both = signed and scale.low < 0
        name = style.colormap or (DEFAULT_DIVERGING if both else DEFAULT)
        table = colour_table(name)
        at = ((t + 1) / 2 if both or (signed and name in DIVERGING) else t).clamp(0, 1) * (LEVELS - 1)
        colour = table[at.round().long()]
        grows = ((size - STARTS_AT) / (FULL_AT - STARTS_AT)).clamp(0, 1) if style.by_value else torch.ones_like(size)
        fades = ((size - STARTS_AT) / (GREY_AT - STARTS_AT)).clamp(0, 1) if style.by_value else torch.ones_like(size)
        left_out = (size < style.threshold) | (against if style.negative != "fill" else torch.zeros_like(against))
        alpha = (style.opacity * grows).masked_fill(left_out, 0.0)
        grey = (fades if style.grey else torch.zeros_like(fades)).masked_fill(left_out, 0.0)
        unseen = (UNSEEN_OPACITY, UNSEEN_GREY) if style.unseen and not scale.is_empty else (0.0, 0.0)
        return cls(
            torch.cat([torch.full((1, 3), 0.5), colour]),
            torch.cat([alpha.new_tensor([unseen[0]]), alpha]),
            torch.cat([grey.new_tensor([unseen[1]]), grey]),
        )

    @cached_property
    def clear(self) -> tuple[int, int] | None:
        """The first and the last of the longest run of levels, from 1 on, that leave a picture as it is; None where
        none does.
        """
        none = ((self.alpha == 0) & (self.grey == 0))[1:].tolist()
        runs = [(len(list(run)), is_clear) for is_clear, run in groupby(none)]
        ends = np.cumsum([length for length, _ in runs]).tolist()
        return max(
            ((end - length + 1, end) for (length, is_clear), end in zip(runs, ends, strict=True) if is_clear),
            key=lambda run: run[1] - run[0],
            default=None,
        )

    def layer(self, level: Int[np.ndarray, "*#n"], luma: UInt8[np.ndarray, "*#n"]) -> UInt32[np.ndarray, "*n"]:
        """What lies over 8-bit pixels of these levels and lumas: red, green and blue times opacity, and opacity, as the
        bytes of one number.

        Greying and colouring in one: the opacity is ``1 - (1 - alpha) (1 - grey)``.
        """
        alpha, grey = (t.numpy().astype(np.float32) for t in (self.alpha, self.grey))
        greyed = (1 - alpha) * grey
        own = self.colour.numpy().astype(np.float32) * (255 * alpha)[:, None] + 0.5  # so that cutting rounds
        light = greyed[level] * luma
        pixels = np.empty((*light.shape, 4), np.uint8)
        pixels[..., 3] = (255 * (alpha + greyed) + 0.5)[level]
        for channel in range(3):
            # never above the opacity, or white would turn black where Pillow adds up
            pixels[..., channel] = np.minimum(own[:, channel][level] + light, pixels[..., 3])
        return pixels.view(np.uint32)[..., 0]
