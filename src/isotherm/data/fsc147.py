"""FSC-147: pictures of many things of one kind, a point on each, in the files in which its authors give it out.

A folder holds ``annotation_FSC147_384.json`` (points, exemplar boxes), ``Train_Test_Val_FSC_147.json`` (names of each
split), ``ImageClasses_FSC147.txt`` (name, tab, class) and the pictures in ``images_384_VarV2``. Points and boxes are in
the pixels of these pictures.

Source: Ranjan, Sharma, Nguyen & Hoai, "Learning to count everything" (CVPR 2021).
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image

from isotherm.atomic import atomic_write
from isotherm.data.annotation_files import number, part_of, read_text, shown
from isotherm.data.names import near_names
from isotherm.data.orientation import Orientation, Turns
from isotherm.data.pictures import read_picture_turn
from isotherm.data.shape_questions import COLOURS, SHAPES, SIDE, draw_shapes
from isotherm.errors import InputError, OptionError
from isotherm.progress import Say, silent
from isotherm.untrusted.plain import reads

ANNOTATIONS, SPLITS, CLASSES, PICTURES = (
    "annotation_FSC147_384.json",
    "Train_Test_Val_FSC_147.json",
    "ImageClasses_FSC147.txt",
    "images_384_VarV2",
)
RADII = (4.0, 5.5)
"""Of generated shapes, as those that the small vision-language model was trained on."""


@dataclass(frozen=True, eq=False)
class CountedPicture:
    """One picture with its truth.

    Args:
        name: its file's.
        fpath: of the picture.
        category: in words.
        points: (n, 2) one on each object, (x, y) in pixels of the picture.
        boxes: (m, 4) x0, y0, x1, y1 of the exemplars, usually three.
    """

    name: str
    fpath: Path
    category: str
    points: Float[np.ndarray, "n 2"]
    boxes: Float[np.ndarray, "m 4"]

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.points)


@reads()
def read_fsc147(
    dpath: str | os.PathLike[str], split: str = "test", *, orientation: Orientation | None = None, say: Say = silent
) -> list[CountedPicture]:
    """The pictures of a split, in its order; no pixel is read.

    Args:
        split: train, val, test, val_coco or test_coco.
        orientation: in which pixels places in turned pictures are, see :mod:`isotherm.data.orientation`; None: upright,
            which ``say`` is told. The authors' own pictures are not turned.
        say: told of what was assumed.

    Raises:
        InputError: a file or a picture is missing or holds something else; a picture that is none.
        OptionError: the file of splits has no such split.
    """
    folder = Path(dpath)
    if not folder.is_dir():
        raise InputError(
            f"expected a folder with {ANNOTATIONS}, {SPLITS}, {CLASSES} and {PICTURES}; there is no folder {folder}{near_names(folder)}"
        )
    missing = [name for name in (ANNOTATIONS, SPLITS, CLASSES, PICTURES) if not (folder / name).exists()]
    if missing:
        raise InputError(
            f"{folder} has no {', '.join(missing)}; FSC-147 comes as {ANNOTATIONS}, {SPLITS}, {CLASSES} and the pictures in {PICTURES}"
        )
    splits = _object(folder / SPLITS)
    if split not in splits:
        raise OptionError(f"there is no split {split!r} in {folder / SPLITS}; it has {', '.join(splits)}")
    names = part_of(splits, split, str(folder / SPLITS), list, "a list of pictures' names")
    twice = [name for name, n in Counter(name for name in names if isinstance(name, str)).items() if n > 1]
    if twice:
        raise InputError(f"{folder / SPLITS}: {twice[0]} is in the split {split!r} twice; it would count twice")
    annotations, classes = _object(folder / ANNOTATIONS), _classes(folder / CLASSES)
    turns = Turns(orientation)
    pictures = [_picture(name, folder, annotations, classes, turns) for name in names]
    for note in turns.notes:
        say(f"note: {note}")
    return pictures


def _picture(
    name: Any, folder: Path, annotations: dict[str, Any], classes: dict[str, str], turns: Turns
) -> CountedPicture:
    if not isinstance(name, str) or Path(name).name != name:
        raise InputError(f"{folder / SPLITS}: {shown(name)} is not a picture's name")
    where = f"{folder / ANNOTATIONS}: {name}"
    if name not in annotations:
        raise InputError(
            f"{folder / ANNOTATIONS} has nothing about {name}, which is in {SPLITS}; the files are of different versions"
        )
    if name not in classes:
        raise InputError(
            f"{folder / CLASSES} has no class of {name}; expected a line with its name, a tab and the class"
        )
    fpath = folder / PICTURES / name
    if not fpath.is_file():
        raise InputError(f"the picture {fpath} is missing; every picture of the split must be in {folder / PICTURES}")
    points = part_of(annotations[name], "points", where, list, "a list of places (x, y)")
    boxes = part_of(
        annotations[name], "box_examples_coordinates", where, list, "a list of boxes, each of four corners (x, y)"
    )
    corners = [
        _numbers(corner, f"{where}: box {i}", 2)
        for i, box in enumerate(boxes)
        for corner in _four(box, f"{where}: box {i}")
    ]
    centres = [_numbers(point, f"{where}: point {i}", 2) for i, point in enumerate(points)]
    turn = turns.of(name, read_picture_turn(fpath))
    rectangles = turn.points(torch.tensor(corners, dtype=torch.float64).view(-1, 4, 2)).numpy()
    return CountedPicture(
        name,
        fpath,
        classes[name],
        turn.points(torch.tensor(centres, dtype=torch.float64).view(-1, 2)).numpy(),
        np.concatenate([rectangles.min(1), rectangles.max(1)], -1),
    )


def _object(fpath: Path) -> dict[str, Any]:
    try:
        content = json.loads(read_text(fpath), object_pairs_hook=_unlike)
    except json.JSONDecodeError as error:
        raise InputError(f"{fpath}:{error.lineno}: column {error.colno}: not JSON: {error.msg}") from error
    except InputError as error:
        raise InputError(f"{fpath}: {error}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{fpath}: not JSON that can be read ({error})") from error
    if not isinstance(content, dict):
        raise InputError(f"{fpath} holds {shown(content)}; expected an object with a key for each picture or split")
    return content


def _unlike(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object of these pairs; a picture that is described twice, and not alike, is described by neither."""
    out: dict[str, Any] = {}
    for key, value in pairs:
        if key in out and out[key] != value:
            raise InputError(f"{key} is described twice, and not alike; take one of them out")
        out[key] = value
    return out


