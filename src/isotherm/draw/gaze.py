"""Gaze on video: where it is, the way it came, the heat of the last seconds, and what is known of it at all.

Three states look different, since they mean different things. Tracked: a ring around the place. Missing, nothing is
known: the ring is grey, dashed, and where the gaze was last. Out of the picture: an arrow at the border, where the gaze
left, that points to where it went.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float64
from PIL import Image, ImageDraw

from isotherm.draw.boxes import RIM, Colour
from isotherm.draw.colour import Scale
from isotherm.draw.lines import Line, Paint, Stroke, Strokes, circle, dashes
from isotherm.draw.overlay import overlay_tile
from isotherm.draw.picture import Picture, open_canvas, picture_tile
from isotherm.draw.style import Style, as_style
from isotherm.draw.text import font_for, measure, text_size
from isotherm.errors import OptionError, ShapeError
from isotherm.frame import Frame, Size
from isotherm.heatmap import Heatmap
from isotherm.points import Points, State

Known = Literal["tracked", "missing", "out of frame"]
COLOURS: dict[Known, Colour] = {"tracked": (255, 255, 255), "missing": (203, 213, 225), "out of frame": (251, 191, 36)}
DOT: Colour = (34, 211, 238)
HEAT_CELLS = 64
"""Along the longer side of the picture."""
HEAT_WIDTH = 0.035
"""Standard deviation of each sample's heat as a share of the longer side, some two degrees of a head-mounted camera."""
HEAT_FULL = 0.5
"""Share of the last seconds at one place from which the heat has its strongest colour."""
SEGMENTS = 12
"""Steps in which the trail fades."""


@dataclass(frozen=True, kw_only=True)
class GazeLook:
    """How gaze is drawn.

    Args:
        trail_s: seconds of the way that it came; 0 for none.
        heat_s: seconds whose heat lies over the picture; 0 for none. The strongest colour is a place that the gaze
            rested on for half of them or more, the latest counting most.
        style: of the heat; None: the usual one without lines and without a mark of the strongest cell, which could pass
            for the gaze.
        state: write what is known of the gaze into the corner.
        least_side: smaller pictures are made larger by a whole number until their longer side has so many pixels.

    Raises:
        OptionError: seconds that are no number from 0, or an unknown style.
    """

    trail_s: float = 1.0
    heat_s: float = 2.0
    style: Style | str | None = None
    state: bool = True
    least_side: int = 256

    def __post_init__(self) -> None:
        if not (0 <= self.trail_s < math.inf and 0 <= self.heat_s < math.inf):
            raise OptionError(f"trail_s is {self.trail_s} and heat_s {self.heat_s}; expected seconds, at least 0")
        plain = replace(as_style(None), lines=(), peak=False)
        object.__setattr__(self, "style", plain if self.style is None else as_style(self.style))


@dataclass(frozen=True, eq=False)
class GazeTrack:
    """Gaze over time, as it is drawn.

    Args:
        time_s: (n,) growing.
        points: (n, 2) in pixels of the video, edge-origin. State LABELLED: tracked; OUT_OF_FRAME: beside the picture,
            with its place or NaN; all others, and NaN: missing.

    Raises:
        ShapeError: not one point for each time, or times that do not grow.
    """

    time_s: Float64[np.ndarray, " _"]
    points: Points

    def __post_init__(self) -> None:
        if self.points.xy.ndim != 2 or len(self.points.xy) != len(self.time_s):
            raise ShapeError(
                f"the points have shape {tuple(self.points.xy.shape)} for {len(self.time_s)} times; expected ({len(self.time_s)}, 2)"
            )
        if (np.diff(self.time_s) <= 0).any():
            raise ShapeError("the times of the gaze do not grow; sort them and keep one sample of each time")

    @classmethod
    def nothing(cls) -> GazeTrack:
        """No samples at all: missing at every moment."""
        return cls(np.zeros(0), Points(torch.zeros(0, 2)))

    @cached_property
    def xy(self) -> Float64[np.ndarray, "_ 2"]:
        """The places."""
        return self.points.xy.detach().cpu().double().numpy()

    @cached_property
    def tracked(self) -> Bool[np.ndarray, " _"]:
        """Which samples lie in the picture."""
        finite = np.isfinite(self.xy).all(-1)
        return finite if self.points.state is None else finite & (self.points.state.cpu().numpy() == State.LABELLED)

    def known(self, i: int) -> Known:
        """What is known of a sample."""
        if self.tracked[i]:
            return "tracked"
        outside = self.points.state is not None and int(self.points.state[i]) == State.OUT_OF_FRAME
        return "out of frame" if outside else "missing"

    def last(self, at_s: float, within_s: float) -> int | None:
        """The number of the latest sample that is not behind a moment and at most so long before it; None for none."""
        i = int(np.searchsorted(self.time_s, at_s + 1e-9, side="right")) - 1
        return i if i >= 0 and at_s - self.time_s[i] <= within_s + 1e-9 else None

    @cached_property
    def usual_step_s(self) -> float:
        """One and a half of the usual distance of samples, at least 50 ms: for so long a sample speaks."""
        return max(0.05, 1.5 * float(np.median(np.diff(self.time_s)))) if len(self.time_s) > 1 else 0.05


