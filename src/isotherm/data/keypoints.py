"""Labelled points of pictures: the one form that every reader of annotations makes and that training takes.

Readers for COCO, tables and beetles are beside this file; :mod:`isotherm.data.beetles` makes such data with the truth
known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from isotherm.data.pictures import read_picture
from isotherm.errors import InputError, OptionError, ShapeError
from isotherm.points import State


@dataclass(frozen=True, eq=False, kw_only=True)
class KeypointRecord:
    """One object (or one whole picture) and what is known of its points.

    Args:
        picture: a file, or the picture itself, (h, w, 3) uint8.
        points: (n, 2) (x, y) in the picture's pixels, edge-origin: the centre of pixel i is i + 0.5. NaN where not
            known.
        state: (n,) of :class:`isotherm.points.State`.
        box: (x0, y0, x1, y1) of the object in pixels, or None: the whole picture.
        area: of the object in pixels, for OKS; None: that of the box or the picture.
        px_per_cm: pixels per centimetre, or None: errors are in pixels alone.
        group: the set or site that it comes from; results are told apart by it.
        name: of this record, unique in its set.
        origin: where it was read, "file:line", for messages.
    """

    picture: Path | UInt8[np.ndarray, "h w 3"]
    points: Float[Tensor, "n 2"]
    state: Int[Tensor, " n"]
    box: tuple[float, float, float, float] | None = None
    area: float | None = None
    px_per_cm: float | None = None
    group: str = ""
    name: str = ""
    origin: str = ""

    def __post_init__(self) -> None:
        if self.points.ndim != 2 or self.points.shape[-1] != 2 or self.state.shape != self.points.shape[:1]:
            raise ShapeError(
                f"{self.origin or self.name}: points have shape {tuple(self.points.shape)} and state {tuple(self.state.shape)}; expected (n, 2) and (n,)"
            )
        known = (self.state != int(State.UNLABELLED)) & (self.state != int(State.ABSENT))
        if bool((known & ~torch.isfinite(self.points).all(-1)).any()):
            raise InputError(
                f"{self.origin or self.name}: a point has a state that says where it is, and no finite place"
            )
        if self.px_per_cm is not None and not 0 < self.px_per_cm < float("inf"):
            raise InputError(
                f"{self.origin or self.name}: {self.px_per_cm} pixels per centimetre; expected a finite number above 0"
            )
        if self.box is not None and not (self.box[0] < self.box[2] and self.box[1] < self.box[3]):
            raise InputError(f"{self.origin or self.name}: the box {self.box} is empty; expected x0 < x1 and y0 < y1")

    def read(self) -> UInt8[np.ndarray, "h w 3"]:
        """The picture, upright.

        Raises:
            InputError: the file cannot be read; the message names the record's origin.
        """
        if isinstance(self.picture, np.ndarray):
            return self.picture
        try:
            return read_picture(self.picture).array
        except InputError as error:
            raise InputError(f"{self.origin or self.name}: {error}") from error


@dataclass(frozen=True, eq=False, kw_only=True)
class KeypointSet:
    """Records with the same points.

    Args:
        records: any number.
        names: of the n points, in order.
        exchangeable: sets of points whose order says nothing, such as the two ends of a line, ((0, 1), (2, 3)).
        swaps: pairs that change places when a picture is mirrored, such as left and right eye.
        lines: pairs of points whose distance is measured, by name, such as {"length": (2, 3)}.
        oks_sigmas: (n,) per-point constants of OKS, or None: all 0.05.
        skipped: what was left out while reading, one message each.
        notes: what was assumed while reading, or a person should know.

    Raises:
        ShapeError: a record has another number of points.
        OptionError: a pair or set names a point that does not exist.
    """

    records: Sequence[KeypointRecord]
    names: tuple[str, ...]
    exchangeable: tuple[tuple[int, ...], ...] = ()
    swaps: tuple[tuple[int, int], ...] = ()
    lines: dict[str, tuple[int, int]] = field(default_factory=dict)
    oks_sigmas: tuple[float, ...] | None = None
    skipped: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        n = len(self.names)
        for record in self.records:
            if len(record.points) != n:
                raise ShapeError(
                    f"{record.origin or record.name}: {len(record.points)} points; the set has {n}: {', '.join(self.names)}"
                )
        for what, groups in (
            ("exchangeable", self.exchangeable),
            ("swaps", self.swaps),
            ("lines", tuple(self.lines.values())),
        ):
            for group in groups:
                if any(not 0 <= i < n for i in group):
                    raise OptionError(f"{what} names the points {group}; there are {n}, numbered from 0")
        if self.oks_sigmas is not None and len(self.oks_sigmas) != n:
            raise OptionError(f"oks_sigmas has {len(self.oks_sigmas)} numbers; expected {n}, one for every point")

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[KeypointRecord]:
        return iter(self.records)

    def __getitem__(self, index: int) -> KeypointRecord:
        return self.records[index]

    @property
    def groups(self) -> dict[str, int]:
        """How many records each group has."""
        return dict(Counter(record.group for record in self.records))


def together(*sets: KeypointSet) -> KeypointSet:
    """One set of several that have the same points, by name and order.

    Raises:
        OptionError: no sets, or points that differ; map them to common names first.

    Example:
        >>> one = KeypointSet(records=[], names=("left", "right"))
        >>> len(together(one, one))
        0
    """
    if not sets:
        raise OptionError("no sets were given; expected at least one")
    first = sets[0]
    for other in sets[1:]:
        for what in ("names", "exchangeable", "swaps", "lines", "oks_sigmas"):
            if getattr(other, what) != getattr(first, what):
                raise OptionError(
                    f"the sets differ in {what}: {getattr(first, what)} and {getattr(other, what)}; expected the same"
                )
    return KeypointSet(
        records=[record for one in sets for record in one.records],
        names=first.names,
        exchangeable=first.exchangeable,
        swaps=first.swaps,
        lines=first.lines,
        oks_sigmas=first.oks_sigmas,
        skipped=tuple(message for one in sets for message in one.skipped),
        notes=tuple(note for one in sets for note in one.notes),
    )
