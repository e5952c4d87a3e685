"""Files that appear under their name only when they are whole."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from isotherm.errors import InputError


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
        raise InputError(f"there is no folder {fpath.parent}; create it first")
    fd, temporary = tempfile.mkstemp(dir=fpath.parent, prefix=f".{fpath.name}.")
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
        os.unlink(temporary)
        # a full disk does not say whose bytes it did not take; an error in words of its own would lose them
        if isinstance(error, OSError) and error.errno is not None and error.filename is None:
            error.filename = str(fpath)
        raise


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
