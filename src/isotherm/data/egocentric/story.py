"""What happens in generated clips: what lies where, what the person looks at and when, and what they do afterwards.

A clip is decided by numbers between 0 and 1 that are drawn for it alone; all clips of a batch are then worked out at
once. Nothing here depends on the size of the picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from isotherm.data.egocentric.config import (
    CARRY,
    FROM_FINGERS,
    FROM_PREVIOUS,
    GRID,
    HELD_OUT,
    NOUNS,
    PARTS,
    EgocentricConfig,
)
from isotherm.data.gaze.states import GazeState
from isotherm.errors import OptionError

TARGET, PREVIOUS, DISTRACTOR = 0, 1, 2
"""The places of objects in the lists of a story, by the role that they play."""
LAST_S, BEFORE_S = 0.375, 0.75
"""Seconds before the end up to which the last thing, and the one before it, is looked at."""
AWAY_S, AWAY_LAST_S, AWAY_BEFORE_S = 0.25, 0.5, 0.75
"""The same where gaze is gone in the end: until then it is away, before it the last thing is looked at, and so on."""
MOST_JITTER = 0.045
"""Of gaze, so that it never lies nearer to another object, nor outside of the picture."""
_ONCE = 6 + GRID * GRID + 6 + 4 * 6 + 16
_PALETTE = 6


@dataclass(frozen=True, eq=False)
class Stories:
    """What happens in n clips of t frames with k objects; lengths are shares of the side.

    Args:
        part: numbers into PARTS.
        rate_hz: frames per second.
        time_s: of the frames; the first is 0, the last is the clip's end.
        classes: of the objects: target, previous, distractor and the others.
        centres: (x, y) of the objects in each frame.
        radius, angle, hue: of the objects; radians, and a share of the circle of colours.
        ground: numbers between 0 and 1 that the table is drawn from.
        shift: (x, y) of the camera, of everything that lies on the table.
        fingers: 0 for none, else 1 + the number of their colour.
        gaze: (x, y), NaN where it is missing.
        state: of :class:`isotherm.data.gaze.states.GazeState`.
        confidence: 0 where gaze is missing.
        looked: the place in the lists of what is looked at, -1 where that is nothing.
        verb, noun: what is done next.
    """

    part: Int[np.ndarray, " n"]
    rate_hz: Float[np.ndarray, " n"]
    time_s: Float[np.ndarray, "n t"]
    classes: Int[np.ndarray, "n k"]
    centres: Float[np.ndarray, "n t k 2"]
    radius: Float[np.ndarray, "n k"]
    angle: Float[np.ndarray, "n k"]
    hue: Float[np.ndarray, "n k"]
    ground: Float[np.ndarray, "n 6"]
    shift: Float[np.ndarray, "n t 2"]
    fingers: Int[np.ndarray, " n"]
    gaze: Float[np.ndarray, "n t 2"]
    state: UInt8[np.ndarray, "n t"]
    confidence: Float[np.ndarray, "n t"]
    looked: Int[np.ndarray, "n t"]
    verb: Int[np.ndarray, " n"]
    noun: Int[np.ndarray, " n"]


def generators(seed: int, index: Sequence[int]) -> list[np.random.Generator]:
    """A generator for each clip.

    Args:
        seed: of the whole set, at least 0.
        index: numbers of clips, 0 to 2**42 - 1.

    Raises:
        OptionError: a number out of range.
    """
    if seed < 0 or (len(index) and not (min(index) >= 0 and max(index) < HELD_OUT.stop)):
        raise OptionError(f"seed is {seed} and clips are {index}; expected at least 0, and clips from 0 to 2**42 - 1")
    return [np.random.Generator(np.random.PCG64([seed, int(i)])) for i in index]


def make_stories(rngs: Sequence[np.random.Generator], config: EgocentricConfig) -> Stories:
    """The stories of some clips, each from its own generator.

    Args:
        rngs: from :func:`generators`; as many numbers are drawn of each as the config has frames, and some more.
        config: of the set.
    """
    n, t, k = len(rngs), config.frames, config.objects
    u = np.stack([rng.random(_ONCE + 5 * t) for rng in rngs]) if n else np.zeros((0, _ONCE + 5 * t))
    kinds, cells, order, looks, rest, each = np.split(u, np.cumsum([6, GRID * GRID, 6, 24, 16]), 1)
    each = each.reshape(n, t, 5)
    classes = kinds.argsort(1)[:, :k]
    cell = cells.argsort(1)[:, :k]
    radius, angle, hue = _looks(looks.reshape(n, 4, 6)[:, :, :k], classes, config)
    edges = np.cumsum([config.shares[part] for part in PARTS])[:-1]
    part = np.searchsorted(edges, rest[:, 0], side="right")
    rate = np.asarray(config.rates_hz, np.float64)[(rest[:, 1] * len(config.rates_hz)).astype(int)]
    time_s = np.arange(t) / rate[:, None]
    heads = rest[:, 2] < 0.5
    shift = _drift(rest[:, 3:5], time_s, config.drift)
    centres = (np.stack([cell % GRID, cell // GRID], -1) + 0.5) / GRID
    moved = centres[:, None] + shift[:, :, None]
    away, video = part == PARTS.index("out_of_frame"), part == PARTS.index("video")
    looked = _looked(time_s - time_s[:, -1:], away, np.where(video[:, None], order[:, :k].argsort(1)[:, :3], range(3)))
    gaze, state, confidence = _gaze(moved, looked, heads, rest[:, 5], each, config.jitter)
    noun = classes[:, TARGET]
    verb = np.select(
        [video, away & heads], [np.where(heads, *FROM_FINGERS), CARRY], classes[:, PREVIOUS] % FROM_PREVIOUS
    )
    return Stories(
        part=part,
        rate_hz=rate,
        time_s=time_s,
        classes=classes,
        centres=moved,
        radius=radius,
        angle=angle,
        hue=hue,
        ground=rest[:, 6:12],
        shift=shift,
        fingers=np.where(video, np.where(heads, 1, 2), 0),
        gaze=gaze,
        state=state,
        confidence=confidence,
        looked=looked,
        verb=verb,
        noun=noun,
    )


def _drift(u: Float[np.ndarray, "n 2"], time_s: Float[np.ndarray, "n t"], most: float) -> Float[np.ndarray, "n t 2"]:
    """A steady motion of the camera through nothing in the middle of the clip."""
    turn = 2 * np.pi * u[:, 0]
    velocity = most * np.sqrt(u[:, 1])[:, None] * np.stack([np.cos(turn), np.sin(turn)], -1)
    # slow rates show more of it; beyond a sixteenth objects at the border would leave
    return (velocity[:, None] * (time_s - time_s[:, -1:] / 2)[..., None]).clip(-1 / 16, 1 / 16)


def _looks(
    u: Float[np.ndarray, "n 4 k"], classes: Int[np.ndarray, "n k"], config: EgocentricConfig
) -> tuple[Float[np.ndarray, "n k"], Float[np.ndarray, "n k"], Float[np.ndarray, "n k"]]:
    """Radius, angle and hue of objects."""
    hue = np.floor(u[:, 2] * _PALETTE) / _PALETTE
    if config.look == "plain":
        hue = classes / len(NOUNS)
    sign = np.where(u[:, 3] < 0.5, -1, 1)
    # what is not seen lies between and beside what is: other colours and angles between those that are, smaller and larger
    half, size, turn = u[:, 1] < 0.5, 0.37 + 0.05 * u[:, 0], 20 * u[:, 1]
    if config.look == "varied":
        turn = np.where(half, 24 * u[:, 1], 12 + 24 * u[:, 1])
    if config.look == "unseen":
        size = np.where(u[:, 0] < 0.5, 0.32, 0.41) + 0.06 * u[:, 0]
        turn, hue = 14 + 8 * u[:, 1], hue + 0.5 / _PALETTE
    return size / GRID, np.deg2rad(sign * turn), (hue + 0.04 * (u[:, 3] * 2 % 1 - 0.5)) % 1


def _looked(
    before_s: Float[np.ndarray, "n t"], away: Bool[np.ndarray, " n"], visits: Int[np.ndarray, "n 3"]
) -> Int[np.ndarray, "n t"]:
    """What is looked at in each frame: the third of the visits, then the second, then the first; -1: nothing."""
    far = -before_s + 1e-9  # rounding must not make a frame earlier
    gone = away[:, None] & (far < AWAY_S)
    last = far < np.where(away, AWAY_LAST_S, LAST_S)[:, None]
    before = far < np.where(away, AWAY_BEFORE_S, BEFORE_S)[:, None]
    return np.select([gone, last, before], [np.full_like(far, -1, int), visits[:, :1], visits[:, 1:2]], visits[:, 2:])


def _gaze(
    centres: Float[np.ndarray, "n t k 2"],
    looked: Int[np.ndarray, "n t"],
    leaves: Bool[np.ndarray, " n"],
    side: Float[np.ndarray, " n"],
    u: Float[np.ndarray, "n t 5"],
    jitter: float,
) -> tuple[Float[np.ndarray, "n t 2"], UInt8[np.ndarray, "n t"], Float[np.ndarray, "n t"]]:
    """Gaze, its state and its confidence: on what is looked at; where that is nothing, outside or missing."""
    on = np.take_along_axis(centres, looked.clip(0)[..., None, None], 2)[:, :, 0]
    length = jitter * np.sqrt(-2 * np.log1p(-u[..., 0]))  # Box and Muller (1958)
    turn = 2 * np.pi * u[..., 1]
    gaze = on + length.clip(0, MOST_JITTER)[..., None] * np.stack([np.cos(turn), np.sin(turn)], -1)
    # to the left, to the right, or down to the hands
    along, beyond = 0.2 + 0.6 * u[..., 2], 0.05 + 0.25 * u[..., 3]
    which = np.floor(3 * side).astype(int)[:, None]
    x = np.select([which == 0, which == 1], [-beyond, 1 + beyond], along)
    y = np.where(which == 2, 1 + beyond, along)
    gone = looked < 0
    outside, missing = gone & leaves[:, None], gone & ~leaves[:, None]
    gaze = np.where(outside[..., None], np.stack([x, y], -1), gaze)
    state = np.select(
        [outside, missing], [int(GazeState.OUT_OF_FRAME), int(GazeState.MISSING)], int(GazeState.TRACKED)
    ).astype(np.uint8)
    return np.where(missing[..., None], np.nan, gaze), state, np.where(missing, 0.0, 0.8 + 0.2 * u[..., 4])