def _classes(fpath: Path) -> dict[str, str]:
    classes: dict[str, str] = {}
    for i, line in enumerate(read_text(fpath).splitlines(), 1):
        if not line.strip():
            continue
        name, tab, category = line.partition("\t")
        if not tab or not category.strip():
            raise InputError(f"{fpath}:{i}: {shown(line)}; expected a picture's name, a tab and its class")
        if classes.setdefault(name.strip(), category.strip()) != category.strip():
            raise InputError(
                f"{fpath}:{i}: {name.strip()} has the class {category.strip()!r} here and {classes[name.strip()]!r} above; expected one"
            )
    return classes


def _four(box: Any, where: str) -> list[Any]:
    if not isinstance(box, list) or len(box) != 4:
        raise InputError(f"{where} is {shown(box)}; expected four corners (x, y)")
    return box


def _numbers(value: Any, where: str, n: int) -> list[float]:
    if not isinstance(value, list) or len(value) != n:
        raise InputError(f"{where} is {shown(value)}; expected {n} numbers")
    return [number(v, where, "a coordinate") for v in value]


def write_generated_fsc147(
    dpath: str | os.PathLike[str],
    *,
    count: int = 12,
    seed: int = 0,
    side: int = 3 * SIDE,
    shapes: tuple[int, int] = (5, 20),
    least: int = 1,
) -> Path:
    """A generated set in the same files: coloured shapes that do not touch, of which those of one colour are counted.

    Args:
        dpath: made if it is not there.
        count: of pictures; half are the split test, a quarter each val and train.
        side: of a picture in pixels.
        shapes: how many there are in a picture, from and to.
        least: of the colour that is counted, at least; up to all of them.

    Raises:
        OptionError: numbers that do not fit.

    Example:
        >>> folder = write_generated_fsc147(tmp_path / "shapes", count=4)
        >>> first = read_fsc147(folder, "test")[0]
        >>> first.category in COLOURS, first.count == len(first.points)
        (True, True)
    """
    if count < 1 or not 0 < least <= shapes[0] <= shapes[1] or seed < 0 or shapes[1] * 400 > side**2:
        raise OptionError(
            f"{count} pictures of {side} pixels with {shapes[0]} to {shapes[1]} shapes, {least} of them counted at least: expected numbers above 0, and 400 square pixels a shape"
        )
    folder = Path(dpath)
    (folder / PICTURES).mkdir(parents=True, exist_ok=True)
    names, annotations, classes = list(COLOURS), dict[str, Any](), []
    for i in range(count):
        rng = np.random.Generator(np.random.PCG64([seed, i]))
        n, chosen = int(rng.integers(shapes[0], shapes[1] + 1)), int(rng.integers(len(names)))
        wanted = int(rng.integers(least, n + 1))
        others = (chosen + 1 + rng.integers(0, len(names) - 1, n)) % len(names)
        colours = np.where(np.arange(n) < wanted, chosen, others)
        picture, centres, masks = draw_shapes(
            rng, rng.integers(0, len(SHAPES), n), colours, rng.uniform(*RADII, n), side=side
        )
        name = f"{i + 1}.png"
        with atomic_write(folder / PICTURES / name) as file:
            Image.fromarray(picture).save(file, "PNG")
        annotations[name] = {
            "H": side,
            "W": side,
            "ratio_h": 1.0,
            "ratio_w": 1.0,
            "points": centres[colours == chosen].round(3).tolist(),
            "box_examples_coordinates": [_corners(mask) for mask in masks[colours == chosen][:3]],
        }
        classes.append(f"{name}\t{names[chosen]}\n")
    split = _split(list(annotations))
    for fname, text in (
        (ANNOTATIONS, json.dumps(annotations)),
        (SPLITS, json.dumps(split)),
        (CLASSES, "".join(classes)),
    ):
        with atomic_write(folder / fname) as file:
            file.write(text.encode())
    return folder


def _split(names: Sequence[str]) -> dict[str, list[str]]:
    half, quarter = (len(names) + 1) // 2, (len(names) + 1) // 4
    return {
        "test": list(names[:half]),
        "val": list(names[half : half + quarter]),
        "train": list(names[half + quarter :]),
    }


def _corners(mask: np.ndarray) -> list[list[int]]:
    ys, xs = np.nonzero(mask)
    x0, y0, x1, y1 = int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1
    return [[x0, y0], [x0, y1], [x1, y1], [x1, y0]]
