"""What of an export must be drawn: a map, alone or over its picture, its values in other forms, a report to print."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from isotherm.atomic import atomic_write
from isotherm.data.pictures import read_picture
from isotherm.draw import Style, overlay, renormalise_in_boxes, save_map16, save_picture, scale_of
from isotherm.draw.overlay import map_tile
from isotherm.draw.picture import Picture
from isotherm.heatmap import Heatmap
from isotherm.jobs.explain.choices import style_of
from isotherm.jobs.explain.options import ExplainJob
from isotherm.studio.exports.film import write_film
from isotherm.studio.exports.maps import heatmap_of
from isotherm.studio.exports.pdf import write_pdf
from isotherm.studio.view_files import view_path


def export(
    form: str,
    out: str,
    folder: str,
    index: int,
    number: int,
    pictures: Mapping[str, str],
    options: Mapping[str, Any],
    remarks: Mapping[str, Any],
) -> None:
    """Write an export to a file.

    Args:
        form: png, overlay, png16, npy, npz, pdf, or mp4 of several pictures.
        out: the file.
        folder: the run's.
        index: the picture's number.
        number: the map's.
        pictures: the original files by name.
        options: that the run was asked for with.
        remarks: title, command, note, tags and time of the run, for a report.

    Raises:
        InputError: there is no such picture or map.
    """
    style, renormalise, boxes = _looks(options)
    if form == "pdf":
        write_pdf(Path(out), Path(folder), style, remarks)
        return
    if form == "mp4":
        write_film(Path(out), Path(folder), style)
        return
    heatmap, view = heatmap_of(Path(folder), index, number)
    if form in ("npy", "npz", "png16"):
        _write_values(form, heatmap, Path(out))
        return
    box = view["maps"][number].get("box")
    drawn = renormalise_in_boxes(heatmap, [box]) if renormalise and box else heatmap
    image: Picture
    if form == "png":
        image = map_tile(drawn, (view["h"], view["w"]), scale=scale_of(drawn), style=style)
    else:
        shown = [box] if box and boxes else None
        labels = [heatmap.label] if shown else None
        image = overlay(drawn, _picture(Path(folder), index, view, pictures), style=style, boxes=shown, labels=labels)
    save_picture(image, out, command=remarks["command"] if form == "overlay" else None)


def _write_values(form: str, heatmap: Heatmap, out: Path) -> None:
    if form == "npy":
        with atomic_write(out) as file:
            np.save(file, np.asarray(heatmap), allow_pickle=False)
    elif form == "npz":
        heatmap.save(out)
    else:
        save_map16(heatmap, out)


def _looks(options: Mapping[str, Any]) -> tuple[Style, bool, bool]:
    """How the run's own files are drawn, so that exports look like them: style, renormalised, with boxes."""
    if "category" in options:  # a count has no options of drawing
        return Style(), False, True
    job = ExplainJob.from_json(options)
    return style_of(job), job.renormalise, job.show_boxes


def _picture(folder: Path, index: int, view: Mapping[str, Any], pictures: Mapping[str, str]) -> Image.Image:
    """The original picture, where it is one and still there, or else what the page shows, in the original's size."""
    size = (view["w"], view["h"])
    if view["name"] in pictures and view["moment_s"] is None:
        image = Image.fromarray(read_picture(pictures[view["name"]], name=view["name"]).array)
        if image.size == size:
            return image
    image = Image.fromarray(read_picture(view_path(folder, index, ".jpg")).array)
    return image if image.size == size else image.resize(size, Image.Resampling.BICUBIC)
