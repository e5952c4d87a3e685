"""Generated stories -> pictures of any size: a table, objects on it, fingers around one of them, noise.

Only the pixels around each object are worked on, for all clips and frames at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float, Int, UInt8

from isotherm.data.egocentric.config import GRID, EgocentricConfig
from isotherm.data.egocentric.story import TARGET, Stories

FINGERS = ((236.0, 168.0, 138.0), (70.0, 196.0, 190.0))
"""Colours: a bare hand's, and a glove's."""
_REACH = 1.75
"""How far fingers reach from the centre of what they are about to take, in its radii."""

Plane = Float[np.ndarray, "n t h w"]


def paint(
    stories: Stories, rngs: Sequence[np.random.Generator], config: EgocentricConfig
) -> UInt8[np.ndarray, "n t 3 h w"]:
    """The frames of some clips.

    Args:
        stories: what happens.
        rngs: of each clip, behind the numbers of its story: noise is drawn from them.
        config: side and noise are of it.
    """
    n, t, side = *stories.time_s.shape, config.side
    canvas = _table(stories, side)
    # an object may reach over the border, so the canvas is larger than the picture
    margin = int(np.ceil(side / GRID * 0.5 * _REACH)) + 2
    canvas = np.pad(canvas, ((0, 0), (0, 0), (0, 0), (margin, margin), (margin, margin)))
    _paint_fingers(canvas, stories, side, margin)
    for slot in range(stories.classes.shape[1]):
        _paint_object(canvas, stories, slot, side, margin)
    inner = canvas[..., margin : margin + side, margin : margin + side]
    if config.noise:
        noise = [rng.standard_normal((t, 3, side, side), np.float32) for rng in rngs]
        inner = inner + np.float32(config.noise) * (
            np.stack(noise) if n else np.zeros((0, t, 3, side, side), np.float32)
        )
    return inner.round().clip(0, 255).astype(np.uint8)


def _table(stories: Stories, side: int) -> Float[np.ndarray, "n t 3 h w"]:
    """A dull table with a pattern that moves with everything on it."""
    u, ground = stories.ground.astype(np.float32), np.float32(2 * np.pi)
    at = ((np.arange(side, dtype=np.float32) + 0.5) / side)[None, None]
    x, y = (at - stories.shift[..., axis, None].astype(np.float32) for axis in (0, 1))
    waves = [
        np.sin(ground * ((1 + 3 * u[:, i, None, None]) * z + u[:, j, None, None])) for z, i, j in ((x, 0, 1), (y, 2, 3))
    ]
    plane = 14 * waves[1][..., :, None] * waves[0][..., None, :]
    level = 52 + 30 * u[:, 4]
    warm = np.array([1.12, 1.0, 0.86], np.float32) * (0.9 + 0.2 * u[:, 5, None])
    return (plane[:, :, None] + level[:, None, None, None, None]) * warm[:, None, :, None, None]


def _paint_object(canvas: np.ndarray, stories: Stories, slot: int, side: int, margin: int) -> None:
    radius = (stories.radius[:, slot] * side).astype(np.float32)
    window = int(np.ceil(2 * 1.1 * radius.max(initial=1.0))) + 3
    at, x, y = _window(stories, slot, side, margin, window)
    turn = stories.angle[:, slot].astype(np.float32)[:, None, None, None]
    scale = radius[:, None, None, None]
    across, down = (np.cos(turn) * x + np.sin(turn) * y) / scale, (np.cos(turn) * y - np.sin(turn) * x) / scale
    cover = np.empty(x.shape, np.float32)
    for kind, shape in enumerate(SHAPES):
        rows = stories.classes[:, slot] == kind
        cover[rows] = (0.5 - shape(across[rows], down[rows]) * scale[rows]).clip(0, 1)
    light = 1 - 0.14 * (x + y) / scale  # from the upper left
    colour = _colour(stories.hue[:, slot])[:, None, :, None, None] * light[:, :, None]
    _blend(canvas, at, cover, colour)


def _paint_fingers(canvas: np.ndarray, stories: Stories, side: int, margin: int) -> None:
    """Two fingers that close in on the target."""
    rows = np.flatnonzero(stories.fingers)
    if not len(rows):
        return
    radius = (stories.radius[:, TARGET] * side).astype(np.float32)
    window = int(np.ceil(2 * _REACH * radius.max())) + 3
    at, x, y = _window(stories, TARGET, side, margin, window)
    scale, t = radius[rows, None, None, None], stories.time_s.shape[1]
    gap = np.linspace(1.55, 1.25, t, dtype=np.float32)[None, :, None, None]
    distance = np.maximum(np.abs(np.abs(x[rows]) / scale - gap) - 0.2, np.abs(y[rows]) / scale - 0.95)
    cover = (0.5 - distance * scale).clip(0, 1)
    colour = np.array(FINGERS, np.float32)[stories.fingers[rows] - 1][:, None, :, None, None]
    part = canvas[rows]
    _blend(part, _Corner(at.left[rows], at.top[rows], window), cover, colour)
    canvas[rows] = part


class _Corner:
    """Where windows lie in the canvas."""

    def __init__(self, left: Int[np.ndarray, "n t"], top: Int[np.ndarray, "n t"], window: int) -> None:
        self.left, self.top, self.window = left, top, window


def _window(stories: Stories, slot: int, side: int, margin: int, window: int) -> tuple[_Corner, Plane, Plane]:
    """A window about an object in every frame, and where its pixels' centres lie from the object's, in pixels."""
    centre = stories.centres[:, :, slot] * side
    corner = np.floor(centre - window / 2 + 0.5).astype(int)
    pixels = np.arange(window) + 0.5
    x, y = ((corner[..., axis, None] + pixels - centre[..., axis, None]).astype(np.float32) for axis in (0, 1))
    shape = (*centre.shape[:2], window, window)
    return (
        _Corner(corner[..., 0] + margin, corner[..., 1] + margin, window),
        np.broadcast_to(x[:, :, None, :], shape),
        np.broadcast_to(y[:, :, :, None], shape),
    )


def _blend(canvas: np.ndarray, at: _Corner, cover: Plane, colour: np.ndarray) -> None:
    n, t, _, height, width = canvas.shape
    window = np.arange(at.window)
    plane = (np.arange(n)[:, None] * t + np.arange(t))[..., None] * 3 + np.arange(3)
    rows = at.top[..., None] + window
    columns = at.left[..., None] + window
    flat = (plane[..., None, None] * height + rows[:, :, None, :, None]) * width + columns[:, :, None, None, :]
    pixels = canvas.reshape(-1)
    below = pixels[flat]
    pixels[flat] = below + cover[:, :, None] * (colour - below)


def _colour(hue: Float[np.ndarray, " n"]) -> Float[np.ndarray, "n 3"]:
    """Bright colours of hues."""
    channels = (np.abs((hue[:, None] * 6 + np.array([0, 4, 2])) % 6 - 3) - 1).clip(0, 1)
    return (50 + 190 * channels).astype(np.float32)


def _disc(x: Plane, y: Plane) -> Plane:
    return np.hypot(x, y) - 0.95


def _ring(x: Plane, y: Plane) -> Plane:
    return np.abs(np.hypot(x, y) - 0.75) - 0.25


def _bar(x: Plane, y: Plane) -> Plane:
    return np.maximum(np.abs(x) - 1.05, np.abs(y) - 0.36)


def _cross(x: Plane, y: Plane) -> Plane:
    x, y = np.abs(x), np.abs(y)
    return np.minimum(np.maximum(x - 1.05, y - 0.32), np.maximum(x - 0.32, y - 1.05))


def _triangle(x: Plane, y: Plane) -> Plane:
    return np.maximum(y - 0.62, np.abs(x) * 0.866 - y * 0.5 - 0.58)


def _pair(x: Plane, y: Plane) -> Plane:
    return np.hypot(np.abs(x) - 0.62, y) - 0.42


SHAPES: tuple[Callable[[Plane, Plane], Plane], ...] = (_disc, _ring, _bar, _cross, _triangle, _pair)
"""Of the nouns, each the distance to its edge in radii, negative inside; x to the right, y down."""
