"""The body of a generated beetle: how it is built, and how it is painted.

Body coordinates: the unit is the length of the elytra, u runs along the body from their base at the thorax (0, 0) to
their tip (1, 0), v across. The elytra's half width is ``half_width`` at ``u = widest`` and nowhere more, so the four
measured points are known in closed form.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, pi, sin

import numpy as np
from jaxtyping import Float32, Float64

from isotherm.data.beetle_paint import Canvas, Patch, Place, lay, limb, patch_around, soften
from isotherm.data.scene_shapes import Plane
from isotherm.data.scene_textures import Colour

Chain = tuple[tuple[float, float], ...]
"""Joints (u, v) of a limb, from the body outward."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Body:
    """Proportions, limbs and colours of one beetle, in body coordinates.

    Args:
        half_width, widest, shoulder, blunt: of the elytra: half the width, where along it is reached, the share of it
            at the base, and how square the rear is, 0 to 1.
        thorax: (length, half width).
        head: (length, half width).
        legs: three on each side, of three segments.
        antennae: two, of two segments.
        leg_radius: at the hip.
        wing, front, limbs: colours of the elytra, of thorax and head, of legs.
        striae: grooves on each wing cover.
        spots: (u, v, radius) of marks, in the colour ``mark``.
        gloss: 0 to 1.
    """

    half_width: float
    widest: float
    shoulder: float
    blunt: float
    thorax: tuple[float, float]
    head: tuple[float, float]
    legs: tuple[Chain, ...]
    antennae: tuple[Chain, ...]
    leg_radius: float
    wing: Colour
    front: Colour
    limbs: Colour
    mark: Colour
    striae: int
    spots: tuple[tuple[float, float, float], ...]
    gloss: float

    @property
    def points(self) -> Float64[np.ndarray, "4 2"]:
        """(u, v) of the two ends of the width and of the base and tip."""
        return np.array([[self.widest, -self.half_width], [self.widest, self.half_width], [0, 0], [1, 0]])


@dataclass(frozen=True, eq=False)
class Stance:
    """Where a body is: the base of its elytra in edge-origin pixels, pixels per unit, and the direction of its axis."""

    base: Place
    length: float
    axis: Place

    def to_pixels(self, body: Float64[np.ndarray, "k 2"]) -> Float64[np.ndarray, "k 2"]:
        """(u, v) -> (x, y)."""
        u, v = body[:, :1] * self.length, body[:, 1:] * self.length
        return self.base + u * self.axis + v * np.array([-self.axis[1], self.axis[0]])

    def to_body(self, patch: Patch) -> tuple[Plane, Plane]:
        """(u, v) of a patch's pixel centres."""
        x, y = patch.x - np.float32(self.base[0]), patch.y - np.float32(self.base[1])
        c, s = np.float32(self.axis[0] / self.length), np.float32(self.axis[1] / self.length)
        return x * c + y * s, y * c - x * s


@dataclass(frozen=True, eq=False)
class Part:
    """A part on its patch of the canvas: coverage in [0, 1], and one colour or one for every pixel."""

    patch: Patch
    alpha: Plane
    colour: Float32[np.ndarray, "3"] | Float32[np.ndarray, "h w 3"]


_COLOURS = (
    (0.10, 0.08, 0.07),
    (0.22, 0.12, 0.06),
    (0.36, 0.19, 0.08),
    (0.07, 0.20, 0.13),
    (0.08, 0.12, 0.24),
    (0.42, 0.10, 0.06),
    (0.24, 0.20, 0.10),
)


