"""Which pictures a recipe trains on and is judged by: files of any form, generated beetles, or a mixture of them."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from isotherm.data.beetle_annotations import read_beetles
from isotherm.data.beetles import HELD_OUT, TRAINING, VALIDATION, BeetleConfig, beetles
from isotherm.data.coco import PixelOrigin, read_coco
from isotherm.data.keypoint_cache import Fit
from isotherm.data.keypoints import KeypointRecord, KeypointSet, together
from isotherm.data.orientation import Orientation
from isotherm.data.point_table import read_point_table
from isotherm.errors import InputError, OptionError
from isotherm.ops.names import known_word
from isotherm.progress import Say, silent

Format = Literal["auto", "coco", "table", "beetles", "generated"]
Split = Literal["training", "validation", "held_out"]
SPLITS = {"training": TRAINING, "validation": VALIDATION, "held_out": HELD_OUT}


@dataclass(frozen=True, kw_only=True)
class Source:
    """A set of labelled pictures.

    Args:
        file: of annotations: COCO keypoints (.json), a table (.csv, .parquet) or beetles (.json, .csv).
        images: the folder that its pictures are named relative to; empty: that of the file, and for COCO its folder of
            images or the same of the folders above, whichever has them. All relative to the recipe.
        format: 'auto' looks at the file and says what it is; 'generated' needs no file.
        category: COCO: name or number; empty: all whose points are the same.
        names: COCO and tables: of the points, in order, where the file does not say them; empty: the file's.
        group: beetles: one collection alone.
        pixel: what 0 means in the file, the picture's 'edge' or the 'centre' of its first pixel; None: as is usual for
            the format.
        orientation: in which pixels places in turned pictures are: 'upright' as they are seen, or as 'stored'; None:
            upright, which is said where a picture is turned.
        split, first, count, side: generated beetles: the seeds of a split from the first on, in pictures of side x side
            pixels.
        groups: generated beetles: their collections.
    """

    file: str = ""
    images: str = ""
    format: Format = "auto"
    category: str = ""
    names: tuple[str, ...] = ()
    group: str = ""
    pixel: PixelOrigin | None = None
    orientation: Orientation | None = None
    split: Split = "training"
    first: int = 0
    count: int = 500
    side: int = 128
    groups: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.format not in get_args(Format):
            raise OptionError(f"format is {self.format!r}; expected one of {', '.join(get_args(Format))}")
        if (self.format == "generated") == bool(self.file):
            raise OptionError("a source is a file of annotations, or format: generated; give one of the two")
        if self.orientation is not None:
            known_word(self.orientation, get_args(Orientation), "orientation")
        if self.split not in SPLITS or self.first < 0 or self.count < 1:
            raise OptionError(
                f"split is {self.split!r}, first {self.first}, count {self.count}; expected one of {', '.join(SPLITS)}, at least 0, and at least 1"
            )


@dataclass(frozen=True, kw_only=True)
class DataChoice:
    """What a recipe learns from.

    Args:
        train, validation: sources, joined; their points must have the same names in the same order.
        hold_out: share of the training pictures that is held back for validation where no source is given for it, drawn
            by ``seed``; objects of one picture stay together.
        exchangeable: sets of points, by name, whose order says nothing.
        swaps: pairs that change places in a mirror.
        lines: named pairs whose distance is measured. They replace what the files say; empty: as the files say.
        oks_sigmas: constants of OKS per point; empty: as the files say, or 0.05.
        margin: kept around an object's box, as a share of its longer side.
        fit: how a picture, or a box, becomes the model's input: 'letterbox' keeps its shape, with black beside it;
            'stretch' fills the input, each direction by a scale of its own. Figures are in source pixels either way.
        enlarged: how much larger than the model's input pictures are kept, so that augmentation can look around.
    """

    train: tuple[Source, ...] = ()
    validation: tuple[Source, ...] = ()
    hold_out: float = 0.1
    seed: int = 0
    exchangeable: tuple[tuple[str, ...], ...] = ()
    swaps: tuple[tuple[str, str], ...] = ()
    lines: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    oks_sigmas: tuple[float, ...] = ()
    margin: float = 0.1
    fit: Fit = "letterbox"
    enlarged: float = 1.25

    def __post_init__(self) -> None:
        known_word(self.fit, get_args(Fit), "fit")
        if not self.train:
            raise OptionError(
                "there is no source to train on; give data.train, a list with a file of annotations or format: generated"
            )
        if not 0 <= self.hold_out < 1 or self.margin < 0 or not 1 <= self.enlarged <= 4:
            raise OptionError(
                f"hold_out is {self.hold_out}, margin {self.margin}, enlarged {self.enlarged}; expected 0 to less than 1, at least 0, and 1 to 4"
            )


def read_data(
    choice: DataChoice, *, root: Path, skip_bad: bool = False, say: Say = silent
) -> tuple[KeypointSet, KeypointSet]:
    """(what to train on, what to validate on; empty where nothing is held out).

    Args:
        root: the folder that relative paths start from.
        skip_bad: leave out what cannot be read, with a message each.

    Raises:
        InputError: file and line of what cannot be read.
        OptionError: points that differ between sources, or names that no point has.
    """
    training = read_sources(choice.train, choice, root=root, skip_bad=skip_bad, say=say)
    if choice.validation:
        return training, read_sources(choice.validation, choice, root=root, skip_bad=skip_bad, say=say)
    held_back = [_draw(record, choice.seed) < choice.hold_out for record in training]
    parts = [
        dataclasses.replace(training, records=[r for r, held in zip(training, held_back, strict=True) if held == of])
        for of in (False, True)
    ]
    if choice.hold_out:
        say(
            f"held back for validation: {len(parts[1])} of {len(training)} records ({choice.hold_out:.0%} of the pictures)"
        )
    return parts[0], parts[1]


def read_sources(
    sources: tuple[Source, ...], choice: DataChoice, *, root: Path, skip_bad: bool = False, say: Say = silent
) -> KeypointSet:
    """Sources joined into one set, with what the choice says about its points."""
    sets = [_named(read_source(source, root=root, skip_bad=skip_bad, say=say), choice) for source in sources]
    whole = together(*sets)
    for message in whole.skipped:
        say(f"skipped: {message}")
    return whole


def read_source(source: Source, *, root: Path, skip_bad: bool = False, say: Say = silent) -> KeypointSet:
    """One set.

    Raises:
        InputError: the file is missing, of another form, or wrong somewhere; with its line.
    """
    if source.format == "generated":
        seeds = SPLITS[source.split][source.first : source.first + source.count]
        config = BeetleConfig(size=(source.side, source.side))
        config = dataclasses.replace(config, groups=source.groups) if source.groups else config
        say(f"drawing {len(seeds)} beetles, {source.split} {source.first} to {source.first + source.count - 1}")
        return beetles(seeds, config)
    fpath = root / source.file
    images = root / source.images if source.images else fpath.parent
    form = recognised(fpath) if source.format == "auto" else source.format
    if form == "coco":
        data = read_coco(
            fpath,
            images if source.images else None,
            category=int(source.category) if source.category.isdecimal() else source.category or None,
            names=source.names or None,
            orientation=source.orientation,
            skip_bad=skip_bad,
            **({} if source.pixel is None else {"pixel": source.pixel}),
        )
    elif form == "beetles":
        data = read_beetles(
            fpath,
            images,
            group=source.group or None,
            orientation=source.orientation,
            skip_bad=skip_bad,
            **({} if source.pixel is None else {"pixel": source.pixel}),
        )
    else:
        data = read_point_table(
            fpath,
            images,
            names=source.names or None,
            pixel=source.pixel,
            orientation=source.orientation,
            skip_bad=skip_bad,
        )
    say(
        f"{source.file}: {len(data)} records of {', '.join(data.names)} ({form}{', recognised by its content' if source.format == 'auto' else ''})"
    )
    for note in data.notes:
        say(f"note: {note}")
    return data


def recognised(fpath: Path) -> Literal["coco", "table", "beetles"]:
    """The form of a file of annotations, by its suffix and its beginning.

    Raises:
        InputError: it is missing, or none of the forms.
    """
    suffix = fpath.suffix.lower()
    if suffix == ".parquet":
        return "table"
    if suffix not in (".json", ".csv"):
        raise InputError(f"{fpath} is no file of annotations; expected .json (COCO or beetles), .csv or .parquet")
    try:
        with fpath.open(encoding="utf-8-sig", errors="replace") as file:
            head = file.readline(1 << 16) if suffix == ".csv" else file.read(1 << 12).lstrip()
    except OSError as error:
        raise InputError(f"{fpath} cannot be read ({error.strerror})") from error
    if suffix == ".json":
        return "beetles" if head.startswith("[") else "coco"
    columns = {name.strip().strip('"') for name in head.split(",")}
    return "beetles" if {"picture", "length"} <= columns or "scale_bar" in columns else "table"


def _named(data: KeypointSet, choice: DataChoice) -> KeypointSet:
    changed: dict[str, object] = {}
    if choice.exchangeable:
        changed["exchangeable"] = tuple(tuple(_index(data, name) for name in group) for group in choice.exchangeable)
    if choice.swaps:
        changed["swaps"] = tuple((_index(data, a), _index(data, b)) for a, b in choice.swaps)
    if choice.lines:
        changed["lines"] = {line: (_index(data, a), _index(data, b)) for line, (a, b) in choice.lines.items()}
    if choice.oks_sigmas:
        changed["oks_sigmas"] = choice.oks_sigmas
    return dataclasses.replace(data, **changed)  # type: ignore[arg-type]


def _index(data: KeypointSet, name: str) -> int:
    if name not in data.names:
        raise OptionError(f"there is no point {name!r}; there are {', '.join(data.names)}")
    return data.names.index(name)


def _draw(record: KeypointRecord, seed: int) -> float:
    """0 to 1 by the picture's name alone, so that a picture stays on its side when others come or go."""
    name = record.name if isinstance(record.picture, np.ndarray) else record.picture.name
    return int.from_bytes(hashlib.sha256(f"{seed} {name}".encode()).digest()[:8], "big") / 2**64
