"""Where in their pictures vision tokens look, measured: stripes are put on the pictures, and the tokens answer.

Noise is added to the pictures, times a wave along x or y. A token that looks at one place changes by as much of the
noise as the wave has there; with the wave's cosine and with its sine, the two changes c and s of a token say at which
phase it looks: the sum over channels of (c + i s)^2 has twice the wave's phase, averaged over the token's pixels by how
much each moves it, and its length over the sum of |c|^2 + |s|^2 is 1 for a point and falls with the width of what the
token sees, as sin(pi w / p) / (pi w / p) for an even width w and stripes of p pixels. A wave over the whole picture
comes first, as it is unambiguous, then shorter ones, which are exact (as with fringes in optics: Creath 1988, Progress
in Optics 26).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Complex, Float, Int
from torch import Tensor

from isotherm.cam.view import Picture
from isotherm.errors import AdapterError
from isotherm.frame import Size

Entering = Callable[[Sequence[Picture]], Float[Tensor, "n c"]]
"""What enters the language model in the places of some pictures, picture after picture."""
WHOLE = 1.25
"""Of the first stripes over the side: so that the two ends of a picture are told apart."""
FINER = 2.0
"""From one kind of stripes to the next."""
SHARP = 0.45
"""Contrast down to which a token's phase is taken: it sees two thirds of a stripe then."""
SEEN = 0.03
"""Change of a token, over that of the median of those that change, from which it has pixels."""
MIDDLE, SPREAD, SWING = 128.0, 40.0, 10.0
"""Of the pictures' bytes, and of what is added to them: so little that tokens answer in proportion."""
BLURRED = 1.0
"""Of a stripe, what a token may see of it if its phase is to be trusted."""
NUMBERS, MOST_TAKES = 512, 6
"""A token's numbers from which one noise suffices; where it has fewer, several are averaged, at most so many."""


class UnmovedError(AdapterError):
    """No vision token changes with the pixels."""


@dataclass(frozen=True, eq=False)
class Looks:
    """Where the tokens of a prompt's pictures look.

    Args:
        picture: (n) the number of each token's picture; -1: no pixel moves it.
        share: (k, n) how much each of the pictures moves each token, over what the one does that moves it most.
        centre: (n, 2) of what moves it, (x, y) in pixels of its picture.
        width: (n, 2) of what moves it, along x and y; that of the whole side where no stripes could be told apart.
    """

    picture: Int[Tensor, " n"]
    share: Float[Tensor, "k n"]
    centre: Float[Tensor, "n 2"]
    width: Float[Tensor, "n 2"]


def measure_looks(entering: Entering, sizes: Sequence[Size], *, seed: int = 0) -> Looks:
    """Where tokens look, by stripes.

    Args:
        entering: a model, in which attention should mix nothing (:func:`isotherm.relevance.still.still_attention`).
        sizes: (h, w) of the pictures.
        seed: of the noise.

    Raises:
        UnmovedError: the pictures move no token at all.
        AdapterError: more or fewer tokens come of changed ones.
    """
    first = _Take(entering, sizes, seed)
    takes = [first]
    for more in range(1, min(MOST_TAKES, math.ceil(NUMBERS / first.before.shape[1]))):
        takes.append(_Take(entering, sizes, seed + more))
    moved = sum(take.moved() for take in takes)
    assert isinstance(moved, Tensor)
    strongest = moved.amax(0)
    if not bool((strongest > 0).any()):
        raise UnmovedError("its vision tokens do not change with the pixels of the pictures")
    seen = strongest > SEEN * strongest[strongest > 0].median()
    picture = torch.where(seen, moved.argmax(0), -1)
    side = torch.tensor([[w, h] for h, w in sizes], dtype=torch.float64)[picture]
    centres, widths = zip(*(_along(takes, axis, side[:, axis], seen) for axis in (0, 1)), strict=True)
    return Looks(picture, moved / strongest.clamp(min=1e-30), torch.stack(centres, -1), torch.stack(widths, -1))