def random_body(rng: np.random.Generator) -> Body:
    """A beetle of no species in particular."""

    def near(colour: Colour, spread: float) -> Colour:
        return np.clip(colour * np.float32(rng.uniform(1 - spread, 1 + spread)), 0, 1)

    wing = near(np.array(_COLOURS[int(rng.integers(len(_COLOURS)))], np.float32), 0.3)
    dark = np.array(_COLOURS[0], np.float32)
    front = near(wing, 0.3) if rng.uniform() < 0.6 else near(dark, 0.3)
    half_width = float(rng.uniform(0.28, 0.42))
    thorax = (float(rng.uniform(0.26, 0.4)), half_width * float(rng.uniform(0.68, 0.92)))
    head = (float(rng.uniform(0.16, 0.26)), thorax[1] * float(rng.uniform(0.5, 0.75)))
    legs = []
    # front legs reach forward, middle ones sideways, hind ones back; every joint bends at random about that
    for hip_u, heading in ((-0.15, 0.66), (0.12, 0.46), (0.38, 0.30)):
        for side in (-1, 1):
            u, v = hip_u, side * half_width * 0.6
            turn = pi * (heading + rng.uniform(-0.07, 0.07))
            chain = [(u, v)]
            for length, bend in ((0.36, 0.0), (0.32, rng.uniform(-0.9, 0.5)), (0.22, rng.uniform(-0.5, 0.4))):
                turn += bend if heading < 0.6 else -bend
                span = length * rng.uniform(0.85, 1.15)
                u, v = u + span * cos(turn), v + side * span * sin(turn)
                chain.append((u, v))
            legs.append(tuple(chain))
    antennae = []
    for side in (-1, 1):
        u, v = -thorax[0] - 0.6 * head[0], side * head[1] * 0.6
        turn = pi * (1 - rng.uniform(0.12, 0.3))
        chain = [(u, v)]
        for span in (rng.uniform(0.16, 0.3), rng.uniform(0.18, 0.4)):
            u, v = u + span * cos(turn), v + side * span * sin(turn)
            chain.append((u, v))
            turn += rng.uniform(-0.7, 0.5)
        antennae.append(tuple(chain))
    spots = []
    for _ in range(int(rng.integers(2, 5)) if rng.uniform() < 0.3 else 0):
        u, v, r = rng.uniform(0.12, 0.85), half_width * rng.uniform(0.3, 0.75), rng.uniform(0.04, 0.1)
        spots += [(float(u), float(v), float(r)), (float(u), float(-v), float(r))]
    return Body(
        half_width=half_width,
        widest=float(rng.uniform(0.4, 0.62)),
        shoulder=float(rng.uniform(0.6, 0.85)),
        blunt=float(rng.uniform(0, 0.8)),
        thorax=thorax,
        head=head,
        legs=tuple(legs),
        antennae=tuple(antennae),
        leg_radius=float(rng.uniform(0.028, 0.042)),
        wing=wing,
        front=front,
        limbs=near(front, 0.3) * np.float32(0.8),
        mark=np.clip(np.array((0.85, 0.6, 0.2), np.float32) * np.float32(rng.uniform(0.7, 1.1)), 0, 1),
        striae=int(rng.integers(0, 7)),
        spots=tuple(spots),
        gloss=float(rng.uniform(0.1, 0.7)),
    )


def elytra_distance(body: Body, u: Plane, v: Plane) -> Plane:
    """Distance to the outline of the elytra in body units, negative inside, exact to first order at the outline."""
    half, widest, shoulder, blunt = (np.float32(k) for k in (body.half_width, body.widest, body.shoulder, body.blunt))
    across = np.abs(v)
    # ahead of the widest place a parabola from the shoulder; behind it k t^2 + (1 - k) t^4 + (v / W)^2 = 1
    before = 1 - np.clip(u / widest, 0, 1)
    slope = 2 * half * (1 - shoulder) * before / widest
    ahead = (across - half * (1 - (1 - shoulder) * before * before)) / np.sqrt(1 + slope * slope)
    t = np.maximum((u - widest) / (1 - widest), 0)
    t2, k = t * t, 1 - blunt
    level = k * t2 + blunt * t2 * t2 + (v / half) * (v / half) - 1
    du, dv = (2 * k * t + 4 * blunt * t2 * t) / (1 - widest), 2 * v / (half * half)
    behind = level / np.maximum(np.sqrt(du * du + dv * dv), 1 / half)
    return np.where(u < widest, np.maximum(ahead, -u), behind)


def _oval(u: Plane, v: Plane, centre: float, half_u: float, half_v: float, taper: float) -> Plane:
    """Distance to an oval on the axis, square along and narrower ahead by ``taper``."""
    s = (u - np.float32(centre)) / np.float32(half_u)
    width = np.float32(half_v) * (1 + np.float32(taper) * np.clip(s, -1, 1))
    t = v / width
    level = s * s * s * s + t * t - 1
    du, dv = 4 * s * s * s / np.float32(half_u), 2 * t / width
    return level / np.maximum(np.sqrt(du * du + dv * dv), np.float32(1 / half_v))


def _dome(
    u: Plane, v: Plane, centre: tuple[float, float], half: tuple[float, float], light: Place, gloss: float
) -> Plane:
    """Brightness of a rounded back under a light from (u, v) direction ``light``, with a highlight."""
    s, t = (u - np.float32(centre[0])) / np.float32(half[0]), (v - np.float32(centre[1])) / np.float32(half[1])
    lit = 1 + np.float32(0.4) * (s * np.float32(light[0]) + t * np.float32(light[1])) - np.float32(0.3) * t * t
    ds, dt = s - np.float32(0.45 * light[0]), t - np.float32(0.45 * light[1])
    spot = 1 / (1 + np.float32(5) * ds * ds + np.float32(9) * dt * dt)
    return lit + np.float32(2.2 * gloss) * spot * spot


def _lines(v: Plane, half: Plane, count: int) -> Plane:
    """Grooves that run along and follow the outline: 0 between, 1 in a groove."""
    at = np.abs(v) / half * np.float32(count + 1)
    return np.maximum(0, 1 - np.float32(5) * np.abs(at - np.round(at))) * (at > np.float32(0.5))


