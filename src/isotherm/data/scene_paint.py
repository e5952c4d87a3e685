"""Painting of generated scenes: textured, bevelled patches with shadows, under one light."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from isotherm.data.scene_layout import Cover
from isotherm.data.scene_textures import Colour, contrasting, random_colour, random_texture, value_noise
from isotherm.frame import Size

Canvas = Float32[np.ndarray, "h w 3"]


@dataclass(frozen=True)
class Light:
    """One light for the whole scene.

    Args:
        angle: where it comes from, radians.
        bevel, shadow: strengths in [0, 1].
        falloff: brightness lost across.
    """

    angle: float
    bevel: float
    shadow: float
    falloff: float


def random_light(rng: np.random.Generator) -> Light:
    """Any direction, soft to strong."""
    return Light(
        float(rng.uniform(0, 2 * np.pi)),
        float(rng.uniform(0.05, 0.4)),
        float(rng.uniform(0.0, 0.45)),
        float(rng.uniform(0.0, 0.35)),
    )


@dataclass(frozen=True, eq=False)
class Finish:
    """What a thing looks like: two colours mixed by a texture, and its outline's colour and width, if any."""

    first: Colour
    second: Colour
    outline: Colour | None
    outline_px: float


def random_finish(rng: np.random.Generator, ground: Colour, radius_px: float, apart: float) -> Finish:
    """Colours that both stand out from ``ground``, by ``apart`` or as far as they can."""
    first = contrasting(rng, ground, apart, (0.25, 0.95), (0.3, 1.0))
    second = (
        contrasting(rng, ground, apart * 0.8, (0.25, 0.95), (0.3, 1.0))
        if rng.uniform() < 0.75
        else first * np.float32(rng.uniform(0.6, 1.0))
    )
    outline = None
    if rng.uniform() < 0.35:
        outline = random_colour(rng, (0.0, 0.5), (0.05, 0.25) if rng.uniform() < 0.6 else (0.85, 1.0))
    return Finish(first, second, outline, max(1.0, radius_px * float(rng.uniform(0.04, 0.09))))


def paint(canvas: Canvas, thing: Cover, finish: Finish, light: Light, rng: np.random.Generator) -> None:
    """One thing onto the canvas, in place."""
    pose, depth = thing.pose, thing.depth_px
    mix = random_texture(rng, thing.x, thing.y, pose.radius)[..., None]
    colour = (finish.second - finish.first) * mix
    colour += finish.first
    if finish.outline is not None:
        edge = np.clip(depth + np.float32(finish.outline_px + 0.5), 0, 1)[..., None]
        colour += (finish.outline - colour) * edge
    if min(depth.shape) > 1 and light.bevel > 0:
        rim = np.clip(1 + depth / np.float32(max(1.5, 0.14 * pose.radius)), 0, 1)
        slope_y, slope_x = np.gradient(depth)
        lit = slope_x * np.float32(np.cos(light.angle)) + slope_y * np.float32(np.sin(light.angle))
        rim *= lit
        rim *= np.float32(light.bevel)
        rim += 1
        colour *= rim[..., None]
    ground = canvas[thing.patch]
    alpha = thing.alpha[..., None]
    ground += (colour - ground) * alpha


def cast_shadow(canvas: Canvas, thing: Cover, light: Light) -> None:
    """The thing's soft shadow on what lies under it, in place: its distance field, moved away from the light."""
    if light.shadow <= 0:
        return
    radius = thing.pose.radius
    away = 0.12 * radius
    dx, dy = -round(away * np.cos(light.angle)), -round(away * np.sin(light.angle))
    h, w = canvas.shape[:2]
    y0, x0 = thing.rows.start + dy, thing.columns.start + dx
    top, left = max(0, -y0), max(0, -x0)
    bottom, right = min(thing.depth_px.shape[0], h - y0), min(thing.depth_px.shape[1], w - x0)
    if bottom <= top or right <= left:
        return
    soft = np.float32(max(1.5, 0.12 * radius))
    # darkest inside, gone before the patch ends
    dark = np.clip(np.float32(0.15) - thing.depth_px[top:bottom, left:right] / soft, 0, 1)
    dark *= np.float32(-light.shadow)
    dark += 1
    canvas[y0 + top : y0 + bottom, x0 + left : x0 + right] *= dark[..., None]


def finish_picture(canvas: Canvas, light: Light, grain: float, rng: np.random.Generator) -> np.ndarray:
    """Light across the scene and the grain of the sensor -> (h, w, 3) uint8; the canvas is used up."""
    size: Size = (canvas.shape[0], canvas.shape[1])
    h, w = size
    along = np.linspace(-0.5, 0.5, w, dtype=np.float32)[None] * np.float32(np.cos(light.angle))
    fall = along + np.linspace(-0.5, 0.5, h, dtype=np.float32)[:, None] * np.float32(np.sin(light.angle))
    fall *= np.float32(light.falloff)
    fall += 1
    canvas *= fall[..., None]
    if grain > 0:
        noise = rng.random(size, np.float32)
        noise -= np.float32(0.5)
        noise *= np.float32(3.46 * grain)  # a uniform of width s has deviation s / sqrt(12)
        noise += (value_noise(rng, size, 10) - np.float32(0.5)) * np.float32(2 * grain)
        canvas += noise[..., None]
    canvas *= 255
    canvas += np.float32(0.5)
    np.clip(canvas, 0, 255, out=canvas)
    return canvas.astype(np.uint8)
