"""Gaze maps in Zarr 3: chunks of 16 maps, compressed by zstd, in shards of 512, with what is known of each."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Float32, Float64, Int64, UInt8

from isotherm.data.gaze.seal import check_listed, check_seal, listed, sealed
from isotherm.data.gaze.states import GazeState
from isotherm.data.gaze.store import MapStore
from isotherm.data.names import near_names
from isotherm.errors import InputError, MissingExtraError
from isotherm.frame import Frame, Size

FORMAT = "isotherm.gaze_maps/1"
CHUNK, SHARD = 16, 512
Number = Literal["uint8", "float16"]


class ZarrStore(MapStore):
    """Maps that :class:`ZarrWriter` wrote.

    Args:
        path: of the folder.

    Raises:
        InputError: missing, broken, not finished, or another kind of Zarr store.
        MissingExtraError: zarr is not installed.
    """

    def __init__(self, path: Path) -> None:
        zarr = _zarr()
        self.path = path
        if not path.is_dir():
            raise InputError(f"there is no store of gaze maps {path}{near_names(path)}")
        try:
            group = zarr.open_group(str(path), mode="r", zarr_format=3)
            header = dict(group.attrs)
        except Exception as error:  # zarr raises what its codecs and stores raise
            raise InputError(f"{path} cannot be read as Zarr 3 ({_first_line(error)}); convert it again") from error
        if header.get("format") != FORMAT:
            raise InputError(f"{path} is no store of gaze maps ({FORMAT}); make one with isotherm gaze convert")
        try:
            check_seal(header)
            check_listed(path, header.get("files", {}))
            self._maps = group["maps"]
            self.time_s = np.asarray(group["time_s"][:], np.float64)
            self._state = np.asarray(group["state"][:], np.uint8)
            self._xy = np.asarray(group["xy"][:], np.float64)
            self._confidence = np.asarray(group["confidence"][:], np.float32)
            self.frame_number = np.asarray(group["frame"][:], np.int64)
            h, w = (int(n) for n in header["size"])
            cells: Size = (int(self._maps.shape[1]), int(self._maps.shape[2]))
            self.frame = Frame.resize((h, w), cells)
            self.size, self.notes, self.video = (h, w), tuple(header.get("notes", ())), str(header.get("video", ""))
            self._check()
        except Exception as error:
            raise InputError(f"{path} is broken ({_first_line(error)}); convert it again") from error
        self.window_s = float(np.median(np.diff(self.time_s))) / 2 if len(self.time_s) > 1 else 0.02

    def _check(self) -> None:
        """Raise InputError where parts do not go together, as after a change by hand."""
        n = len(self.time_s)
        shapes = {
            "maps": (self._maps.shape[:1], (n,)),
            "state": (self._state.shape, (n,)),
            "xy": (self._xy.shape, (n, 2)),
            "confidence": (self._confidence.shape, (n,)),
            "frame": (self.frame_number.shape, (n,)),
        }
        for name, (shape, expected) in shapes.items():
            if tuple(shape) != expected:
                raise InputError(f"{name} has the form {list(shape)}; expected {list(expected)}, as of the times")
        if self._maps.dtype.name not in get_args(Number):
            raise InputError(f"maps are of the kind {self._maps.dtype}; expected {' or '.join(get_args(Number))}")
        if n > 1 and not (np.diff(self.time_s) > 0).all():
            raise InputError("the times of its maps do not grow")
        shards = self.path / "maps" / "c"
        lost = [i for i in range(-(-n // SHARD)) if not (shards / str(i) / "0" / "0").is_file()]
        for i in lost:  # Zarr reads zeros where a file is not there, and leaves out those of zeros alone
            if (self._state[i * SHARD : (i + 1) * SHARD] == GazeState.TRACKED).any():
                raise InputError(f"there is no file of maps {i * SHARD} to {min(n, (i + 1) * SHARD) - 1}")

    def maps_at(self, index: Int64[np.ndarray, " k"]) -> Float32[np.ndarray, "k h w"]:
        """Maps at the scale of peak 1; whole chunks are read, neighbouring ones at once."""
        out = np.empty((len(index), *self.frame.size), np.float32)
        breaks = np.flatnonzero(np.diff(index // CHUNK) > 1) + 1
        try:
            for rows in np.split(np.arange(len(index)), breaks):
                start, stop = int(index[rows[0]]), int(index[rows[-1]]) + 1
                out[rows] = self._maps[start:stop][index[rows] - start]
        except Exception as error:
            raise InputError(f"{self.path} is broken ({_first_line(error)}); convert it again") from error
        return out / np.float32(255) if self._maps.dtype == np.uint8 else out

    def known_at(
        self, index: Int64[np.ndarray, " k"], maps: Float32[np.ndarray, "k h w"]
    ) -> tuple[UInt8[np.ndarray, " k"], Float64[np.ndarray, "k 2"], Float32[np.ndarray, " k"]]:
        """State, place and confidence as they were stored beside the maps."""
        return self._state[index], self._xy[index], self._confidence[index]


class ZarrWriter:
    """Writes a store of maps a shard at a time; what is there already is kept.

    Args:
        path: of the folder, made where it is not there.
        time_s: (n,) of all maps.
        cells: (h, w) of the maps.
        number: bytes, which cost at most 1/510 of the peak, or half precision.
        header: what the store says of itself, such as size, video and notes.
        frame_number: (n,) of the video's frames; None: all of them, from 0.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        time_s: Float64[np.ndarray, " n"],
        cells: Size,
        *,
        number: Number = "uint8",
        header: Mapping[str, Any],
        frame_number: Int64[np.ndarray, " n"] | None = None,
    ) -> None:
        zarr = _zarr()
        from zarr.codecs import ZstdCodec

        n, self.number, self._path = len(time_s), number, Path(path)
        self._group = zarr.open_group(str(path), mode="a", zarr_format=3)
        if "confidence" not in self._group:
            shape = (n, *cells)
            chunks, shards = (CHUNK, *cells), (SHARD, *cells)
            self._group.create_array(
                "maps",
                shape=shape,
                chunks=chunks,
                shards=shards,
                dtype=number,
                compressors=ZstdCodec(level=3, checksum=True),
                overwrite=True,
            )
            for name, kind, more in (
                ("time_s", "float64", ()),
                ("state", "uint8", ()),
                ("xy", "float64", (2,)),
                ("frame", "int64", ()),
                ("confidence", "float32", ()),
            ):
                self._group.create_array(name, shape=(n, *more), chunks=(max(n, 1), *more), dtype=kind, overwrite=True)
            self._group["time_s"][:] = time_s
            self._group["frame"][:] = np.arange(n) if frame_number is None else frame_number
            self._group["state"][:] = np.full(n, GazeState.MISSING, np.uint8)
            self._group["xy"][:] = np.full((n, 2), np.nan)
        self._header = {"format": FORMAT, "scale": "peak", **header}

    def write_maps(self, start: int, maps: Float32[np.ndarray, "k h w"]) -> None:
        """Write maps from a number on, which is the start of a shard.

        Args:
            start: the number of the first.
            maps: at the scale of peak 1.
        """
        stored = np.rint(maps * 255).astype(np.uint8) if self.number == "uint8" else maps.astype(np.float16)
        self._group["maps"][start : start + len(maps)] = stored

    def write_known(
        self, state: UInt8[np.ndarray, " n"], xy: Float64[np.ndarray, "n 2"], confidence: Float32[np.ndarray, " n"]
    ) -> None:
        """Write what is known of all maps.

        Args:
            state, xy, confidence: of each; places in source pixels.
        """
        self._group["state"][:] = state
        self._group["xy"][:] = xy
        self._group["confidence"][:] = confidence

    def finish(self) -> None:
        """Say that all is there; a store that does not say so is not read."""
        files = listed(self._path, hashed=lambda name: not name.startswith("maps/c/"))
        files.pop("zarr.json", None)  # which this is written in
        self._group.attrs.put(sealed({**self._header, "files": files}))


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


def _zarr() -> Any:
    try:
        import zarr
    except ImportError as error:
        raise MissingExtraError("zarr", "store", "storing gaze maps") from error
    return zarr