def draw_body(
    canvas: Canvas, body: Body, stance: Stance, light_angle: float, shadow: float
) -> Float32[np.ndarray, "H W"]:
    """A beetle and its shadow onto the canvas, in place -> the coverage of its elytra."""
    h, w = canvas.shape[:2]
    size, length = (h, w), stance.length
    toward = np.array([cos(light_angle), sin(light_angle)])
    c, s = stance.axis
    light = np.array([toward[0] * c + toward[1] * s, toward[1] * c - toward[0] * s])
    parts: list[Part] = []
    for chains, thick in ((body.legs, body.leg_radius), (body.antennae, 0.4 * body.leg_radius)):
        for chain in chains:
            places = stance.to_pixels(np.array(chain))
            for i in range(len(places) - 1):
                # a leg thinner than 0.45 pixels would vanish in a small picture, and a real one does not
                radii = (max(0.45, thick * length * (1 - 0.28 * i)), max(0.35, thick * length * (0.78 - 0.28 * i)))
                drawn = limb(places[i], places[i + 1], radii, size)
                if drawn is not None:
                    parts.append(Part(*drawn, body.limbs))
    (thorax, thorax_half), (head, head_half) = body.thorax, body.head
    head_at, thorax_at = -thorax - 0.42 * head, 0.01 - 0.5 * thorax
    for centre, half, taper in (
        (head_at, (head * 0.62, head_half), 0.2),
        (thorax_at, (0.5 * thorax, thorax_half), 0.14),
    ):
        corners = np.array([[centre + i * half[0] * 1.1, j * half[1] * 1.2] for i in (-1, 1) for j in (-1, 1)])
        patch = patch_around(stance.to_pixels(corners), 1, size)
        if patch is not None:
            u, v = stance.to_body(patch)
            shade = _dome(u, v, (centre, 0), half, light, 0.6 * body.gloss)
            alpha = np.clip(np.float32(0.5) - _oval(u, v, centre, *half, taper) * np.float32(length), 0, 1)
            parts.append(Part(patch, alpha, body.front * shade[..., None]))
    elytra = np.zeros(size, np.float32)
    corners = np.array([[i, j * body.half_width] for i in (0, 1) for j in (-1, 1)])
    patch = patch_around(stance.to_pixels(corners), 1, size)
    if patch is not None:
        u, v = stance.to_body(patch)
        depth = elytra_distance(body, u, v) * np.float32(length)
        alpha = np.clip(np.float32(0.5) - depth, 0, 1)
        parts.append(Part(patch, alpha, _wing_colour(body, u, v, depth, length, light)))
        elytra[patch.at] = alpha
    if shadow > 0:
        _cast(canvas, parts, -toward * length, shadow)
    for part in parts:
        lay(canvas, part.patch, part.colour, part.alpha)
    return elytra


def _wing_colour(
    body: Body, u: Plane, v: Plane, depth_px: Plane, length: float, light: Place
) -> Float32[np.ndarray, "h w 3"]:
    half = np.float32(body.half_width)
    # each cover is a dome of its own under the dome of both, so the seam reads as a valley
    both = _dome(u, v, (0.5, 0), (0.5, body.half_width), light, 0.0)
    each = _dome(
        u, np.abs(v), (0.5, 0.5 * body.half_width), (0.5, 0.5 * body.half_width), light * np.array([1, 0.3]), body.gloss
    )
    shade = np.float32(0.55) * both + np.float32(0.45) * each
    colour = np.broadcast_to(body.wing, (*shade.shape, 3))
    for at_u, at_v, radius in body.spots:
        du, dv = u - np.float32(at_u), v - np.float32(at_v)
        inside = np.clip(np.float32(0.5) - (np.sqrt(du * du + dv * dv) - np.float32(radius)) * np.float32(length), 0, 1)
        colour = colour + (body.mark - colour) * inside[..., None]
    if body.striae:
        t = (u - np.float32(body.widest)) / np.float32(max(body.widest, 1 - body.widest) * 1.25)
        shade = shade * (1 - np.float32(0.35) * _lines(v, half * np.maximum(1 - t * t, np.float32(0.2)), body.striae))
    seam = np.clip(np.float32(0.5 + max(0.45, 0.012 * length)) - np.abs(v) * np.float32(length), 0, 1)
    rim = np.clip(1 + depth_px / np.float32(max(1.0, 0.05 * length)), 0, 1)
    return np.clip(colour * (shade * (1 - np.float32(0.65) * seam) * (1 - np.float32(0.4) * rim))[..., None], 0, 1)


def _cast(canvas: Canvas, parts: list[Part], away: Place, strength: float) -> None:
    """The soft shadow of all parts, moved away from the light by a share of the body, in place."""
    h, w = canvas.shape[:2]
    whole = np.zeros((h, w), np.float32)
    for part in parts:
        np.maximum(whole[part.patch.at], part.alpha, out=whole[part.patch.at])
    span = float(np.sqrt((away * away).sum()))
    dx, dy = round(0.06 * float(away[0])), round(0.06 * float(away[1]))
    whole = soften(
        np.pad(whole, ((max(dy, 0), max(-dy, 0)), (max(dx, 0), max(-dx, 0))), mode="edge"), max(1, round(0.03 * span))
    )
    canvas *= (1 - np.float32(strength) * whole[max(-dy, 0) : max(-dy, 0) + h, max(-dx, 0) : max(-dx, 0) + w])[
        ..., None
    ]
