"""Which instructions a recipe trains on and is judged by: JSON Lines, referring expressions, generated tables, or a
mixture of them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch

from isotherm.data.grounding.cameras import ViewCamera
from isotherm.data.grounding.jsonl import read_jsonl
from isotherm.data.grounding.records import GroundingRecord, GroundingSet, Place, together
from isotherm.data.grounding.refcoco import read_refcoco
from isotherm.data.orientation import Orientation
from isotherm.data.tabletop import BOUNDS, KINDS, ORTHOGRAPHIC, PERSPECTIVE, make_tabletop
from isotherm.data.tabletop.table import HELD_OUT, TRAINING, VALIDATION
from isotherm.decode.cameras import OrthographicView
from isotherm.errors import InputError, OptionError
from isotherm.ops.names import known_word
from isotherm.progress import Say, silent

Format = Literal["auto", "jsonl", "refcoco", "tabletop"]
Split = Literal["training", "validation", "held_out"]
SPLITS = {"training": TRAINING, "validation": VALIDATION, "held_out": HELD_OUT}


@dataclass(frozen=True, kw_only=True)
class InstructionSource:
    """A set of instructions.

    Args:
        file: JSON Lines (.jsonl), or the refs of referring expressions (.json); none for generated tables. Relative to
            the recipe, as the others.
        images: the folder of the pictures; empty: that of the file.
        instances: COCO's instances that the refs are about.
        orientation: in which pixels places in turned pictures are: 'upright' as they are seen, or as 'stored'; None:
            upright, which is said where a picture is turned.
        format: 'auto' goes by the suffix; 'tabletop' needs no file.
        split: of referring expressions that of the file, such as train, empty: all; of generated tables 'training',
            'validation' or 'held_out'.
        first, count: generated tables: the seeds of a split from the first on.
        size: generated tables: side of the pictures in pixels.
        views: generated tables: which of top, side, operator, left, right.
        kinds: generated tables: which of pick, relation, place.
        most: generated tables: instructions of each; 0: all that have one meaning.
    """

    file: str = ""
    images: str = ""
    instances: str = ""
    orientation: Orientation | None = None
    format: Format = "auto"
    split: str = ""
    first: int = 0
    count: int = 100
    size: int = 64
    views: tuple[str, ...] = ("top",)
    kinds: tuple[str, ...] = ("pick",)
    most: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "views", tuple(self.views))
        object.__setattr__(self, "kinds", tuple(self.kinds))
        if self.format not in get_args(Format):
            raise OptionError(f"format is {self.format!r}; expected one of {', '.join(get_args(Format))}")
        if self.orientation is not None:
            known_word(self.orientation, get_args(Orientation), "orientation")
        if (self.format == "tabletop") == bool(self.file):
            raise OptionError("a source is a file of instructions, or format: tabletop; give one of the two")
        if self.first < 0 or self.count < 1 or self.size < 8 or self.most < 0:
            raise OptionError(
                f"first is {self.first}, count {self.count}, size {self.size}, most {self.most}; expected at least 0, 1, 8 and 0"
            )
        for name, values, known in (("views", self.views, (*ORTHOGRAPHIC, *PERSPECTIVE)), ("kinds", self.kinds, KINDS)):
            bad = [v for v in values if v not in known]
            if bad or not values:
                raise OptionError(f"{name} has {bad[0] if bad else 'nothing'!r}; expected some of {', '.join(known)}")
        if self.format == "tabletop" and (self.split or "training") not in SPLITS:
            raise OptionError(f"split is {self.split!r}; expected one of {', '.join(SPLITS)}")


@dataclass(frozen=True, kw_only=True)
class InstructionChoice:
    """What a recipe learns from.

    Args:
        train, validation: sources, joined; all have equally many pictures and steps.
        hold_out: share of the training pictures that is held back for validation where no source is given for it, drawn
            by ``seed``; all instructions about one picture stay together.
        enlarged: how much larger than the model's input pictures are kept, so that augmentation can look around.
    """

    train: tuple[InstructionSource, ...] = ()
    validation: tuple[InstructionSource, ...] = ()
    hold_out: float = 0.1
    seed: int = 0
    enlarged: float = 1.0

    def __post_init__(self) -> None:
        if not self.train:
            raise OptionError(
                "there is no source to train on; give data.train, a list with a file of instructions or format: tabletop"
            )
        if not 0 <= self.hold_out < 1 or not 1 <= self.enlarged <= 4:
            raise OptionError(
                f"hold_out is {self.hold_out} and enlarged {self.enlarged}; expected 0 to less than 1, and 1 to 4"
            )


def read_instructions(
    choice: InstructionChoice, *, root: Path, apart: bool, skip_bad: bool = False, say: Say = silent
) -> tuple[GroundingSet, GroundingSet]:
    """(what to train on, what to validate on; empty where nothing is held out).

    Args:
        choice: sources.
        root: the folder that relative paths start from.
        apart: every picture becomes an instruction of its own.
        skip_bad: leave out what cannot be read, with a message each.
        say: is told what was read.

    Raises:
        InputError: file and line of what cannot be read, or sources of different forms.
    """

    def joined(sources: tuple[InstructionSource, ...]) -> GroundingSet:
        sets = [read_source(source, root=root, skip_bad=skip_bad, say=say) for source in sources]
        whole = together(*(one.apart() for one in sets) if apart else sets)
        for message in whole.skipped:
            say(f"skipped: {message}")
        return whole

    training = joined(choice.train)
    if choice.validation:
        return training, joined(choice.validation)
    held = [_draw(record, choice.seed) < choice.hold_out for record in training]
    parts = [
        GroundingSet(
            records=[r for r, h in zip(training, held, strict=True) if h == of],
            skipped=training.skipped,
            notes=training.notes,
        )
        for of in (False, True)
    ]
    if choice.hold_out:
        say(
            f"held back for validation: {len(parts[1])} of {len(training)} instructions ({choice.hold_out:.0%} of the pictures)"
        )
    return parts[0], parts[1]


def read_source(source: InstructionSource, *, root: Path, skip_bad: bool = False, say: Say = silent) -> GroundingSet:
    """One set; raises InputError where the file is missing, of another form, or wrong somewhere, with its line."""
    if source.format == "tabletop":
        return generated(source, say=say)
    fpath = root / source.file
    images = root / source.images if source.images else fpath.parent
    form = recognised(fpath) if source.format == "auto" else source.format
    if form == "refcoco":
        if not source.instances:
            raise InputError(
                f"{fpath} has referring expressions, whose boxes are in COCO's instances; give that file as instances"
            )
        data = read_refcoco(
            fpath,
            root / source.instances,
            images,
            split=source.split or None,
            orientation=source.orientation,
            skip_bad=skip_bad,
        )
    else:
        data = read_jsonl(fpath, images, orientation=source.orientation, skip_bad=skip_bad)
    say(f"{source.file}: {len(data)} instructions, {data.views} picture(s) each ({form})")
    for note in data.notes:
        say(f"note: {note}")
    return data


def recognised(fpath: Path) -> Literal["jsonl", "refcoco"]:
    """The form of a file of instructions, by its suffix.

    Raises:
        InputError: neither.
    """
    suffix = fpath.suffix.lower()
    if suffix in (".jsonl", ".ndjson"):
        return "jsonl"
    if suffix in (".json", ".p", ".pkl", ".pickle"):
        return "refcoco"
    raise InputError(f"{fpath} is no file of instructions; expected .jsonl, or .json with referring expressions")


def generated(source: InstructionSource, *, say: Say = silent) -> GroundingSet:
    """Generated tables with their instructions, all views of a table in one record."""
    seeds = SPLITS[source.split or "training"][source.first : source.first + source.count]
    say(
        f"drawing {len(seeds)} tables, {source.split or 'training'} {source.first} to {source.first + source.count - 1}"
    )
    records = []
    for seed in seeds:
        table = make_tabletop(seed, size=source.size, samples=1, views=source.views)
        some = [i for i in table.instructions if i.kind in source.kinds]
        order = np.random.default_rng(seed).permutation(len(some))[: source.most or None]
        shown = [table.views[name] for name in source.views]
        cameras = tuple(
            ViewCamera(view.camera, BOUNDS if isinstance(view.camera, OrthographicView) else None) for view in shown
        )
        for k in order.tolist():
            places = table.points(some[k])
            records.append(
                GroundingRecord(
                    pictures=tuple(view.picture for view in shown),
                    text=some[k].text,
                    places=(tuple(Place(torch.tensor([places[name]])) for name in source.views),),
                    views=source.views,
                    cameras=cameras,
                    name=f"table {seed}: {some[k].text}",
                )
            )
    return GroundingSet(records=records)


def _draw(record: GroundingRecord, seed: int) -> float:
    """0 to 1 by the pictures alone, so that a picture stays on its side when others come or go."""
    digest = hashlib.sha256(str(seed).encode())
    for picture in record.pictures[:1]:
        digest.update(picture.tobytes() if isinstance(picture, np.ndarray) else picture.name.encode())
    return int.from_bytes(digest.digest()[:8], "big") / 2**64