def _along(
    takes: Sequence[_Take], axis: int, side: Float[Tensor, " n"], seen: Bool[Tensor, " n"]
) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
    """(centre, width) of what each token sees along an axis."""
    centre, width, going, stripes = side / 2, side.clone(), seen, 1 / WHOLE
    while bool(going.any()):
        # each take counts alike: one to which a token answers ten times as much, as those that are chosen by a softmax
        # do, would be as good as alone
        answer = torch.stack([take.answer(axis, stripes) for take in takes]).mean(0)
        contrast, period = answer.abs(), side / stripes
        place = side / 2 + answer.angle() / (2 * math.pi) * period  # the phase is 0 in the middle
        if stripes > 1:  # which of the stripes it is, coarser ones say
            place += ((centre - place) / period).round() * period
        going = going & (contrast >= SHARP)
        centre = torch.where(going, place, centre)
        width = torch.where(going, (period * _even_width(contrast)).clamp(min=1), width)
        stripes *= FINER
        # of what is within one pixel finer stripes tell no more, however fine they are
        going = going & (width < BLURRED * period / FINER) & (side / stripes >= 1)
    return centre, width


def _even_width(contrast: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """The width, over the period, of an even stretch whose contrast is this; at least a tenth, as below that contrast
    hardly tells.
    """
    widths = torch.linspace(0.1, 1, 513, dtype=torch.float64)
    return widths[torch.searchsorted(-torch.sinc(widths), -contrast.clamp(0, 1)).clamp(max=512)]


class _Take:
    """Noise on the pictures, more noise that is added by waves, and what the tokens make of it."""

    def __init__(self, entering: Entering, sizes: Sequence[Size], seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.entering, self.sizes = entering, sizes
        self.still = [MIDDLE + SPREAD * _noise(size, rng) for size in sizes]
        self.added = [SWING * _noise(size, rng) for size in sizes]
        self.rounding = [rng.random((*size, 1)) for size in sizes]
        self.before = self._read([0.0] * len(sizes))

    def moved(self) -> Float[Tensor, "k n"]:
        """How much every token moves with each of the pictures."""
        k = len(self.sizes)
        return torch.stack([self._change([float(i == j) for j in range(k)]).norm(dim=1) for i in range(k)])

    def answer(self, axis: int, stripes: float) -> Complex[Tensor, " n"]:
        """The sum of (c + i s)^2 of each token, over that of |c|^2 + |s|^2.

        Args:
            axis: 0 for x, 1 for y.
            stripes: on a picture's side.
        """
        c, s = (self._change([_line(size, axis, stripes, wave) for size in self.sizes]) for wave in (np.cos, np.sin))
        power = (c * c + s * s).sum(1).clamp(min=1e-30)
        return torch.complex((c * c - s * s).sum(1) / power, 2 * (c * s).sum(1) / power)

    def _change(self, amounts: Sequence[np.ndarray | float]) -> Float[Tensor, "n c"]:
        after = self._read(amounts)
        if after.shape != self.before.shape:
            raise AdapterError(
                f"it made {len(self.before)} vision tokens of pictures, and {len(after)} of others of the same sizes"
            )
        return after - self.before

    def _read(self, amounts: Sequence[np.ndarray | float]) -> Float[Tensor, "n c"]:
        shown = [
            np.clip(np.floor(still + amount * added + rounding), 0, 255).astype(np.uint8)
            for still, added, amount, rounding in zip(self.still, self.added, amounts, self.rounding, strict=True)
        ]
        return self.entering(shown).detach().to("cpu", torch.float64)


def _line(
    size: Size, axis: int, stripes: float, wave: Callable[[np.ndarray], np.ndarray]
) -> Float[np.ndarray, "_ _ 1"]:
    length = size[1 - axis]
    line = wave(np.pi * stripes * ((np.arange(length) + 0.5) / length - 0.5))  # half the phase, as squares double it
    return line[None, :, None] if axis == 0 else line[:, None, None]


def _noise(size: Size, rng: np.random.Generator) -> Float[np.ndarray, "h w 3"]:
    """Of deviation 1, of all grains that a processor might shrink a picture of this size to."""
    h, w = size
    grains = [2**i for i in range(12) if i == 0 or 2**i <= max(h, w) / 64]
    parts = [rng.choice((-1.0, 1.0), (-(-h // grain), -(-w // grain), 3)) for grain in grains]
    total = sum(part.repeat(grain, 0).repeat(grain, 1)[:h, :w] for part, grain in zip(parts, grains, strict=True))
    return np.asarray(total) / math.sqrt(len(grains))
