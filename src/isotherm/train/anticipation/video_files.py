"""Where the file of each video lies: in a folder, or where a path with names in it says."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from isotherm.errors import OptionError

VIDEO_ENDINGS = (".mp4", ".MP4", ".mkv", ".avi", ".mov", ".MOV", ".webm", ".m4v")
GAZE_ENDINGS = (".parquet", ".zarr", ".npz", ".npy", "")
"""Of stores of gaze; a folder of maps bears the video's name alone."""
NAMES = ("video", "participant")
_NAME = re.compile(r"\{([^{}]*)\}")


def participant_of(video: str) -> str:
    """Who filmed a video, by its name: what stands before the first underscore or hyphen.

    Args:
        video: its name.

    Example:
        >>> participant_of("P01_101"), participant_of("OP02-R03-BaconAndEggs")
        ('P01', 'OP02')
    """
    return re.split(r"[_-]", video, maxsplit=1)[0]


class NamedFiles:
    """Files by the names of their videos.

    Args:
        where: a folder, or a path with ``{video}`` (and ``{participant}``) in it.
        endings: of files in a folder, in the order in which they are tried.
        root: where a relative path starts.

    Raises:
        OptionError: another name in braces, or braces without ``{video}``.

    Example:
        >>> (tmp_path / "P01" / "videos").mkdir(parents=True)
        >>> (tmp_path / "P01" / "videos" / "P01_02.MP4").touch()
        >>> NamedFiles(str(tmp_path), VIDEO_ENDINGS).path("P01_02").name
        'P01_02.MP4'
    """

    def __init__(self, where: str, endings: Sequence[str], *, root: Path = Path()) -> None:
        names = _NAME.findall(where)
        if (names or "{" in where) and (set(names) - set(NAMES) or "video" not in names):
            raise OptionError(
                f"the path is {where!r}; expected a folder, or a path with {{video}} (and {{participant}})"
            )
        self.where, self._endings, self._root, self._named = where, tuple(endings), root, bool(names)

    def expected(self, video: str) -> tuple[Path, ...]:
        """Where the file of a video may lie, in the order in which it is looked for.

        Args:
            video: its name.
        """
        participant = participant_of(video)
        if self._named:
            return (self._root / self.where.replace("{video}", video).replace("{participant}", participant),)
        folder = self._root / self.where
        places = (folder, folder / participant / "videos", folder / participant)
        return tuple(place / f"{video}{ending}" for place in places for ending in self._endings)

    def path(self, video: str) -> Path | None:
        """The file of a video; None where there is none.

        Args:
            video: its name.
        """
        return next((path for path in self.expected(video) if path.exists()), None)

    def others(self, video: str) -> tuple[Path, ...]:
        """Further files of a video, beside the one of :meth:`path`.

        Args:
            video: its name.
        """
        there = [path for path in self.expected(video) if path.exists()]
        return tuple(path for path in there[1:] if not path.samefile(there[0]))

    def sought(self, video: str) -> str:
        """Where a video's file was looked for, in words.

        Args:
            video: its name.
        """
        first, *others = self.expected(video)
        return f"{first} (and {len(others)} other names and folders)" if others else str(first)
