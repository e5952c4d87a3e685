"""The folder that annotations name pictures in: which file is meant, how large it is, and which points lie outside.

Only headers are read. The names come from a file that somebody else may have written, so none may lead out of the
folder.
"""

from __future__ import annotations

import os
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor

from isotherm.data.names import near_names
from isotherm.data.pictures import read_picture_size
from isotherm.errors import InputError
from isotherm.frame import Size
from isotherm.points import State


class PictureFolder:
    """Pictures by the names that annotations give them, each looked at once.

    Args:
        dpath: the folder. Links within it are followed: whoever put them there meant them.

    Raises:
        InputError: there is no such folder.
    """

    def __init__(self, dpath: str | os.PathLike[str]) -> None:
        self.dpath = Path(dpath)
        if not self.dpath.is_dir():
            raise InputError(f"there is no folder of pictures {self.dpath}{near_names(self.dpath)}")
        self._root = os.path.normpath(self.dpath.absolute())
        self._seen: dict[str, tuple[Path, Size] | InputError] = {}

    def find(self, name: str, where: str) -> tuple[Path, Size]:
        """The file of this name and the size (h, w) of its upright picture.

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

    def _find(self, name: str) -> tuple[Path, Size]:
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
        return fpath, read_picture_size(fpath)


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
