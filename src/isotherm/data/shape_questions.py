"""Small pictures of coloured shapes with questions about them, and the pixels that each answer rests on.

What a small vision-language model is trained and explained on: a map must lie on the shapes that the question speaks
of.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from isotherm.errors import OptionError

COLOURS = {"red": (225, 35, 35), "green": (35, 190, 55), "blue": (40, 70, 235), "yellow": (245, 215, 30)}
SHAPES = ("circle", "square", "triangle")
PLACES = ("top-left", "top", "top-right", "left", "middle", "right", "bottom-left", "bottom", "bottom-right")
MOST = 5
SIDE = 48
TRAINING, VALIDATION, HELD_OUT = range(0, 1 << 40), range(1 << 40, 1 << 41), range(1 << 41, 1 << 42)
Kind = Literal["count", "where", "exists"]
KINDS: tuple[Kind, ...] = ("count", "where", "exists")


@dataclass(frozen=True, eq=False)
class ShapeQuestion:
    """A picture, a question and the truth.

    Args:
        picture: (48, 48, 3) uint8.
        question, answer: words, such as "how many red ?" and "2".
        kind: of question.
        colour: it asks for.
        masks: (n, 48, 48) pixels of each shape.
        colours, shapes: (n) numbers into :data:`COLOURS` and :data:`SHAPES`.
        centres: (n, 2) (x, y), edge-origin pixels.
        evidence: (48, 48) the pixels that the answer rests on: all shapes of the colour.
    """

    picture: UInt8[np.ndarray, "h w 3"]
    question: str
    answer: str
    kind: Kind
    colour: str
    masks: Bool[np.ndarray, "n h w"]
    colours: Int[np.ndarray, " n"]
    shapes: Int[np.ndarray, " n"]
    centres: Float[np.ndarray, "n 2"]
    evidence: Bool[np.ndarray, "h w"]


def make_question(seed: int, kind: Kind | None = None) -> ShapeQuestion:
    """The question of a seed: one to five shapes that do not touch, on noise.

    Args:
        seed: 0 to 2**42 - 1; see :data:`TRAINING`, :data:`VALIDATION` and :data:`HELD_OUT`.
        kind: of question; None: by chance.

    Raises:
        OptionError: a seed outside of that, or no such kind.

    Example:
        >>> asked = make_question(7, "count")
        >>> int(asked.answer) == sum(list(COLOURS)[c] == asked.colour for c in asked.colours)
        True
    """
    if not 0 <= seed < HELD_OUT.stop:
        raise OptionError(f"seed is {seed}; expected 0 to 2**42 - 1")
    if kind is not None and kind not in KINDS:
        raise OptionError(f"kind is {kind!r}; expected one of {', '.join(KINDS)}")
    rng = np.random.Generator(np.random.PCG64(seed))
    chosen = KINDS[int(rng.integers(len(KINDS)))] if kind is None else kind
    names, n = list(COLOURS), int(rng.integers(1, MOST + 1))
    colour_index, wanted = int(rng.integers(len(names))), int(rng.integers(0, MOST + 1))
    if chosen == "count":  # every answer is as frequent
        n = int(rng.integers(max(1, wanted), MOST + 1))
    colours = rng.integers(0, len(names), n)
    if chosen == "count":
        colours = np.where(
            np.arange(n) < wanted, colour_index, (colour_index + 1 + rng.integers(0, len(names) - 1, n)) % len(names)
        )
    elif chosen == "where":  # one of the colour alone, so that there is one answer
        colours = np.where(
            np.arange(n) == 0, colour_index, (colour_index + 1 + rng.integers(0, len(names) - 1, n)) % len(names)
        )
    elif rng.uniform() < 0.5:
        colours = np.where(
            colours == colour_index, (colour_index + 1 + rng.integers(0, len(names) - 1, n)) % len(names), colours
        )
    else:
        colours[0] = colour_index
    radii, shapes = rng.uniform(4.0, 5.5, n), rng.integers(0, len(SHAPES), n)
    picture, centres, masks = draw_shapes(rng, shapes, colours, radii)
    evidence = (
        masks[colours == colour_index].any(0) if (colours == colour_index).any() else np.zeros((SIDE, SIDE), bool)
    )
    colour = names[colour_index]
    question, answer = _worded(chosen, colour_index, colours, centres)
    return ShapeQuestion(picture, question, answer, chosen, colour, masks, colours, shapes, centres, evidence)


def draw_shapes(
    rng: np.random.Generator,
    shapes: Int[np.ndarray, " n"],
    colours: Int[np.ndarray, " n"],
    radii: Float[np.ndarray, " n"],
    *,
    side: int = SIDE,
) -> tuple[UInt8[np.ndarray, "h w 3"], Float[np.ndarray, "n 2"], Bool[np.ndarray, "n h w"]]:
    """A square picture of shapes that do not touch, on noise: the picture, their centres (x, y) and the pixels of each.

    Args:
        shapes, colours: numbers into :data:`SHAPES` and :data:`COLOURS`.
        radii: in pixels; there must be room for all of them.
        side: of the picture.
    """
    centres = _apart(rng, radii, side)
    level = rng.uniform(90, 150)
    picture = level + rng.normal(0, 14, (side, side, 1)) + rng.normal(0, 8, (side, side, 3))
    masks = np.zeros((len(radii), side, side), bool)
    for i in range(len(radii)):
        cover = _cover(int(shapes[i]), centres[i], radii[i], rng.uniform(0, 2 * np.pi), side)
        masks[i] = cover >= 0.5
        paint = np.array(list(COLOURS.values())[colours[i]]) + rng.normal(0, 10, 3)
        picture += cover[..., None] * (paint + rng.normal(0, 6, (side, side, 3)) - picture)
    return picture.round().clip(0, 255).astype(np.uint8), centres, masks


def further_questions(first: ShapeQuestion, seed: int) -> list[tuple[str, str]]:
    """Questions about the other colours of the same picture, in a random order, each with its answer.

    Asked behind the first one they give several times as much to learn per picture.
    """
    rng = np.random.Generator(np.random.PCG64([seed, 1]))
    names, out = list(COLOURS), []
    for colour_index in rng.permutation(len(names)).tolist():
        if names[colour_index] != first.colour:
            # where only one is, place is what is hardest to learn
            shares = [0.25, 0.5, 0.25] if int((first.colours == colour_index).sum()) == 1 else [0.5, 0.0, 0.5]
            out.append(
                _worded(KINDS[int(rng.choice(len(KINDS), p=shares))], colour_index, first.colours, first.centres)
            )
    return out


def _worded(
    kind: Kind, colour_index: int, colours: Int[np.ndarray, " n"], centres: Float[np.ndarray, "n 2"]
) -> tuple[str, str]:
    """Question and answer about a colour; where: of its first shape."""
    colour, which = list(COLOURS)[colour_index], np.flatnonzero(colours == colour_index)
    if kind == "count":
        return f"how many {colour} ?", str(len(which))
    if kind == "exists":
        return f"is there {colour} ?", "yes" if len(which) else "no"
    x, y = centres[which[0]]
    return f"where is {colour} ?", PLACES[3 * int(y * 3 // SIDE) + int(x * 3 // SIDE)]


def _apart(rng: np.random.Generator, radii: Float[np.ndarray, " n"], side: int) -> Float[np.ndarray, "n 2"]:
    """Centres inside of the picture whose circles do not touch; five of these radii always find room."""
    while True:
        centres: list[np.ndarray] = []
        for radius in radii:
            for _ in range(60):
                at = rng.uniform(radius + 1, side - radius - 1, 2)
                if all(np.hypot(*(at - c)) > radius + r + 1.5 for c, r in zip(centres, radii, strict=False)):
                    centres.append(at)
                    break
            else:
                break
        if len(centres) == len(radii):
            return np.stack(centres)


def _cover(shape: int, centre: np.ndarray, radius: float, angle: float, side: int) -> Float[np.ndarray, "h w"]:
    """How much of each pixel a shape covers, from its distance to the edge."""
    ys, xs = np.mgrid[:side, :side] + 0.5
    x, y = xs - centre[0], ys - centre[1]
    if shape == 0:
        distance = np.hypot(x, y) - radius
    else:
        sides = 4 if shape == 1 else 3
        inner = radius * np.cos(np.pi / sides)
        turns = angle + 2 * np.pi * np.arange(sides) / sides
        distance = np.max([x * np.cos(t) + y * np.sin(t) - inner for t in turns], axis=0)
    return np.clip(0.5 - distance, 0, 1)