def draw_gaze(picture: Picture, gaze: GazeTrack, at_s: float, *, look: GazeLook | None = None) -> Image.Image:
    """A frame of a video with the gaze on it.

    Args:
        picture: PIL or array, upright, of the video's size.
        gaze: of all the video; what is later than the frame is not drawn.
        at_s: when the frame is, on the clock of the gaze.
        look: how it is drawn.

    Returns:
        A new picture, a whole number of times as large where the frame is small.

    Example:
        >>> gaze = GazeTrack(np.array([0.0, 0.1]), Points(torch.tensor([[8.0, 8.0], [9.0, 8.0]])))
        >>> draw_gaze(np.zeros((16, 16, 3), np.uint8), gaze, 0.1, look=GazeLook(least_side=64)).size
        (64, 64)
    """
    look = look or GazeLook()
    size = open_canvas(picture).size
    zoom = max(1, math.ceil(look.least_side / max(size)))
    image = picture_tile(picture, (size[0] * zoom, size[1] * zoom)) if zoom == 1 else _enlarged(picture, zoom)
    if look.heat_s > 0:
        image = _heated(image, gaze, at_s, size, look)
    Strokes([*_trail(gaze, at_s, zoom, image, look), *_mark(gaze, at_s, zoom, image)], image.size).lay_on(image)
    if look.state:
        draw_state(image, known_at(gaze, at_s))
    return image


def gaze_frames(
    pictures: Iterable[Picture], gaze: GazeTrack, times_s: Iterable[float], *, look: GazeLook | None = None
) -> Iterator[Image.Image]:
    """The frames of a video with the gaze on them, one at a time; for :func:`isotherm.draw.save_animation`.

    Args:
        pictures: the frames; none is kept.
        times_s: when each is, on the clock of the gaze.
        gaze, look: as of :func:`draw_gaze`.

    Raises:
        ShapeError: more frames than times, or fewer.
    """
    end = object()
    frames, times = iter(pictures), iter(times_s)
    while True:
        picture, at_s = next(frames, end), next(times, end)
        if picture is end and at_s is end:
            return
        if picture is end or at_s is end:
            raise ShapeError(f"there are {'more times than frames' if picture is end else 'more frames than times'}")
        yield draw_gaze(picture, gaze, float(at_s), look=look)  # type: ignore[arg-type]


def known_at(gaze: GazeTrack, at_s: float) -> Known:
    """What is known of the gaze at a moment: missing where the latest sample is too long ago."""
    i = gaze.last(at_s, gaze.usual_step_s)
    return "missing" if i is None else gaze.known(i)


