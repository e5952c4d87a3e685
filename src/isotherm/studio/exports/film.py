"""The pictures of a run one after the other, each with its first map, as a video."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

from PIL import Image

from isotherm.data.pictures import read_picture
from isotherm.draw import Style, save_animation, scale_of
from isotherm.draw.overlay import draw_chip, overlay_tile
from isotherm.draw.picture import fit
from isotherm.draw.text import PAPER
from isotherm.size import Size
from isotherm.studio.exports.maps import heatmap_of
from isotherm.studio.view_files import pictures_of, view_path

SIDE = 1280
"""The longer side of the video in pixels, at most."""
FPS = Fraction(2, 3)
"""A picture stays for a second and a half."""


def write_film(out: Path, folder: Path, style: Style) -> None:
    """Write an MP4 of a run's pictures in their order; those without a map, or that failed, are left out.

    Args:
        out: the file.
        folder: the run's.
        style: how maps are drawn; each has a scale of its own, as on the page.

    Raises:
        InputError: no picture has a map.
        MissingExtraError: PyAV is not installed.
    """
    shown = shown_in(folder)
    size = (max((one["h"] for one in shown), default=1), max((one["w"] for one in shown), default=1))
    if max(size) > SIDE:
        size = fit(size, (SIDE, SIDE))
    save_animation(_frames(folder, [one["index"] for one in shown], size, style), out, fps=FPS)


def shown_in(folder: Path) -> list[dict]:
    """The pictures of a run that have a map.

    Args:
        folder: the run's.
    """
    return [one for one in pictures_of(folder) if one["status"] == "done" and one["maps"]]


def _frames(folder: Path, indices: Sequence[int], size: Size, style: Style) -> Iterator[Image.Image]:
    for index in indices:
        heatmap, view = heatmap_of(folder, index, 0)
        h, w = fit((view["h"], view["w"]), size)
        picture = Image.fromarray(read_picture(view_path(folder, index, ".jpg")).array)
        drawn = overlay_tile(heatmap, picture.resize((w, h)), scale=scale_of(heatmap), style=style)
        draw_chip(drawn, f"{view['name']}: {view['maps'][0]['label']}")
        frame = Image.new("RGB", (size[1], size[0]), PAPER)
        frame.paste(drawn, ((size[1] - w) // 2, (size[0] - h) // 2))
        yield frame
