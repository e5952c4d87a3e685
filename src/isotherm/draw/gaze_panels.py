"""The same clip with several gazes side by side, and below each what a model then predicts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from PIL import Image, ImageDraw

from isotherm.draw.gaze import GazeLook, GazeTrack, draw_gaze
from isotherm.draw.picture import Picture, fit, open_canvas
from isotherm.draw.sheet import Tile, add_title, arrange, shorten
from isotherm.draw.text import INK, LINE, MUTED, PAPER, font_for, measure, text_size
from isotherm.errors import OptionError, ShapeError

RIGHT = (5, 150, 105)
BAR = (99, 102, 241)


@dataclass(frozen=True, eq=False)
class GazePanel:
    """One of several panels: a gaze, and what a model predicts with it.

    Args:
        title: above the panel, such as gaze, shuffled or none.
        gaze: on the clock of the clip; None: the frames without gaze, as the model without it sees them.
        predictions: names with their probabilities, the likeliest first; empty for none.
    """

    title: str
    gaze: GazeTrack | None
    predictions: Sequence[tuple[str, float]] = ()


def gaze_panels(
    pictures: Iterable[Picture],
    panels: Sequence[GazePanel],
    times_s: Iterable[float],
    *,
    right: str | None = None,
    look: GazeLook | None = None,
    side: int = 320,
    title: str | None = None,
) -> Iterator[Image.Image]:
    """Frames of panels side by side, one at a time; for :func:`isotherm.draw.save_animation`.

    Args:
        pictures: the clip's frames.
        panels: from left to right.
        times_s: when each frame is, on the clock of the gaze.
        right: the name of the true answer, which is drawn in green wherever it is predicted.
        look: how gaze is drawn.
        side: the longer side of each panel in pixels.
        title: above all.

    Raises:
        OptionError: there are no panels.
        ShapeError: as many predictions are not below each, or more frames than times.
    """
    if not panels:
        raise OptionError("there are no panels; give at least one")
    if len({len(panel.predictions) for panel in panels}) > 1:
        raise ShapeError(
            "the panels have different numbers of predictions; give as many of each, so that they can be compared"
        )
    return _frames(pictures, panels, times_s, right, look or GazeLook(), side, title)


def _frames(pictures, panels, times_s, right, look, side, title) -> Iterator[Image.Image]:
    bars: list[Image.Image] | None = None
    for picture, at_s in zip(pictures, times_s, strict=True):
        tiles = [_tile(picture, panel, float(at_s), look, side) for panel in panels]
        if bars is None and panels[0].predictions:
            bars = [prediction_bars(p.predictions, t.width, right=right) for p, t in zip(panels, tiles, strict=True)]
        rows = [[Tile(tile) for tile in tiles], *([[Tile(bar) for bar in bars]] if bars else [])]
        size = text_size(side, side, share=0.055, smallest=13)
        sheet = arrange(rows, column_names=[panel.title for panel in panels], font_size=size)
        yield add_title(sheet, title) if title else sheet


def prediction_bars(predictions: Sequence[tuple[str, float]], width: int, *, right: str | None = None) -> Image.Image:
    """Names with bars as long as their probabilities, one below the other, on paper.

    Args:
        predictions: names with probabilities from 0 to 1.
        width: in pixels.
        right: the name that is drawn in green.

    Raises:
        OptionError: a probability that is none.

    Example:
        >>> prediction_bars([("open door", 0.7), ("cut onion", 0.2)], 200).width
        200
    """
    for name, share in predictions:
        if not 0 <= share <= 1:
            raise OptionError(f"the probability of {name!r} is {share}; expected a number from 0 to 1")
    size = max(12, round(width * 0.045))
    line = round(measure("", font_for("", size))[1] * 1.3)
    step = round(line * 1.75)
    out = Image.new("RGB", (width, step * len(predictions) + size // 2), PAPER)
    draw = ImageDraw.Draw(out)
    for i, (name, share) in enumerate(predictions):
        top, colour = i * step, RIGHT if name == right else BAR
        percent = f"{share:.0%}"
        font = font_for(name, size)
        room = width - measure(percent, font_for(percent, size))[0] - size
        draw.text((0, top), shorten(name, font, room), font=font, fill=colour if name == right else INK, anchor="la")
        draw.text((width, top), percent, font=font_for(percent, size), fill=MUTED, anchor="ra")
        low = top + line + 1
        bar = max(3, round(line * 0.28))
        draw.rounded_rectangle((0, low, width - 1, low + bar), radius=bar // 2, fill=LINE)
        if share * width >= 1:
            draw.rounded_rectangle(
                (0, low, max(bar, round(share * (width - 1))), low + bar), radius=bar // 2, fill=colour
            )
    return out


def _tile(picture: Picture, panel: GazePanel, at_s: float, look: GazeLook, side: int) -> Image.Image:
    look = replace(look, least_side=max(look.least_side, side))
    gaze = panel.gaze
    if gaze is None:
        look, gaze = replace(look, trail_s=0, heat_s=0, state=False), GazeTrack.nothing()
    drawn = draw_gaze(picture, gaze, at_s, look=look)
    h, w = fit(open_canvas(picture).size, (side, side))
    return drawn if drawn.size == (w, h) else drawn.resize((w, h), Image.Resampling.LANCZOS)
