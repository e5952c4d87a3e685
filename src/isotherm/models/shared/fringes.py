"""Where the pixels of a transform's output come from, measured by putting pictures of known waves through it.

A wave along x is shown at four phases; what comes out of a pixel tells, by the phase of its answer, at which x of the
source it looks (four-step phase shifting: Creath 1988, Progress in Optics 26, eq. 5.13). Neither an offset nor a factor
of the values matters, and a pixel that looks at no place, as padding, does not answer at all. A wave of half a period
over the whole picture comes first, as it is unambiguous, then a shorter one, which is exact.

A transform that normalises every picture by its own values gives each phase an offset and a factor of its own, which
:mod:`isotherm.models.shared.normalised_waves` takes away where the pixels see most of a period. The wave of half a
period is then had as the difference of two short ones (two-wavelength phase shifting: Cheng and Wyant 1984, Applied
Optics 23, 4539).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8

from isotherm.cam.view import Picture
from isotherm.errors import InputError
from isotherm.frame import Frame, Size
from isotherm.models.shared.normalised_waves import circled, normalises, signs
from isotherm.models.shared.ramps import centroids
from isotherm.models.shared.resampling import refined
from isotherm.models.shared.ripples import plane_under_ripples

Transform = Callable[[Picture], Float[np.ndarray, "c h w"]]
"""From a picture (H, W, 3) to what the model is fed, (c, h, w)."""
STEPS = 4
MIDDLE, SWING = 128.0, 100.0
"""Of the waves' bytes; the rest is room for filters that overshoot."""
LEAST_WAVE = 32.0
"""Source pixels; and so many half output pixels."""
SUPPORT = 4.0
"""Pixels, of the coarser raster, from the picture's border within which filters look at one side only."""
BENT = 0.25
"""Pixels, of the coarser raster, by which places over a block may be off before a transform is called bent."""
FAINT = 1e-3
"""What an answer must be above, where the values are of the order of 1: rounding of nothing has a phase too."""
LEAST_SIDE = 4
LEAST_SHOWN = 0.05
"""Share of the output that the picture must fill."""
SHORT = 12.0
"""Output pixels of a period of the two waves of which the difference is wanted, where the whole picture is shown."""
BLOCK = 8
ENOUGH = 512
"""Pixels of the output along an axis that are looked at; of a larger one every second, third, ..."""
EDGE = 3.0
"""Pixels, of the coarser raster, from the border of what is shown within which filters look across it."""
UNEXPLAINED = 1e-3
"""Source pixels: where a filter leaves more, it is not the only one."""
ALIKE = 1.1
"""Times the spread of places by waves about their plane: what ramps may have, as both see the same filters."""
AROUND = 5
"""Pixels along each side of what is around a pixel."""
BENT_WORDS = (
    "the transform bends the picture: no affine map gives the places of its output (crop, resize, pad, flip, rotation and shear "
    "are affine; perspective, elastic and lens transforms are not); give one without it"
)
NO_PLACES = "what the transform puts out does not depend on where something lies in the picture; give one that keeps pictures pictures"


@dataclass(frozen=True)
class Measured:
    """A measured frame.

    Args:
        frame: of the output over the source, without batch.
        off: source pixels by which places of single output pixels differ from it, the median; nearest neighbours
            differ by up to half a pixel.
        sign: (c) whether each channel grows (1) or falls (-1) with brightness; 0: it does not answer.
        normalises: whether values depend on the whole picture: each is normalised by itself.
    """

    frame: Frame
    off: float
    sign: tuple[int, ...]
    normalises: bool = False


