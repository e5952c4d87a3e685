"""What a store says of its own parts, so that a lost, shortened or changed one is seen when it is opened."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from isotherm.errors import InputError
from isotherm.ops.hashing import sha256_of

KEY = "digest"


def sealed(header: Mapping[str, Any], *parts: bytes) -> dict[str, Any]:
    """A header with a hash of itself and of what it speaks of.

    Args:
        header: of JSON's types.
        parts: bytes that belong to it.

    Example:
        >>> header = sealed({"size": [48, 96]}, b"places")
        >>> check_seal(header, b"places")
        >>> check_seal({**header, "size": [480, 96]}, b"places")
        Traceback (most recent call last):
        isotherm.errors.InputError: what it says of itself was changed
    """
    return {**header, KEY: _digest(header, parts)}


def check_seal(header: Mapping[str, Any], *parts: bytes) -> None:
    """Raise InputError where a header or what it speaks of was changed; one without a hash is of an earlier version.

    Args:
        header: of :func:`sealed`.
        parts: as of :func:`sealed`.
    """
    if KEY in header and header[KEY] != _digest({k: v for k, v in header.items() if k != KEY}, parts):
        raise InputError("what it says of itself was changed")


def listed(folder: Path, *, hashed: Callable[[str], bool]) -> dict[str, list[Any]]:
    """The files of a folder: their bytes, and their hashes where they are small enough to be read whole.

    Args:
        folder: of the store.
        hashed: whether the file of a relative path is to be hashed.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    names = [path.relative_to(folder).as_posix() for path in files]
    return {
        name: [path.stat().st_size, sha256_of(path) if hashed(name) else ""]
        for name, path in zip(names, files, strict=True)
    }


def check_listed(folder: Path, files: Mapping[str, Any]) -> None:
    """Raise InputError where a listed file is not there, has other bytes or another hash.

    Args:
        folder: of the store.
        files: of :func:`listed`.
    """
    for name, (size, digest) in files.items():
        path = folder / name
        if not path.is_file():
            raise InputError(f"{name} is not there")
        if path.stat().st_size != size:
            raise InputError(f"{name} has {path.stat().st_size} bytes, not {size}")
        if digest and sha256_of(path) != digest:
            raise InputError(f"{name} was changed")


def _digest(header: Mapping[str, Any], parts: tuple[bytes, ...]) -> str:
    whole = hashlib.sha256(json.dumps(dict(header), sort_keys=True, allow_nan=False).encode())
    for part in parts:
        whole.update(part)
    return whole.hexdigest()