def heat_of(gaze: GazeTrack, at_s: float, size: Size, heat_s: float) -> Heatmap:
    """The heat of the last seconds: a Gaussian for every tracked sample, weighted by how late it is, as a share of all.

    Args:
        gaze: of all the video.
        at_s: the end of those seconds.
        size: (h, w) of the video.
        heat_s: how many.

    Returns:
        A peak map, 1 where the gaze rested all the time; 0 everywhere where none was tracked.
    """
    cells = tuple(max(1, round(n * HEAT_CELLS / max(size))) for n in size)
    frame = Frame.resize(size, cells)
    rows = _between(gaze, at_s - heat_s, at_s)
    rows = [i for i in rows if gaze.tracked[i]]
    values = torch.zeros(cells)
    if rows:
        weight = torch.from_numpy(1 - (at_s - gaze.time_s[rows]) / heat_s * 0.85).float()
        places = frame.points_from_source(torch.from_numpy(gaze.xy[rows])).float()
        sigma = HEAT_WIDTH * max(cells)
        y, x = (torch.arange(n) + 0.5 for n in cells)
        gx = torch.exp(-((x - places[:, :1]) ** 2) / (2 * sigma**2))
        gy = torch.exp(-((y - places[:, 1:]) ** 2) / (2 * sigma**2))
        values = torch.einsum("n,ny,nx->yx", weight / weight.sum(), gy, gx)
    return Heatmap(values, frame, "peak")


def draw_state(image: Image.Image, known: Known) -> None:
    """What is known of the gaze, as a mark and a word in the lower left corner of an RGB picture, changed in place."""
    size = text_size(image.height, image.width, share=0.032, smallest=11)
    font, pad = font_for(known, size), max(4, round(size * 0.5))
    w, h = measure(known, font)
    box = (pad, image.height - h - 3 * pad, 3 * pad + w + h, image.height - pad)
    layer = Image.new("RGBA", image.size, (0, 0, 0, 0))
    draw = ImageDraw.Draw(layer)
    draw.rounded_rectangle(box, radius=pad, fill=(17, 24, 39, 205))
    y, r = (box[1] + box[3]) / 2, h * 0.32
    x = box[0] + pad + r
    colour = DOT if known == "tracked" else COLOURS[known]
    if known == "missing":
        draw.ellipse((x - r, y - r, x + r, y + r), outline=(*colour, 255), width=max(1, round(r * 0.4)))
    elif known == "out of frame":
        draw.polygon([(x - r, y - r), (x + r, y), (x - r, y + r)], fill=(*colour, 255))
    else:
        draw.ellipse((x - r, y - r, x + r, y + r), fill=(*colour, 255))
    draw.text((box[0] + pad + 3 * r, y), known, font=font, fill=(249, 250, 251, 255), anchor="lm")
    image.paste(layer, (0, 0), layer)


def _enlarged(picture: Picture, zoom: int) -> Image.Image:
    small = picture_tile(picture, open_canvas(picture).size)
    return small.resize((small.width * zoom, small.height * zoom), Image.Resampling.NEAREST)


def _heated(image: Image.Image, gaze: GazeTrack, at_s: float, size: Size, look: GazeLook) -> Image.Image:
    heat = heat_of(gaze, at_s, size, look.heat_s)
    if not heat.has_evidence:
        return image
    assert isinstance(look.style, Style)
    return overlay_tile(heat, image, scale=Scale(0.0, HEAT_FULL), style=look.style)


def _between(gaze: GazeTrack, start_s: float, stop_s: float) -> list[int]:
    first = int(np.searchsorted(gaze.time_s, start_s - 1e-9))
    return list(range(first, int(np.searchsorted(gaze.time_s, stop_s + 1e-9, side="right"))))


def _unit(image: Image.Image) -> float:
    """What widths are counted in: a pixel of a picture of about 500 on a side."""
    return math.sqrt(image.width * image.height) / 500


def _trail(gaze: GazeTrack, at_s: float, zoom: int, image: Image.Image, look: GazeLook) -> list[Stroke]:
    """The way of the last seconds: interrupted where the gaze was not tracked, thinner and fainter the older it is."""
    rows = _between(gaze, at_s - look.trail_s, at_s) if look.trail_s else []
    pairs = [
        (i, j)
        for i, j in pairwise(rows)
        if gaze.tracked[i] and gaze.tracked[j] and gaze.time_s[j] - gaze.time_s[i] <= gaze.usual_step_s
    ]
    unit, strokes = _unit(image), []
    for rim in (True, False):
        for step in range(SEGMENTS):
            young = (step + 1) / SEGMENTS
            lines = [
                gaze.xy[[i, j]] * zoom
                for i, j in pairs
                if min(SEGMENTS - 1, int((1 - (at_s - gaze.time_s[j]) / look.trail_s) * SEGMENTS)) == step
            ]
            width = unit * (1.0 + 2.6 * young)
            paint = Paint(RIM, 0.5 * young) if rim else Paint(COLOURS["tracked"], 0.25 + 0.75 * young)
            strokes.append(Stroke(lines, width + 2 * unit if rim else width, paint))
    return strokes