def measure(transform: Transform, source: Size) -> Measured:
    """The frame of a transform for pictures of a size.

    Args:
        transform: the same for the same picture.
        source: (h, w) of the pictures in pixels.

    Raises:
        InputError: the output does not follow the picture, or its places are no affine map of the picture's.
    """
    sign, size, by_itself = _signs(transform, source)
    if min(*source, *size) < LEAST_SIDE:
        raise InputError(
            f"the places of an input of {size[0]} x {size[1]} pixels that is made of {source[0]} x {source[1]} cannot be measured; expected at "
            f"least {LEAST_SIDE} pixels along each side of both"
        )
    step = max(1, math.ceil(math.sqrt(size[0] * size[1]) / ENOUGH))
    points = _centres(size)[::step, ::step]

    def answer(axis: int, cycles: float) -> tuple[np.ndarray, np.ndarray]:
        made, field = _answer(transform, source, axis, cycles, sign, size)
        return (circled(made[::step, ::step]) if by_itself else made[::step, ::step]), field

    def unambiguous(axis: int) -> np.ndarray:
        if not by_itself:
            return answer(axis, 0.5)[0]
        short = _short_wave(source, size, axis)
        difference: np.ndarray = answer(axis, short + 0.5)[0] * answer(axis, short)[0].conj()
        return difference

    shown = [unambiguous(axis) for axis in (0, 1)]
    valid = _valid(shown[0]) & _valid(shown[1])
    rows = [_first_plane(source[axis] * _turns(shown[axis]) / 0.5, points, valid) for axis in (0, 1)]
    scale = max(1.0, *(float(np.hypot(*row[:2])) for row in rows))
    places = []
    fine_waves = []
    for axis in (0, 1):
        cycles = max(1.0 if by_itself else 0.5, source[axis] / max(LEAST_WAVE, 24.0 * scale))
        fine, bytes_of = answer(axis, cycles)
        valid &= _valid(fine)
        expected = points @ rows[axis] * cycles / source[axis]
        if by_itself and np.cos(2 * np.pi * (expected - _turns(fine)))[valid].sum() < 0:
            # the channel that varies most falls with brightness
            fine, sign = -fine, tuple(-s for s in sign)
        whole = np.rint(expected - _turns(fine))
        places.append((_turns(fine) + whole) * source[axis] / cycles)
        fine_waves.append((source[axis] / cycles, fine, bytes_of))
    inner = _inner(valid, points, rows, source, SUPPORT * scale)
    for axis in (0, 1):
        rows[axis], near = _trimmed(places[axis], points, inner, rows[axis])
        valid &= near
    if valid.sum() < 0.5 * inner.sum():
        raise InputError(BENT_WORDS)
    inner = _eroded(inner & valid, max(1, math.ceil(EDGE / min(1.0, *(float(np.hypot(*r[:2])) for r in rows)) / step)))
    planes = [_plane(places[axis], points, inner) for axis in (0, 1)]
    rows, left = refined(planes, fine_waves, inner, step)
    if left > UNEXPLAINED and not by_itself:
        by_ramps = centroids(
            lambda p: _grey(transform, p, sign, size)[::step, ::step], source, points @ np.stack(planes).T
        )
        rows = _nearer(by_ramps, places, points, inner) or rows
    off = [places[axis] - points @ rows[axis] for axis in (0, 1)]
    _expect_straight(off, inner, scale)
    return Measured(
        Frame(torch.from_numpy(np.stack([rows[1], rows[0]])), size, torch.tensor(source)),
        float(np.median(np.hypot(off[0][inner], off[1][inner]))),
        sign,
        by_itself,
    )


def wave(size: Size, axis: int, cycles: float, phase: float) -> UInt8[np.ndarray, "h w 3"]:
    """A grey picture whose brightness is a wave along an axis.

    Args:
        size: (h, w).
        axis: 0: along y, 1: along x.
        cycles: periods over the picture.
        phase: radians at its edge.
    """
    place = (np.arange(size[axis]) + 0.5) / size[axis]
    line = MIDDLE + SWING * np.cos(2 * np.pi * cycles * place + phase)
    # what rounding does to a line of bytes is the same in every row; noise before it lets the rows average
    noise = np.random.default_rng(0).random(size, np.float32) - 0.5
    bytes_ = np.rint(line[:, None] + noise if axis == 0 else line[None, :] + noise).astype(np.uint8)
    return np.repeat(bytes_[..., None], 3, axis=2)


def _signs(transform: Transform, source: Size) -> tuple[tuple[int, ...], Size, bool]:
    """(the signs of the channels, the output's size, whether each picture is normalised by its own values).

    Of a picture that is, the signs are those relative to the channel that varies most.
    """
    dark, light = (transform(np.full((*source, 3), level, np.uint8)).astype(np.float64) for level in (55, 200))
    _expect_same_shape(dark.shape, light.shape)
    size = (int(dark.shape[1]), int(dark.shape[2]))
    change = np.nan_to_num(light - dark)
    sign = tuple(int(np.sign(_usual_change(channel))) for channel in change)
    changed: np.ndarray = np.any(change, axis=0)
    if any(sign) and not normalises(transform, source, size, changed):
        return sign, size, False
    relative = signs(transform(wave(source, 1, _short_wave(source, size, 1), 0.0)))
    if not any(relative):
        raise InputError(
            "what the transform puts out does not depend on the picture: stripes become one colour; give one that shows the picture"
        )
    return relative, size, True


