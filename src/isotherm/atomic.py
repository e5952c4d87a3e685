"""Files that appear under their name only when they are whole.

Until then they have a hidden name in the same folder, and their writer holds a lock on them. A writer that was killed
leaves such a file behind, without its lock: the next process that writes into the folder sweeps it up.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from isotherm.errors import InputError

try:
    import fcntl
except ImportError:  # a system that knows no such locks; there nothing is swept
    fcntl = None  # type: ignore[assignment]

PREFIX, SUFFIX = ".isotherm-", ".part"
"""Of the hidden names; they are short, so that a file may have the longest name that a system allows."""
_swept: set[tuple[int, int, int]] = set()
"""(process, device, number) of the folders that were swept."""


@contextmanager
def atomic_write(fpath: str | os.PathLike[str], *, replace: bool = True, durable: bool = True) -> Iterator[IO[bytes]]:
    """A binary file to write to, renamed to ``fpath`` at the end; on any error nothing is left behind.

    Args:
        fpath: its name.
        replace: take the place of a file that is there; otherwise of two who write at once, one has it.
        durable: all of its bytes have reached the disk before it has its name; otherwise only a power cut can hurt it,
            and nobody waits for the disk.

    Raises:
        InputError: there is no such folder.
        FileExistsError: a file is there, and ``replace`` is off.

    Example:
        >>> with atomic_write(tmp_path / "a.bin") as file:
        ...     _ = file.write(b"all or nothing")
    """
    fpath = Path(fpath)
    if not fpath.parent.is_dir():
        raise InputError(
            f"there is no folder {fpath.parent}; create it first, or start again where it was moved or removed meanwhile"
        )
    _sweep_once(fpath.parent)
    fd, temporary = _locked(fpath.parent)
    lock = os.dup(fd)  # which is held until the file has its name
    try:
        with os.fdopen(fd, "wb") as file:
            yield file
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        if replace:
            os.replace(temporary, fpath)
        else:
            _claim(temporary, fpath)
    except BaseException as error:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        # a full disk does not say whose bytes it did not take; an error in words of its own would lose them
        if isinstance(error, OSError) and error.errno is not None and error.filename is None:
            error.filename = str(fpath)
        raise
    finally:
        os.close(lock)


def _claim(temporary: str, fpath: Path) -> None:
    """Give the file its name where no other has it; raises FileExistsError."""
    try:
        os.link(temporary, fpath)  # whole from the first moment on
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        os.close(os.open(fpath, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        os.replace(temporary, fpath)
    else:
        os.unlink(temporary)


def sweep(dpath: str | os.PathLike[str]) -> list[str]:
    """Remove from a folder what writers left that were killed; the names of the files that were removed."""
    gone: list[str] = []
    if fcntl is None:
        return gone
    with contextlib.suppress(OSError), os.scandir(dpath) as entries:
        for entry in entries:
            if entry.name.startswith(PREFIX) and entry.name.endswith(SUFFIX) and entry.is_file(follow_symlinks=False):
                # whoever is at work holds the lock, and a folder that may not be written to is left as it is
                with contextlib.suppress(OSError):
                    fd = os.open(entry.path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
                    try:
                        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        os.unlink(entry.path)
                        gone.append(entry.name)
                    finally:
                        os.close(fd)
    return gone


def _sweep_once(dpath: Path) -> None:
    with contextlib.suppress(OSError):
        status = dpath.stat()
        folder = (os.getpid(), status.st_dev, status.st_ino)
        if folder not in _swept:
            _swept.add(folder)
            sweep(dpath)


def _locked(dpath: Path) -> tuple[int, str]:
    """A new hidden file, open and locked."""
    while True:
        fd, temporary = tempfile.mkstemp(dir=dpath, prefix=PREFIX, suffix=SUFFIX)
        if fcntl is None:
            return fd, temporary
        with contextlib.suppress(OSError):  # a file system without locks, or swept up this very moment
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(fd).st_nlink:  # it was not, before it was locked
            return fd, temporary
        os.close(fd)
