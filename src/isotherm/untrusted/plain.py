"""Reading what others wrote: bytes become plain data, within limits, and whatever is wrong becomes one error.

Files that were damaged, cut short or made to do harm raise nearly anything from the libraries that read them. Every
reader goes through this file, so that all of it comes out as an error of :mod:`isotherm.errors` that names the file.
"""

from __future__ import annotations

import csv
import json
import lzma
import os
import stat
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from isotherm import limits
from isotherm.errors import FrameError, InputError, IsothermError, KindError, ShapeError

DAMAGE = (
    *(ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RuntimeError, OSError, EOFError),
    *(SyntaxError, MemoryError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error),
    *(tokenize.TokenError, csv.Error),
)
"""What readers raise because of what a file holds; RecursionError and UnicodeError are among them."""
Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
Failure = Callable[[str], IsothermError]
"""Makes an error of the tree from a message: its class, or a function."""


@contextmanager
def reading(
    where: object, *, error: Failure = InputError, advice: str = "it is damaged, cut short or of another program"
) -> Iterator[None]:
    """Around the reading of a file: what its content makes the block raise becomes an error that names the file.

    Errors of the tree are left as they are; those about a shape, a frame or a kind get the file's name.

    Args:
        where: the file, and perhaps the line.
        error: makes the error.
        advice: what may be wrong, or what to do.

    Raises:
        IsothermError: of the kind that ``error`` makes.

    Example:
        >>> with reading("a.json", advice="write it again"):
        ...     {}["size"]
        Traceback (most recent call last):
        isotherm.errors.InputError: a.json cannot be read (KeyError: 'size'); write it again
    """
    try:
        yield
    except (FrameError, KindError, ShapeError) as known:
        if str(where) in str(known):
            raise
        raise error(f"{where}: {known}") from known
    except DAMAGE as damage:
        raise error(f"{where} cannot be read ({type(damage).__name__}: {first_line(damage)}); {advice}") from damage


def reads(
    *, error: Failure = InputError, advice: str = "it is damaged, cut short or of another program"
) -> Callable[[Callable[Arguments, Result]], Callable[Arguments, Result]]:
    """A decorator of a function whose first argument is the file that it reads: :func:`reading` around all of it.

    Args:
        error: makes the error.
        advice: what may be wrong, or what to do.

    Example:
        >>> @reads(advice="count again")
        ... def read_count(fpath):
        ...     return int("many")
        >>> read_count("count.txt")
        Traceback (most recent call last):
        isotherm.errors.InputError: count.txt cannot be read (ValueError: invalid literal ...; count again
    """

    def decorated(read: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
        @wraps(read)
        def named(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
            with reading(args[0] if args else next(iter(kwargs.values()), ""), error=error, advice=advice):
                return read(*args, **kwargs)

        return named

    return decorated


def first_line(error: BaseException) -> str:
    """The first line of an error's message, at most 200 letters of it."""
    return (str(error).strip().splitlines() or [""])[0][:200]


def content_of(fpath: str | os.PathLike[str], *, most: int = limits.PLAIN_BYTES, error: Failure = InputError) -> bytes:
    """What a regular file holds, where it is not longer than a limit.

    Args:
        fpath: of the file.
        most: bytes.
        error: makes the error.

    Raises:
        FileNotFoundError: there is no such file.
        IsothermError: it is no regular file, too long, or cannot be opened.
    """
    path = Path(fpath)
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # a pipe would keep us waiting
            raise error(f"{path} is no regular file; expected one that can be read")
        if status.st_size > most:
            raise error(f"{path} has {status.st_size} bytes; at most {most} are read of such a file")
        with path.open("rb") as file:
            content = file.read(most + 1)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as why:
        raise error(f"{path} cannot be read ({getattr(why, 'strerror', None) or why}); check its permissions") from why
    if len(content) > most:
        raise error(f"{path} grew beyond {most} bytes while it was read")
    return content


def json_of(text: str | bytes, where: object, *, error: Failure = InputError, advice: str = "") -> Any:
    """What a text of JSON says.

    Args:
        text: as UTF-8, where it is bytes.
        where: the file, and perhaps the line, for the message.
        error: makes the error.
        advice: what to do, behind the message.

    Raises:
        IsothermError: it is no UTF-8 or no JSON, has a number of thousands of digits, or lies too deep.

    Example:
        >>> json_of('{"a": [1, 2]}', "a.json")
        {'a': [1, 2]}
    """
    try:
        return json.loads(text.decode("utf-8-sig") if isinstance(text, bytes) else text)
    except (ValueError, TypeError, RecursionError) as damage:
        why = f"{type(damage).__name__}: {first_line(damage)}"
        raise error(
            f"{where} cannot be read as JSON ({why}); {advice or 'it is damaged or of another program'}"
        ) from damage


def read_json(
    fpath: str | os.PathLike[str], *, most: int = limits.PLAIN_BYTES, error: Failure = InputError, advice: str = ""
) -> Any:
    """What a JSON file says.

    Args:
        fpath: of the file.
        most: bytes that it may have.
        error: makes the error.
        advice: what to do, behind the message.

    Raises:
        FileNotFoundError: there is no such file.
        IsothermError: it is too long, no JSON, or cannot be opened.
    """
    return json_of(content_of(fpath, most=most, error=error), fpath, error=error, advice=advice)


def read_object(
    fpath: str | os.PathLike[str], *, most: int = limits.PLAIN_BYTES, error: Failure = InputError, advice: str = ""
) -> dict[str, Any]:
    """The same, of a file that holds a JSON object."""
    content = read_json(fpath, most=most, error=error, advice=advice)
    if not isinstance(content, dict):
        raise error(f"{fpath} holds a {type(content).__name__}; expected a JSON object{advice and f': {advice}'}")
    return content
