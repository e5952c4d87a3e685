"""Files that appear under their name only when all of their bytes have reached the disk."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from isotherm.errors import InputError


@contextmanager
def atomic_write(fpath: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """A binary file to write to, renamed to ``fpath`` at the end; on any error nothing is left behind.

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
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, fpath)
    except BaseException:
        os.unlink(temporary)
        raise
