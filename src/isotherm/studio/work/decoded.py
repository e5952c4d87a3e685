"""The pixels of the pictures that were asked about last: people ask several things of one picture, one by one."""

from __future__ import annotations

import hashlib
import os
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path

from isotherm.data.pictures import Picture, check_regular_file, read_picture

MOST_BYTES = 192 << 20
"""Of pixels that are kept: one picture of the largest size that is read, or a hundred photographs of a web page."""


class DecodedPictures:
    """Reads pictures as :func:`isotherm.data.pictures.read_picture` does, each once while its pixels are kept.

    A picture is known by its bytes, so that another one under the same name is another one, and by the suffix of its
    name, which remarks on it may be about. Those that were not asked for longest are forgotten first.

    Args:
        most_bytes: of all pixels together; a picture with more, or in a larger file, is read anew each time.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self.most_bytes = most_bytes
        self._there: OrderedDict[tuple[bytes, str], Picture] = OrderedDict()

    def read(self, source: str | os.PathLike[str], *, name: str | None = None) -> Picture:
        """The picture of a file; its pixels are the caller's own, who may write into them.

        Args:
            source: the file's path.
            name: what to call it; the path by default.

        Raises:
            InputError: as :func:`isotherm.data.pictures.read_picture`.
        """
        fpath, name = Path(source), name or str(source)
        check_regular_file(fpath, "picture")
        try:
            data = fpath.read_bytes() if fpath.stat().st_size <= self.most_bytes else None
        except OSError:
            data = None  # what is wrong is said where it is read
        if data is None:
            return read_picture(fpath, name=name)
        key = (hashlib.sha256(data).digest(), Path(name).suffix.lower())
        if (there := self._there.get(key)) is not None:
            self._there.move_to_end(key)
            return replace(there, name=name, array=there.array.copy())
        picture = read_picture(data, name=name)
        if picture.array.nbytes <= self.most_bytes:
            self._there[key] = replace(picture, array=picture.array.copy())
            while self.size_bytes > self.most_bytes:
                self._there.popitem(last=False)
        return picture

    @property
    def size_bytes(self) -> int:
        """Of all pixels that are kept."""
        return sum(picture.array.nbytes for picture in self._there.values())

    def __len__(self) -> int:
        return len(self._there)