def _short_wave(source: Size, size: Size, axis: int) -> float:
    """Periods over the picture of waves that are short enough to be seen whole, and long enough to be seen at all."""
    shrunk = max(1.0, *(a / b for a, b in zip(source, size, strict=True)))
    return max(1.0, source[axis] / max(LEAST_WAVE, SHORT * shrunk))


def _usual_change(change: Float[np.ndarray, "h w"]) -> float:
    """The median of what changes: of a picture that was turned and shrunk most of the output may be padding."""
    changed = change[change != 0]
    return float(np.median(changed)) if changed.size > LEAST_SHOWN * change.size else 0.0


def _answer(
    transform: Transform, source: Size, axis: int, cycles: float, sign: tuple[int, ...], size: Size
) -> tuple[np.ndarray, np.ndarray]:
    """(what comes out, what was put in) of a wave, each as one complex number a pixel."""
    total = np.zeros(size, np.complex128)
    field = np.zeros(source, np.complex64)
    for step in range(STEPS):
        phase = 2 * np.pi * step / STEPS
        shown = wave(source, axis, cycles, phase)
        field += shown[..., 0] * np.complex64(np.exp(-1j * phase))
        total += _grey(transform, shown, sign, size) * np.exp(-1j * phase)
    if not np.isfinite(total).all():
        raise InputError("the transform puts out NaN or infinity; look at what it divides by")
    return total, field


def _grey(transform: Transform, picture: Picture, sign: tuple[int, ...], size: Size) -> Float[np.ndarray, "h w"]:
    """What comes out of a picture, its channels in one that grows with brightness."""
    values = transform(picture)
    _expect_same_shape(values.shape, (len(sign), *size))
    grey: Float[np.ndarray, "h w"] = np.tensordot(np.asarray(sign, np.float64), values.astype(np.float64), 1)
    return grey


def _nearer(
    shown: list[Float[np.ndarray, "h w"]] | None,
    places: list[Float[np.ndarray, "h w"]],
    points: Float[np.ndarray, "h w 3"],
    inner: Bool[np.ndarray, "h w"],
) -> list[Float[np.ndarray, "3"]] | None:
    """The planes through what ramps show; None where outputs are rounded to bytes, so that waves lie nearer to their
    planes, or, all ends of a ramp being rounded alike, both differ on the whole.
    """
    if shown is None:
        return None
    spreads = []
    for each in (shown, places):
        off = [each[axis][inner] - points[inner] @ _plane(each[axis], points, inner) for axis in (0, 1)]
        spreads.append(float(np.sqrt(np.square(off).mean())))
    apart = max(abs(float(np.mean((one - other)[inner]))) for one, other in zip(shown, places, strict=True))
    if not (spreads[0] <= ALIKE * spreads[1] and apart <= spreads[1]):
        return None
    return [plane_under_ripples(shown[axis], points, inner)[0] for axis in (0, 1)]


def _expect_same_shape(one: tuple[int, ...], other: tuple[int, ...]) -> None:
    if one != other:
        raise InputError(
            f"two pictures of one size became inputs of {one} and {other}; give a transform that does the same to both"
        )


def _turns(answer: np.ndarray) -> Float[np.ndarray, "h w"]:
    turns: Float[np.ndarray, "h w"] = np.angle(answer) / (2 * np.pi)
    return turns


def _valid(answer: np.ndarray) -> Bool[np.ndarray, "h w"]:
    strength = np.abs(answer)
    usual = float(np.quantile(strength, 0.99))
    valid: Bool[np.ndarray, "h w"] = (strength > 0.5 * usual) & (usual > FAINT)
    return valid


def _centres(size: tuple[int, ...]) -> Float[np.ndarray, "h w 3"]:
    y, x = np.meshgrid(np.arange(size[0]) + 0.5, np.arange(size[1]) + 0.5, indexing="ij")
    return np.stack([x, y, np.ones_like(x)], -1)


def _plane(
    places: Float[np.ndarray, "h w"], points: Float[np.ndarray, "h w 3"], where: Bool[np.ndarray, "h w"]
) -> Float[np.ndarray, "3"]:
    """The plane through places, by least squares."""
    row: Float[np.ndarray, "3"] = np.linalg.lstsq(points[where], places[where], rcond=None)[0]
    return row


