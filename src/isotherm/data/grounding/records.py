"""An instruction about pictures and the places that it means, in the one form that every reader makes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from isotherm.data.grounding.cameras import ViewCamera
from isotherm.errors import InputError, ShapeError


@dataclass(frozen=True, eq=False)
class Place:
    """What an instruction means in one picture at one step.

    Args:
        points: (m, 2) (x, y) in source pixels, edge-origin; several where any of them, or all, are meant.
        angle_rad: (m) of a grasp at each point, from the x axis towards the y axis; None where it is no grasp.
        width_px: (m) how far the gripper opens, in source pixels; None where it is no grasp.
    """

    points: Float[Tensor, "m 2"]
    angle_rad: Float[Tensor, " m"] | None = None
    width_px: Float[Tensor, " m"] | None = None

    def __post_init__(self) -> None:
        if (self.angle_rad is None) != (self.width_px is None):
            raise ShapeError("a grasp has an angle and a width; one of them is missing")
        for name in ("angle_rad", "width_px"):
            value = getattr(self, name)
            if value is not None and len(value) != len(self.points):
                raise ShapeError(f"{name} has {len(value)} numbers for {len(self.points)} points; give one for each")


@dataclass(frozen=True, eq=False, kw_only=True)
class GroundingRecord:
    """An instruction.

    Args:
        pictures: of every view, files or (h, w, 3) uint8.
        text: the instruction.
        places: of every step, and within it of every view; None where nothing is known of that view.
        views: names of the views, or nothing.
        cameras: of every view, or nothing.
        name: of this record, for people.
        origin: where it was read, "file:line", for messages.
    """

    pictures: tuple[Path | UInt8[np.ndarray, "_ _ 3"], ...]
    text: str
    places: tuple[tuple[Place | None, ...], ...]
    views: tuple[str, ...] = ()
    cameras: tuple[ViewCamera, ...] = ()
    name: str = ""
    origin: str = ""

    def __post_init__(self) -> None:
        who, count = self.origin or self.name or "a record", len(self.pictures)
        if not count or not self.places or not self.text.strip():
            raise InputError(f"{who}: an instruction needs a picture, words and a place")
        for step in self.places:
            if len(step) != count:
                raise InputError(f"{who}: there are places for {len(step)} pictures, and {count} pictures")
        for what in ("views", "cameras"):
            if getattr(self, what) and len(getattr(self, what)) != count:
                raise InputError(f"{who}: there are {len(getattr(self, what))} {what} for {count} pictures")
        if not any(place is not None and len(place.points) for step in self.places for place in step):
            raise InputError(f"{who}: no place is known in any picture; expected at least one")

    @property
    def grasp(self) -> bool:
        """Whether any of its places has an angle and a width."""
        return any(place is not None and place.angle_rad is not None for step in self.places for place in step)

    def apart(self) -> tuple[GroundingRecord, ...]:
        """A record for every picture in which a place is known, as for models that see one picture at a time."""
        alone = []
        for i, picture in enumerate(self.pictures):
            places = tuple((step[i],) for step in self.places)
            if all(place[0] is None for place in places):
                continue
            view = self.views[i : i + 1]
            name = f"{self.name}, {view[0]}" if view else self.name
            alone.append(
                GroundingRecord(
                    pictures=(picture,),
                    text=self.text,
                    places=places,
                    views=view,
                    cameras=self.cameras[i : i + 1],
                    name=name,
                    origin=self.origin,
                )
            )
        return tuple(alone)


@dataclass(frozen=True, eq=False, kw_only=True)
class GroundingSet:
    """Records of one form: equally many pictures and steps.

    Args:
        records: any number.
        skipped: what was left out while reading, one message each.
        notes: what was assumed while reading, or a person should know.

    Raises:
        InputError: a record has another number of pictures or steps than the first.
    """

    records: Sequence[GroundingRecord]
    skipped: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for record in self.records:
            for what, count, first in (
                ("pictures", len(record.pictures), self.views),
                ("steps", len(record.places), self.steps),
            ):
                if count != first:
                    raise InputError(
                        f"{record.origin or record.name}: {count} {what}; {self.records[0].origin or 'the first'} has {first}. Records of one set have equally many"
                    )

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[GroundingRecord]:
        return iter(self.records)

    def __getitem__(self, index: int) -> GroundingRecord:
        return self.records[index]

    @property
    def views(self) -> int:
        """Pictures of every record."""
        return len(self.records[0].pictures) if self.records else 1

    @property
    def steps(self) -> int:
        """Steps of every record."""
        return len(self.records[0].places) if self.records else 1

    @property
    def grasp(self) -> bool:
        """Whether any record is about a grasp."""
        return any(record.grasp for record in self.records)

    def apart(self) -> GroundingSet:
        """Every picture as a record of its own."""
        records = [one for record in self.records for one in record.apart()]
        return GroundingSet(records=records, skipped=self.skipped, notes=self.notes)


def together(*sets: GroundingSet) -> GroundingSet:
    """Several sets as one.

    Raises:
        InputError: as of :class:`GroundingSet`.

    Example:
        >>> len(together(GroundingSet(records=[]), GroundingSet(records=[])))
        0
    """
    return GroundingSet(
        records=[r for one in sets for r in one],
        skipped=tuple(message for one in sets for message in one.skipped),
        notes=tuple(note for one in sets for note in one.notes),
    )


def point_place(*points: tuple[float, float]) -> Place:
    """A place of points (x, y) in source pixels.

    Example:
        >>> point_place((3.0, 4.5)).points.tolist()
        [[3.0, 4.5]]
    """
    return Place(torch.tensor(points, dtype=torch.float32).view(-1, 2))
