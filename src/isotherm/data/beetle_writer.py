"""Generated beetles, or any others, as files in the form that :mod:`isotherm.data.beetle_annotations` reads."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path

import numpy as np
from PIL import Image

from isotherm.atomic import atomic_write
from isotherm.data.beetle_annotations import COLUMNS, LINES
from isotherm.data.keypoints import KeypointSet
from isotherm.errors import OptionError
from isotherm.metrics.point_errors import place_known


def write_beetles(data: KeypointSet, fpath: str | os.PathLike[str], images_dpath: str | os.PathLike[str]) -> Path:
    """A CSV file of annotations and a picture for every record; what is there under the same names is replaced.

    Args:
        data: beetles in memory, each with a group; lines of which an end is not known are left empty.
        fpath: of the annotations, ending in .csv.
        images_dpath: the folder for the pictures, which are named by their group and number.

    Raises:
        OptionError: another ending, or pictures that are files already.

    Example:
        >>> from isotherm.data.beetles import TRAINING, beetles
        >>> write_beetles(beetles(TRAINING[:2]), "beetles/hawaii.csv", "beetles/images").name  # doctest: +SKIP
        'hawaii.csv'
    """
    fpath, images = Path(fpath), Path(images_dpath)
    if fpath.suffix != ".csv":
        raise OptionError(f"{fpath} ends in {fpath.suffix!r}; annotations of beetles are written as .csv")
    images.mkdir(parents=True, exist_ok=True)
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for i, record in enumerate(data):
        if not isinstance(record.picture, np.ndarray):
            raise OptionError(f"{record.name or i} is the file {record.picture}; expected pictures in memory")
        name = f"{fpath.stem}-{i:05d}.png"
        Image.fromarray(record.picture).save(images / name)
        row = {"picture": name, "group": record.group}
        known, points = place_known(record.state), record.points.tolist()
        row |= {line: _polyline([points[a], points[b]]) for line, (a, b) in LINES.items() if known[a] and known[b]}
        if record.px_per_cm is not None:
            row |= {"scale_bar": _polyline([[0.0, 1.0], [record.px_per_cm, 1.0]]), "scale_bar_cm": "1"}
        writer.writerow(row)
    with atomic_write(fpath) as file:
        file.write(text.getvalue().encode())
    return fpath


def _polyline(points: list[list[float]]) -> str:
    return "; ".join(f"{x!r} {y!r}" for x, y in points)