def _first_plane(
    places: Float[np.ndarray, "h w"], points: Float[np.ndarray, "h w 3"], valid: Bool[np.ndarray, "h w"]
) -> Float[np.ndarray, "3"]:
    """The plane that more than half of the places lie on, whatever a mirrored or repeated border says."""
    slopes = []
    for axis in (1, 0):
        step = max(1, places.shape[axis] // 16)
        n = places.shape[axis]
        first, second = (np.arange(0, n - step), np.arange(step, n))
        both = valid.take(first, axis) & valid.take(second, axis)
        if not both.any():
            raise InputError(NO_PLACES)
        rise = (places.take(second, axis) - places.take(first, axis))[both]
        run = (points[..., 1 - axis].take(second, axis) - points[..., 1 - axis].take(first, axis))[both]
        slopes.append(float(np.median(rise / run)))
    flat = places - points[..., 0] * slopes[0] - points[..., 1] * slopes[1]
    return _trimmed(places, points, valid, np.array([*slopes, float(np.median(flat[valid]))]))[0]


def _trimmed(
    places: Float[np.ndarray, "h w"],
    points: Float[np.ndarray, "h w 3"],
    valid: Bool[np.ndarray, "h w"],
    row: Float[np.ndarray, "3"],
) -> tuple[Float[np.ndarray, "3"], Bool[np.ndarray, "h w"]]:
    """(the plane through the places that are near one another's, which they are).

    Args:
        places: of output pixels.
        points: those pixels.
        valid: which of them answer.
        row: a plane to begin with.
    """
    for _ in range(10):
        off = np.abs(places - points @ row)
        near = off <= max(4 * float(np.median(off[valid])), 1e-6)
        if np.linalg.matrix_rank(points[near & valid]) < 3:
            raise InputError(NO_PLACES)
        row = _plane(places, points, near & valid)
    return row, near


def _eroded(mask: Bool[np.ndarray, "h w"], margin: int) -> Bool[np.ndarray, "h w"]:
    """Without what is so near to its border that a filter has looked across; all of it where nothing else is left.

    A border is where most of what is around a pixel is missing: rounding to bytes takes single pixels out of the
    middle.
    """
    there = torch.from_numpy(mask).float()[None, None]
    mostly = torch.nn.functional.avg_pool2d(there, AROUND, stride=1, padding=AROUND // 2) > 0.5
    outside = torch.nn.functional.pad(1 - mostly.float(), [margin] * 4, value=1.0)
    away: Bool[np.ndarray, "h w"] = torch.nn.functional.max_pool2d(outside, 2 * margin + 1, stride=1)[0, 0].numpy() == 0
    away &= mask
    return away if away.any() and np.linalg.matrix_rank(_centres(mask.shape)[away]) == 3 else mask


def _inner(
    valid: Bool[np.ndarray, "h w"],
    points: Float[np.ndarray, "h w 3"],
    rows: list[Float[np.ndarray, "3"]],
    source: Size,
    margin: float,
) -> Bool[np.ndarray, "h w"]:
    """Pixels that look at the picture itself; all valid ones where a small picture has no others."""
    inner = valid.copy()
    for axis in (0, 1):
        edge = min(margin, source[axis] / 4)
        place = points @ rows[axis]
        inner &= (place > edge) & (place < source[axis] - edge)
    return inner if inner.any() and np.linalg.matrix_rank(points[inner]) == 3 else valid


def _expect_straight(off: list[Float[np.ndarray, "h w"]], inner: Bool[np.ndarray, "h w"], scale: float) -> None:
    h, w = (n // BLOCK * BLOCK for n in inner.shape)

    def sums(values: np.ndarray) -> np.ndarray:
        blocks: np.ndarray = values[:h, :w].reshape(h // BLOCK, BLOCK, w // BLOCK, BLOCK).sum((1, 3))
        return blocks

    counts = sums(inner.astype(np.float64))
    full = counts >= BLOCK * BLOCK / 2
    if not full.any():
        return
    means = np.hypot(*(sums(np.where(inner, part, 0.0))[full] / counts[full] for part in off))
    worst = float(np.quantile(means, 0.99))
    if worst > BENT * scale:
        raise InputError(f"{BENT_WORDS} (places lie up to {worst:.2g} pixels off)")
