"""The film of people's gaze: heads, lines to what they look at, and the heat of their maps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import tee
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from isotherm.data.gaze.states import GazeState
from isotherm.data.video import FrameChoice, probe_video, read_frames
from isotherm.draw.animation import save_animation
from isotherm.draw.boxes import PALETTE, draw_boxes
from isotherm.draw.colour import Scale
from isotherm.draw.lines import Paint, Stroke, Strokes, circle
from isotherm.draw.overlay import draw_chip, overlay_tile
from isotherm.draw.picture import fit
from isotherm.draw.style import STYLES, Style, as_style
from isotherm.frame import Frame, Size
from isotherm.heatmap import Heatmap
from isotherm.progress import Progress, Say
from isotherm.systems.people_gaze.parts import FRAMES, GazePart
from isotherm.systems.people_gaze.people import Person

LEAST_SIDE = 512
RIM = Paint((15, 23, 42), 0.7)


def film_people(
    people: Sequence[Person],
    parts: Sequence[Path],
    video: Path,
    choice: FrameChoice,
    fpath: Path,
    *,
    boxed: bool,
    style: Style | str | None,
    side: int,
    command: str,
    say: Say,
) -> Path:
    """Write the film, whole or not at all.

    Args:
        people, parts: of the video.
        video, choice: which frames were looked at.
        fpath: ends in .mp4 or .gif.
        boxed: draw the heads; without them nobody knows where they are.
        style: of the heat.
        side: the longer side in pixels.
        command: the command that makes it again, kept in the file.
        say: told of every frame.
    """
    info = probe_video(video)
    rate = Fraction(info.rate_hz or 25).limit_denominator(1001) / choice.every
    frames, timed = tee(
        read_frames(video, every=choice.every, max_frames=choice.max_frames, start_s=choice.start_s, end_s=choice.end_s)
    )
    size = drawn_size(info.size, side)
    look = as_style(style) if style is not None else STYLES["isotherm"]
    drawn = _frames(people, parts, (frame.array() for frame in frames), size, boxed, look, say)
    return save_animation(drawn, fpath, fps=rate, times_s=(frame.time_s for frame in timed), command=command)


def drawn_size(size: Size, most_side: int) -> Size:
    """The size (h, w) in which a video is drawn: not larger than asked for, and small ones a whole number of times as
    large, so that names and lines have room.

    Args:
        size: (h, w) of the video.
        most_side: of the longer side.
    """
    if max(size) > most_side:
        return fit(size, (most_side, most_side))
    zoom = max(1, min(LEAST_SIDE, most_side) // max(size))
    return size[0] * zoom, size[1] * zoom


def _frames(people, parts, pictures, size, boxed, style, say) -> Iterator[Image.Image]:
    total = len(people[0].gaze) if people else None
    before, part = 0, GazePart.load(parts[0])
    for f, picture in enumerate(pictures):
        if f and f % FRAMES == 0:
            before += len(part.boxes)
            part = GazePart.load(parts[f // FRAMES])
        here = [p for p in people if p.seen[f]]
        maps = {p.number: part.maps[p.row[f] - before] for p in here}
        yield draw_people(picture, here, maps, f, size=size, boxed=boxed, style=style)
        say(Progress(step=f + 1, total=total, stage="drawing the film"))


def draw_people(
    picture: np.ndarray,
    people: Sequence[Person],
    maps: dict[int, np.ndarray],
    f: int,
    *,
    size: tuple[int, int],
    boxed: bool = True,
    style: Style | str | None = None,
) -> Image.Image:
    """One frame: the maps of those who look at something in the picture, and everybody's head.

    Args:
        picture: (H, W, 3) 8-bit RGB.
        people: whose heads are in it.
        maps: of each by number, 255 for a peak of 1.
        f: the number of the frame among those looked at.
        size: (h, w) of the drawn picture.
        boxed: draw the heads.
        style: of the heat.
    """
    image = Image.fromarray(picture).resize((size[1], size[0]), Image.Resampling.LANCZOS)
    tracked = [p for p in people if p.gaze.state[f] == GazeState.TRACKED]
    if tracked:
        values = torch.from_numpy(np.max([maps[p.number] for p in tracked], 0)).float() / 255
        heat = Heatmap(values, Frame.resize(picture.shape[:2], tuple(values.shape)), "peak")
        if heat.has_evidence:
            image = overlay_tile(heat, image, scale=Scale(0.0, 1.0), style=as_style(style))
    zoom = np.array([size[1] / picture.shape[1], size[0] / picture.shape[0]])
    unit = float(np.sqrt(size[0] * size[1])) / 500
    strokes: list[Stroke] = []
    for p in people:
        colour = Paint(PALETTE[(p.number - 1) % len(PALETTE)])
        head = (p.box[f].reshape(2, 2).mean(0)) * zoom
        if p.gaze.state[f] == GazeState.TRACKED:
            at = p.gaze.xy[f] * zoom
            lines = [np.stack([head, at])] if boxed else []
            dot = circle(float(at[0]), float(at[1]), 3.5 * unit)
            strokes += [Stroke(lines, 4.4 * unit, RIM), Stroke([dot], 9.4 * unit, RIM)]
            strokes += [Stroke(lines, 2.2 * unit, colour), Stroke([dot], 7 * unit, colour)]
    Strokes(strokes, image.size).lay_on(image)
    if boxed and people:
        boxes = np.stack([p.box[f] for p in people]) * np.tile(zoom, 2)
        colours = [PALETTE[(p.number - 1) % len(PALETTE)] for p in people]
        draw_boxes(image, boxes, [_words(p, f) for p in people], colours=colours)
    elif people:
        draw_chip(image, ", ".join(_words(p, f) for p in people))
    return image


def _words(person: Person, f: int) -> str:
    state = {GazeState.TRACKED: "", GazeState.MISSING: " no gaze", GazeState.OUT_OF_FRAME: " looks out of the picture"}[
        GazeState(int(person.gaze.state[f]))
    ]
    sure = f" {person.inside[f]:.0%}" if np.isfinite(person.inside[f]) else ""
    return f"{person.number}{state or sure}"
