"""The folder where every finished map is also a picture by the time it was made, as users of the old app know it."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable
from datetime import datetime
from itertools import count
from pathlib import Path

from isotherm.errors import OptionError
from isotherm.studio.store.blobs import NotThere

NAME = re.compile(r"(heatmap_\d{8}_\d{6}(?:_\d{1,6})?)(?:\.jpg)?")


class HeatmapFolder:
    """A folder of files ``heatmap_YYYYMMDD_HHMMSS.jpg``; those of the same second end in ``_2``, ``_3`` and so on.

    Args:
        dpath: made with the first file.
        now: the clock.
    """

    def __init__(self, dpath: Path, *, now: Callable[[], datetime] = datetime.now) -> None:
        self.dpath, self._now = dpath, now

    def keep(self, fpath: Path) -> str:
        """A copy of a picture under the next free name, whole or not at all, and never over another; its name.

        Args:
            fpath: the picture, a JPEG.
        """
        self.dpath.mkdir(parents=True, exist_ok=True)
        stem = f"heatmap_{self._now():%Y%m%d_%H%M%S}"
        fd, temporary = tempfile.mkstemp(dir=self.dpath, prefix=".new.")
        try:
            with os.fdopen(fd, "wb") as file, fpath.open("rb") as source:
                shutil.copyfileobj(source, file)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(temporary, 0o644)
            for number in count(1):
                name = f"{stem}.jpg" if number == 1 else f"{stem}_{number}.jpg"
                try:
                    os.link(temporary, self.dpath / name)  # fails where another one was faster
                except FileExistsError:
                    continue
                return name
            raise AssertionError
        finally:
            os.unlink(temporary)

    def path(self, text: str) -> Path:
        """The file of a name, or of an id, which is the name without its suffix.

        Raises:
            OptionError: it is no such name, so that it never becomes part of a path.
            NotThere: there is no such file.

        Example:
            >>> HeatmapFolder(Path("heatmaps")).path("../a.jpg")
            Traceback (most recent call last):
            isotherm.errors.OptionError: ...
        """
        match = NAME.fullmatch(text)
        if match is None:
            raise OptionError(f"{text[:80]!r} is no heatmap's name; expected one such as heatmap_20261129_120000.jpg")
        fpath = self.dpath / f"{match[1]}.jpg"
        if not fpath.is_file():
            raise NotThere(f"there is no heatmap {match[1]}; it may have been removed")
        return fpath
