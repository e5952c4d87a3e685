"""Files and run folders of the studio, each under a random id; a path is never made of what a request says."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, cast

from isotherm.errors import InputError
from isotherm.studio.unkept import LOST, Unkept


class NotThere(InputError):
    """A run or a picture that the history does not have."""


_ID = re.compile(r"[0-9a-f]{32}")


def new_id() -> str:
    """128 random bits, in hexadecimal."""
    return secrets.token_hex(16)


def checked_id(text: str) -> str:
    """The text, if it is an id.

    Raises:
        NotThere: it is none, so that it never becomes part of a path.

    Example:
        >>> checked_id("../../etc/passwd")
        Traceback (most recent call last):
        isotherm.studio.store.blobs.NotThere: '../../etc/passwd' is no id; expected 32 letters of 0-9 and a-f
    """
    if not _ID.fullmatch(text):
        raise NotThere(f"{text[:60]!r} is no id; expected 32 letters of 0-9 and a-f")
    return text


class Blobs:
    """A folder of files or folders named by ids. What is written appears under its id whole, or not at all.

    Args:
        dpath: made if it is not there.
    """

    def __init__(self, dpath: Path) -> None:
        self.dpath = dpath
        dpath.mkdir(parents=True, exist_ok=True)

    def path(self, blob_id: str) -> Path:
        """Where a blob lies, or would lie."""
        return self.dpath / checked_id(blob_id)

    def write(self, parts: Iterable[bytes]) -> tuple[str, int]:
        """A new file from its parts, on the disk when this returns; its id and its size."""
        blob_id, size = new_id(), 0
        with self._there():
            fd, temporary = tempfile.mkstemp(dir=self.dpath, prefix=".new.")
        try:
            with os.fdopen(fd, "wb") as file:
                for part in parts:
                    file.write(part)
                    size += len(part)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, self.path(blob_id))
            sync_folder(self.dpath)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(temporary)
            raise
        return blob_id, size

    def incoming(self) -> IO[bytes]:
        """A file for what is on its way and may never become a blob; it goes when it is closed."""
        with self._there():
            return cast("IO[bytes]", tempfile.NamedTemporaryFile(dir=self.dpath, prefix=".new."))

    @contextmanager
    def _there(self) -> Iterator[None]:
        """Raise Unkept where it is the folder that is missing."""
        try:
            yield
        except FileNotFoundError as error:
            raise Unkept(LOST) from error

    def keep(self, folder: Path, blob_id: str) -> int:
        """Move a finished folder to its id, after all of it has reached the disk; returns its size in bytes."""
        size = 0
        for here, _, names in os.walk(folder):
            for name in names:
                size += _sync_file(Path(here) / name)
            sync_folder(Path(here))
        os.replace(folder, self.path(blob_id))
        sync_folder(self.dpath)
        return size

    def replace(self, blob_id: str, other_id: str) -> None:
        """Put a file in the place of another one, which may be missing; the other's id is then none any more.

        Args:
            blob_id: whose place it is.
            other_id: of the file that comes there.
        """
        os.replace(self.path(other_id), self.path(blob_id))
        sync_folder(self.dpath)

    def remove(self, blob_id: str) -> None:
        """Remove a blob, if it is there."""
        path = self.path(blob_id)
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)

    def ids(self) -> Iterator[str]:
        """The ids of all blobs that are there."""
        yield from (entry.name for entry in os.scandir(self.dpath) if _ID.fullmatch(entry.name))

    def sweep(self, known: set[str], *, older_than_s: float = 0.0) -> list[str]:
        """Remove what no row names and what was never finished; the names of what is gone.

        Args:
            known: ids that rows name.
            older_than_s: what was changed within so many seconds stays: another process may be about to name it.
        """
        gone = []
        for entry in list(os.scandir(self.dpath)):
            young = time.time() - entry.stat(follow_symlinks=False).st_mtime < older_than_s
            if entry.name in known or young:
                continue
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path)
            else:
                os.unlink(entry.path)
            gone.append(entry.name)
        return gone


def sync_folder(dpath: Path) -> None:
    """Let the names in a folder reach the disk."""
    fd = os.open(dpath, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _sync_file(fpath: Path) -> int:
    with fpath.open("rb") as file:
        os.fsync(file.fileno())
        return os.fstat(file.fileno()).st_size
