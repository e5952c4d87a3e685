"""Arrays of NumPy that others wrote: their headers are checked before memory is asked for, and nothing is unpickled."""

from __future__ import annotations

import math
import os
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from isotherm import limits
from isotherm.errors import InputError
from isotherm.untrusted.plain import reading


def array_header(file: BinaryIO | Any, where: object, *, most: int) -> tuple[tuple[int, ...], bool, np.dtype]:
    """(shape, Fortran order, kind) of an array's file, checked before anything of that size is asked for.

    Args:
        file: open at its start; behind the header afterwards.
        where: its name, for messages.
        most: values.

    Raises:
        InputError: more values, dimensions or bytes each than are read, Python objects, or no such header.
    """
    with reading(where):
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, kind = read(file)
        check_array(shape, kind, where, most=most)
        return tuple(int(side) for side in shape), bool(fortran), kind


def check_array(shape: tuple[int, ...] | list[int], kind: np.dtype, where: object, *, most: int) -> None:
    """Refuse an array that is not one of numbers, or larger than a limit.

    Args:
        shape: as a file says it, which may be anything.
        kind: of its values.
        where: its name, for messages.
        most: values.

    Raises:
        InputError: it is refused.

    Example:
        >>> check_array((2, 1 << 40), np.dtype("f4"), "a.npy", most=1 << 28)
        Traceback (most recent call last):
        isotherm.errors.InputError: a.npy claims 2199023255552 values; at most 268435456 are read from a file
    """
    if len(shape) > limits.DIMENSIONS or not all(type(side) is int and 0 <= side < 1 << 63 for side in shape):
        raise InputError(f"{where} claims the shape {str(shape)[:80]}; expected at most {limits.DIMENSIONS} sizes")
    if kind.hasobject:
        raise InputError(f"{where} holds Python objects, which are never run here; save the numbers alone")
    if kind.kind not in "biufc" or not 0 < kind.itemsize <= limits.ITEM_BYTES:
        raise InputError(f"{where} is of the kind {str(kind)[:80]}; expected numbers: nothing else is read")
    # a side of 0 hides what the others ask for
    if (count := math.prod(max(side, 1) for side in shape)) > most:
        raise InputError(f"{where} claims {count} values; at most {most} are read from a file")


def read_npy(file: BinaryIO | Any, where: object, *, most: int = limits.MAP_VALUES, bytes_there: int) -> np.ndarray:
    """An array as NumPy saves one, of numbers only.

    Args:
        file: open at its start.
        where: its name, for messages.
        most: values.
        bytes_there: of the file, or of what it unpacks to.

    Raises:
        InputError: damaged, cut short, or beyond a limit.
    """
    shape, fortran, kind = array_header(file, where, most=most)
    count = math.prod(shape)
    if count * kind.itemsize > bytes_there:  # before the memory for it is asked for
        raise InputError(
            f"{where} claims {count * kind.itemsize} bytes of numbers and has {bytes_there}; it is cut short"
        )
    with reading(where):
        data = file.read(count * kind.itemsize)
        if len(data) != count * kind.itemsize:
            raise EOFError(f"{count * kind.itemsize - len(data)} bytes are missing")
        values = np.frombuffer(bytearray(data), kind)
        return values.reshape(shape[::-1]).T if fortran else values.reshape(shape)


def read_array(fpath: str | os.PathLike[str], *, most: int = limits.MAP_VALUES) -> np.ndarray:
    """The array in a .npy file.

    Args:
        fpath: of the file.
        most: values.

    Raises:
        InputError: missing, damaged, cut short, or beyond a limit.
    """
    with reading(fpath), Path(fpath).open("rb") as file:
        return read_npy(file, fpath, most=most, bytes_there=os.fstat(file.fileno()).st_size)


def read_npz(fpath: str | os.PathLike[str], *, most: int = limits.MAP_VALUES) -> dict[str, np.ndarray]:
    """The arrays in an .npz file, by name.

    Args:
        fpath: of the file.
        most: values of each.

    Raises:
        InputError: missing, damaged, encrypted, or beyond a limit.
    """
    with reading(fpath), zipfile.ZipFile(fpath) as archive:
        check_archive(archive, fpath)
        arrays = {}
        for member in archive.infolist():
            with archive.open(member) as file:
                array = read_npy(file, f"{fpath}: {member.filename[:80]}", most=most, bytes_there=member.file_size)
                if file.read(1):
                    raise ValueError(f"{member.filename[:80]} is longer than it says")
            arrays[member.filename.removesuffix(".npy")] = array
        return arrays


def check_archive(archive: zipfile.ZipFile, where: object) -> None:
    """Refuse a zip archive with too many members, or one that would unpack to far more than it is.

    Args:
        archive: opened.
        where: its name, for messages.

    Raises:
        InputError: it is refused.
    """
    members = archive.infolist()
    if len(members) > limits.TENSORS:
        raise InputError(f"{where} has {len(members)} members; at most {limits.TENSORS} are read")
    packed, unpacked = sum(m.compress_size for m in members), sum(m.file_size for m in members)
    if unpacked > max(limits.UNPACKED_BYTES, limits.UNPACKED_TIMES * packed):
        raise InputError(
            f"{where} would unpack {packed} bytes to {unpacked}; at most {limits.UNPACKED_TIMES} times as much is read"
        )
