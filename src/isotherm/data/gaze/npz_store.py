"""Maps in npz and npy files as other programs wrote them: read as they are, and only as far as a clip needs."""

from __future__ import annotations

import math
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float32, Float64, Int64, UInt8

from isotherm import limits
from isotherm.data.gaze.beside import beside_in_archive, beside_or, known_scale, known_size
from isotherm.data.gaze.scale import to_peak
from isotherm.data.gaze.store import MapOptions, MapStore, Scale, map_frame
from isotherm.data.names import near_names
from isotherm.data.pictures import BinaryFile
from isotherm.errors import InputError
from isotherm.untrusted.arrays import array_header, check_archive, read_npy
from isotherm.untrusted.plain import reading

KINDS = ("uint8", "float16", "float32", "float64")
TIMES = ("time_s", "times_s", "timestamps_s")
"""Names of an array of seconds beside the maps."""
JUDGED = 32
"""Maps from the beginning by which the scale of all is judged."""


class NpzStore(MapStore):
    """Maps [T, H, W] of an npz or npy file.

    Raw files are mapped into memory. Of a compressed one the beginning is read once when it is opened, and every clip
    reads it from its start to the clip's last map, since a compressed stream cannot be sought; convert it.

    Args:
        path: of the file.
        options: what it does not say itself.

    Raises:
        InputError: missing, broken, no array of maps or several, of a kind or scale that says nothing, or nothing says
            when they were.
    """

    def __init__(self, path: Path, options: MapOptions) -> None:
        self.path = path
        if not path.is_file():
            raise InputError(f"there is no file of gaze maps {path}{near_names(path)}")
        with _broken(path):
            self._open(options)

    def _open(self, options: MapOptions) -> None:
        notes: list[str] = []
        times, self.beside = None, None
        if self.path.suffix == ".npy":
            with self.path.open("rb") as raw:
                shape, fortran, kind = array_header(raw, self.path, most=limits.TENSOR_VALUES)
                start = raw.tell()
            self.key, self._mapped = "", self._map(start, shape, kind, "F" if fortran else "C")
        else:
            with zipfile.ZipFile(self.path) as archive:
                check_archive(archive, self.path)
                self.key = self._chosen(archive, options.key)
                notes.append(f"the maps are the array {self.key!r}")
                shape, kind, self._mapped = self._array(archive)
                self.beside = beside_in_archive(self.path, archive, shape[0])
                stored = next((name for name in TIMES if f"{name}.npy" in archive.namelist()), None)
                if stored is not None:
                    with archive.open(f"{stored}.npy") as file:
                        there = archive.getinfo(f"{stored}.npy").file_size
                        times = read_npy(file, f"{self.path}: {stored}.npy", bytes_there=there).astype(np.float64)
                    notes.append(f"times are the file's own, {stored!r}")
        if kind.name not in KINDS:
            raise InputError(f"{self.path}: the maps are of the kind {kind}; expected one of {', '.join(KINDS)}")
        self.kind = kind
        self.shape = self._three(shape)
        if self.shape[0] < 1:
            raise InputError(f"{self.path} holds no maps (its form is {list(shape)}); expected one for each frame")
        notes.append(f"{self.shape[0]} maps of {self.shape[2]} x {self.shape[1]} cells, {kind}")
        self.first = 0 if options.first is None else options.first
        self.frame, more = map_frame(self.shape[1:], known_size(self.path, options, self.beside))
        h, w = (int(n) for n in self.frame.source_size)
        self.size, self.scale = (h, w), options.scale
        frames = np.arange(self.shape[0] - self.first)
        if times is None:
            self.time_s, note = options.times_of(frames, self.path)
            base = "as was asked" if options.first is not None else "as nothing was said"
            notes += [note, f"map {self.first} is the video's first frame, {base}"]
        elif times.shape != (self.shape[0],):
            raise InputError(
                f"{self.path} has {self.shape[0]} maps and {len(times) if times.ndim == 1 else list(times.shape)} times; expected as many of each"
            )
        else:
            self.time_s = times[self.first :]
        if len(self.time_s) > 1 and not (np.diff(self.time_s) > 0).all():
            raise InputError(f"{self.path}: the times of its maps do not grow")
        self.frame_number = np.arange(len(self.time_s))
        self.window_s = float(np.median(np.diff(self.time_s))) / 2 if len(self.time_s) > 1 else 0.02
        probe = self._values(np.arange(min(JUDGED, self.shape[0])))
        self.scale, judged = known_scale(probe, self.kind, options, self.beside, self.path)
        self.notes = (*notes, *more, *judged)

    def maps_at(self, index: Int64[np.ndarray, " k"]) -> Float32[np.ndarray, "k h w"]:
        """Maps at the scale of peak 1."""
        with _broken(self.path):
            scale: Scale = self.scale or "peak"
            return to_peak(self._values(index + self.first), scale, self.path)

    def blocks(self, start: int, length: int) -> Iterator[Float32[np.ndarray, "k h w"]]:
        """All maps from one on, in blocks; an npz file is read once, to its end, where its check sum is compared.

        Args:
            start: the number of the first.
            length: of a block; the last may be shorter.
        """
        if self.path.suffix == ".npy":
            yield from super().blocks(start, length)
            return
        scale: Scale = self.scale or "peak"
        each = int(np.prod(self.shape[1:])) * self.kind.itemsize
        with _broken(self.path), zipfile.ZipFile(self.path) as archive, archive.open(f"{self.key}.npy") as file:
            _header(file, self.path)
            _skip(file, (start + self.first) * each)
            for first in range(start, len(self.time_s), length):
                count = min(length, len(self.time_s) - first)
                values = np.frombuffer(_whole(file, count * each), self.kind).reshape(count, *self.shape[1:])
                yield to_peak(values, scale, self.path)

    def known_at(
        self, index: Int64[np.ndarray, " k"], maps: Float32[np.ndarray, "k h w"]
    ) -> tuple[UInt8[np.ndarray, " k"], Float64[np.ndarray, "k 2"], Float32[np.ndarray, " k"]]:
        """State, place and confidence: as they lie beside the maps, or by the maps."""
        return beside_or(self.beside, index + self.first) or super().known_at(index, maps)

    def _values(self, index: np.ndarray) -> np.ndarray:
        if self._mapped is not None:
            return np.asarray(self._mapped[index]).reshape(len(index), *self.shape[1:])
        out = np.empty((len(index), *self.shape[1:]), self.kind)
        bytes_each = out[:1].nbytes if len(index) else 0
        at = 0
        with zipfile.ZipFile(self.path) as archive, archive.open(f"{self.key}.npy") as file:
            _header(file, self.path)
            for row, i in enumerate(index):
                _skip(file, (int(i) - at) * bytes_each)
                out[row] = np.frombuffer(_whole(file, bytes_each), self.kind).reshape(self.shape[1:])
                at = int(i) + 1
        return out

    def _chosen(self, archive: zipfile.ZipFile, key: str | None) -> str:
        names = [name[: -len(".npy")] for name in archive.namelist() if name.endswith(".npy")]
        if key is not None:
            if key not in names:
                raise InputError(f"{self.path} has no array {key!r}; there are {', '.join(names) or 'none'}")
            return key
        maps = [name for name in names if _ndim(archive, name, self.path) in (3, 4)]
        if len(maps) != 1:
            there = ", ".join(names) or "none"
            which = "none of them has" if not maps else f"{', '.join(maps)} have"
            raise InputError(
                f"{self.path} has the arrays {there}, and {which} the form [T, H, W]; name the one of the maps (key, --key)"
            )
        return maps[0]

    def _array(self, archive: zipfile.ZipFile) -> tuple[tuple[int, ...], np.dtype, Any]:
        member = archive.getinfo(f"{self.key}.npy")
        with archive.open(member) as file:
            shape, fortran, kind = _header(file, self.path)
            start = file.tell()
        if fortran:
            raise InputError(f"{self.path}: the maps lie in Fortran order; write them with np.ascontiguousarray")
        if member.compress_type != zipfile.ZIP_STORED:
            return shape, kind, None
        with self.path.open("rb") as raw:  # the local header may be longer than the central one says
            raw.seek(member.header_offset + 26)
            name, extra = struct.unpack("<HH", raw.read(4))
        offset = member.header_offset + 30 + name + extra + start
        return shape, kind, self._map(offset, shape, kind, "C")

    def _map(self, offset: int, shape: tuple[int, ...], kind: np.dtype, order: Literal["C", "F"]) -> np.ndarray:
        """The maps on the disk, which hold as many bytes as they claim."""
        claimed, there = math.prod(shape) * kind.itemsize, self.path.stat().st_size - offset
        if claimed > there:
            raise EOFError(f"the maps claim {claimed} bytes, and there are {there}")
        return np.memmap(self.path, kind, "r", offset, shape, order) if all(shape) else np.zeros(shape, kind)

    def _three(self, shape: tuple[int, ...]) -> tuple[int, int, int]:
        """[T, H, W] of the forms that are read: also with a channel of one, before or behind."""
        three = (
            shape
            if len(shape) == 3
            else (shape[0], *shape[2:])
            if len(shape) == 4 and shape[1] == 1
            else shape[:3]
            if len(shape) == 4 and shape[3] == 1
            else ()
        )
        if len(three) != 3 or min(three[1:]) < 1:
            raise InputError(
                f"{self.path}: the maps have the form {list(shape)}; expected [T, H, W], [T, 1, H, W] or [T, H, W, 1]"
            )
        return three[0], three[1], three[2]


@contextmanager
def _broken(path: Path) -> Iterator[None]:
    with reading(path, advice="it is damaged or cut short"):
        yield


def _header(file: BinaryFile, path: Path) -> tuple[tuple[int, ...], bool, np.dtype]:
    return array_header(file, path, most=limits.TENSOR_VALUES)


def _ndim(archive: zipfile.ZipFile, name: str, path: Path) -> int:
    with archive.open(f"{name}.npy") as file:
        return len(_header(file, path)[0])


def _skip(file: BinaryFile, count: int) -> None:
    while count > 0:
        count -= len(_whole(file, min(count, 1 << 22)))


def _whole(file: BinaryFile, count: int) -> bytes:
    data = file.read(count)
    if len(data) != count:
        raise EOFError(f"{count - len(data)} bytes are missing")
    return data
