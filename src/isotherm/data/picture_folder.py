"""The folder that annotations name pictures in: which file is meant, how large it is, and which points lie outside.

Only headers are read. The names come from a file that somebody else may have written, so none may lead out of the
folder.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from isotherm.data.annotation_files import Remarks, part_of
from isotherm.data.names import near_names
from isotherm.data.orientation import Orientation, Turn, Turns
from isotherm.data.pictures import read_picture_turn
from isotherm.errors import InputError
from isotherm.frame import Size
from isotherm.points import State


@dataclass(frozen=True)
class FoundPicture:
    """A picture that annotations name.

    Args:
        fpath: its file.
        own: from its stored pixels to its upright ones.
        turn: from the pixels that its annotations count in to its upright ones.
        decided: somebody said which these are.
    """

    fpath: Path
    own: Turn
    turn: Turn
    decided: bool

    @property
    def size(self) -> Size:
        """(h, w) of the upright picture."""
        return self.own.size

    def check_size(self, facts: Mapping[str, Any], where: str, name: str) -> None:
        """Refuse a picture of another size than a file of annotations says.

        Where nobody said in which pixels the places of a turned picture are, its stored size is refused as well: the
        places may go with either. Where somebody did, either size goes.

        Args:
            facts: of the file, with ``width`` and ``height`` or without them.
            where: of them, for messages.
            name: of the picture.

        Raises:
            InputError: with both sizes.
        """
        (h, w), (stored_h, stored_w) = self.size, self.own.stored
        says = {
            key: part_of(facts, key, where, int, "pixels, a whole number")
            for key in ("width", "height")
            if key in facts
        }
        of_file = says.get("width", w), says.get("height", h)
        stored = says.get("width", stored_w), says.get("height", stored_h)
        if of_file == (w, h) or (self.decided and stored == (stored_w, stored_h)):
            return
        advice = ""
        if stored == (stored_w, stored_h):
            advice = (
                " That is its size as stored: say orientation 'stored' where places are in these pixels too, or"
                " 'upright' where they are in the upright picture's (Label Studio writes such files)"
            )
        raise InputError(
            f"{where}: the file says that {name} is {of_file[0]} x {of_file[1]} pixels; upright it is {w} x {h}.{advice}"
        )


class PictureFolder:
    """Pictures by the names that annotations give them, each looked at once.

    Args:
        dpath: the folder. Links within it are followed: whoever put them there meant them.
        orientation: in which pixels of turned pictures the annotations are; None: upright, with a note.

    Raises:
        InputError: there is no such folder.
        OptionError: no such orientation.
    """

    def __init__(self, dpath: str | os.PathLike[str], orientation: Orientation | None = None) -> None:
        self.dpath, self.turns = Path(dpath), Turns(orientation)
        if not self.dpath.is_dir():
            raise InputError(f"there is no folder of pictures {self.dpath}{near_names(self.dpath)}")
        self._root = os.path.normpath(self.dpath.absolute())
        self._seen: dict[str, FoundPicture | InputError] = {}

    def find(self, name: str, where: str) -> FoundPicture:
        """The file of this name, its size, and how places in it are turned.

        Args:
            name: relative to the folder, with / or \\ between its parts; absolute if it lies within the folder.
            where: of the annotation, for messages.

        Raises:
            InputError: outside of the folder, missing, or not a picture whose header can be read.
        """
        match = self._seen.get(name)
        if match is None:
            try:
                match = self._find(name)
            except InputError as error:
                match = error
            self._seen[name] = match
        if isinstance(match, InputError):
            raise InputError(f"{where}: {match}") from match
        return match

    def _find(self, name: str) -> FoundPicture:
        # by the names alone, not by what they resolve to: a folder of links is a usual way to keep a data set
        full = os.path.normpath(Path(self._root) / name.replace("\\", "/"))
        if os.path.commonpath([full, self._root]) != self._root or full == self._root:
            raise InputError(
                f"the picture {name!r} lies outside of the folder {self.dpath}; give names relative to this folder"
            )
        fpath = self.dpath / os.path.relpath(full, self._root)
        try:
            missing = not fpath.exists()
        except (OSError, ValueError) as error:
            raise InputError(f"the picture {name!r} cannot be opened ({error})") from error
        if missing:
            raise InputError(f"there is no picture {fpath}{near_names(fpath)}")
        own = read_picture_turn(fpath)
        return FoundPicture(fpath, own, self.turns.of(name, own), self.turns.orientation is not None)


def folder_beside(fpath: Path, images: Sequence[Any], remarks: Remarks) -> Path:
    """The folder that a file of annotations names its pictures relative to, where nobody says it.

    Data sets lie in a few ways: pictures beside the file, in a folder ``images`` there, or the same one or two folders
    up, with the file in ``annotations``.

    Args:
        fpath: the file.
        images: its entries of pictures, each with a ``file_name``.
        remarks: is told of another folder than the file's own.
    """
    names = [one["file_name"] for one in images if isinstance(one, dict) and isinstance(one.get("file_name"), str)]
    above = [fpath.parent, fpath.parent / "..", fpath.parent / ".." / ".."]
    for folder in (place for one in above for place in (one, one / "images")):
        try:
            there = bool(names) and (folder / names[0].replace("\\", "/")).is_file()
        except (OSError, ValueError):
            there = False
        if there:
            if folder != fpath.parent:
                remarks.add(str(fpath), f"its pictures are taken from {os.path.normpath(folder)} (images says another)")
            return folder
    return fpath.parent


def states_in(size: Size, points: Float[Tensor, "n 2"], state: Int[Tensor, " n"]) -> Int[Tensor, " n"]:
    """States in which every known point outside of the picture is OUT_OF_FRAME.

    Args:
        size: (h, w) of the picture.
        points: (x, y) edge-origin pixels; the edges 0 and w, h are inside.
        state: as annotated.

    Example:
        >>> states_in((4, 6), torch.tensor([[6.0, 4.0], [6.5, 4.0]]), torch.tensor([1, 2])).tolist()
        [1, 3]
    """
    h, w = size
    outside = ~((points >= 0) & (points <= points.new_tensor([w, h]))).all(-1)
    known = (state == int(State.LABELLED)) | (state == int(State.OCCLUDED))
    return torch.where(known & outside, int(State.OUT_OF_FRAME), state)