def _mark(gaze: GazeTrack, at_s: float, zoom: int, image: Image.Image) -> list[Stroke]:
    known, unit = known_at(gaze, at_s), _unit(image)
    size = np.array([image.width, image.height], float)
    if known == "tracked":
        i = gaze.last(at_s, gaze.usual_step_s)
        at = gaze.xy[i] * zoom
        ring, dot = _circle(at, 11 * unit), _circle(at, 1.6 * unit)
        return [*_rimmed([ring], 2.6 * unit, COLOURS[known], unit), *_rimmed([dot], 3.2 * unit, DOT, unit)]
    before = _last_tracked(gaze, at_s)
    if known == "missing":
        if before is None:
            return []
        ring = _circle(np.clip(gaze.xy[before[-1]] * zoom, 0, size), 11 * unit)
        return _rimmed(dashes(ring, 5 * unit, 5 * unit), 2.2 * unit, COLOURS[known], unit)
    place, direction = _exit(gaze, at_s, before, size / zoom)
    tip = np.clip(place * zoom, 6 * unit, size - 6 * unit)
    return _rimmed(_arrow(tip, direction, 17 * unit), 4.2 * unit, COLOURS[known], unit)


def _circle(at: np.ndarray, radius: float) -> Line:
    return circle(float(at[0]), float(at[1]), radius)


def _rimmed(lines: Sequence[Line], width: float, colour: Colour, unit: float) -> list[Stroke]:
    return [Stroke(lines, width + 2.4 * unit, Paint(RIM, 0.75)), Stroke(lines, width, Paint(colour))]


def _last_tracked(gaze: GazeTrack, at_s: float) -> list[int] | None:
    """The numbers of the last two samples in the picture, the later one last; None where there is none."""
    stop = int(np.searchsorted(gaze.time_s, at_s + 1e-9, side="right"))
    return np.flatnonzero(gaze.tracked[:stop])[-2:].tolist() or None


def _exit(gaze: GazeTrack, at_s: float, before: list[int] | None, size: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where on the border the gaze left or is nearest to, in source pixels, and the direction outwards, of length 1."""
    i = gaze.last(at_s, gaze.usual_step_s)
    outside = gaze.xy[i] if i is not None else np.full(2, np.nan)
    start = gaze.xy[before[-1]] if before else size / 2
    if np.isfinite(outside).all():
        place = np.clip(outside, 0, size)
        step = outside - place
    else:
        # no place is known: on from the last one as it last moved, or else over the nearest side
        step = gaze.xy[before[-1]] - gaze.xy[before[0]] if before else np.zeros(2)
        if np.hypot(*step) < 1e-6:
            gaps = np.concatenate([start, size - start])
            step = np.array([[-1.0, 0], [0, -1], [1, 0], [0, 1]])[int(gaps.argmin())]
        with np.errstate(divide="ignore", invalid="ignore"):
            reach = np.where(step > 0, (size - start) / step, np.where(step < 0, -start / step, np.inf))
        place = np.clip(start + step * reach.min(), 0, size)
    length = np.hypot(*step)
    return place, step / length if length > 1e-9 else np.array([1.0, 0.0])


def _arrow(tip: np.ndarray, direction: np.ndarray, length: float) -> list[Line]:
    """A shaft and two barbs."""
    side = np.array([-direction[1], direction[0]])
    tail = tip - direction * length
    barbs = [tip - direction * 0.5 * length + s * side * 0.45 * length for s in (-1, 1)]
    return [np.stack([tail, tip - direction * 0.12 * length]), np.stack([barbs[0], tip, barbs[1]])]
