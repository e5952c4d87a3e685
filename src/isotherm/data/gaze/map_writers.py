"""Writing maps into each kind of store, a block at a time, in a folder that becomes the store when all is there."""

from __future__ import annotations

import os
import shutil
import zipfile
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float32, Float64, Int64, UInt8

from isotherm.data.gaze.beside import Beside
from isotherm.data.gaze.states import GazeState
from isotherm.data.gaze.zarr_store import ZarrWriter
from isotherm.frame import Size

Number = Literal["uint8", "float16", "float32"]
KEY = "maps"


@dataclass(frozen=True, eq=False)
class MapPlan:
    """What is going to be written.

    Args:
        time_s: (n,) of the maps.
        frame_number: (n,) the video's frame of each.
        cells: (h, w) of the maps.
        size: (h, w) of the video.
        number: of their values: bytes from 0 to 255, or a peak of 1 in half or single precision.
        compressed: an npz file that is packed.
        video: its name.
        notes: what was assumed or chosen.
    """

    time_s: Float64[np.ndarray, " n"]
    frame_number: Int64[np.ndarray, " n"]
    cells: Size
    size: Size
    number: Number
    compressed: bool
    video: str
    notes: tuple[str, ...]

    @property
    def scale(self) -> str:
        """Of the values that are stored."""
        return "bytes" if self.number == "uint8" else "peak"

    def stored(self, maps: Float32[np.ndarray, "k h w"]) -> np.ndarray:
        """Values as they are stored.

        Args:
            maps: at the scale of peak 1.
        """
        return np.rint(maps * 255).astype(np.uint8) if self.number == "uint8" else maps.astype(self.number)

    @property
    def most_error(self) -> float:
        """How far a value may come back from what it was."""
        return {"uint8": 0.5 / 255 + 1e-6, "float16": 5e-4, "float32": 1e-6}[self.number]


class Known:
    """States, places and confidences of all maps, filled block by block and kept in the folder for going on.

    Args:
        dpath: of the folder.
        n: how many.
    """

    def __init__(self, dpath: Path, n: int) -> None:
        self._fpath = dpath / "known.npz"
        self.state = np.full(n, GazeState.MISSING, np.uint8)
        self.xy, self.confidence = np.full((n, 2), np.nan), np.zeros(n, np.float32)
        if self._fpath.is_file():
            with np.load(self._fpath) as kept:
                self.state, self.xy, self.confidence = kept["state"], kept["xy"], kept["confidence"]

    def put(
        self,
        start: int,
        state: UInt8[np.ndarray, " k"],
        xy: Float64[np.ndarray, "k 2"],
        confidence: Float32[np.ndarray, " k"],
    ) -> None:
        """Fill in a block.

        Args:
            start: the number of its first map.
            state, xy, confidence: of its maps.
        """
        stop = start + len(state)
        self.state[start:stop], self.xy[start:stop], self.confidence[start:stop] = state, xy, confidence

    def keep(self) -> None:
        """Write what is known so far."""
        temporary = self._fpath.with_name("known.tmp.npz")
        np.savez(temporary, state=self.state, xy=self.xy, confidence=self.confidence)
        os.replace(temporary, self._fpath)


class MapWriter(ABC):
    """Writes maps below a folder of its own.

    Args:
        dpath: of the folder; what an earlier process wrote there stays.
        plan: what is going to be written.
    """

    grows: ClassVar[str] = "whole"
    """What there is below the folder once a block was written, until it is moved away as a finished store."""

    def __init__(self, dpath: Path, plan: MapPlan) -> None:
        self.dpath, self.plan = dpath, plan

    @abstractmethod
    def write(self, start: int, maps: Float32[np.ndarray, "k h w"]) -> None:
        """Write a block.

        Args:
            start: the number of its first map.
            maps: at the scale of peak 1.
        """

    @abstractmethod
    def finish(self, known: Known) -> Path:
        """The finished store, still below the folder.

        Args:
            known: states, places and confidences of all maps.
        """

    def beside(self, known: Known) -> Beside:
        """What lies beside maps that cannot say it.

        Args:
            known: states, places and confidences of all maps.
        """
        plan = self.plan
        return Beside(plan.time_s, known.state, known.xy, known.confidence, plan.size, plan.scale, plan.video)


class ZarrMaps(MapWriter):
    """Zarr 3 (:mod:`isotherm.data.gaze.zarr_store`)."""

    grows = "whole.zarr"

    def __init__(self, dpath: Path, plan: MapPlan) -> None:
        super().__init__(dpath, plan)
        header = {"size": list(plan.size), "video": plan.video, "notes": list(plan.notes)}
        number: Literal["uint8", "float16"] = "uint8" if plan.number == "uint8" else "float16"
        self._writer = ZarrWriter(
            dpath / "whole.zarr", plan.time_s, plan.cells, number=number, header=header, frame_number=plan.frame_number
        )

    def write(self, start: int, maps: Float32[np.ndarray, "k h w"]) -> None:
        """Write a block, which is a shard."""
        self._writer.write_maps(start, maps)

    def finish(self, known: Known) -> Path:
        """The finished store."""
        self._writer.write_known(known.state, known.xy, known.confidence)
        self._writer.finish()
        return self.dpath / "whole.zarr"


class NpzMaps(MapWriter):
    """An npz file with the array ``maps`` [T, H, W], a row for each frame of the video; and what is known of them."""

    grows = "maps.npy"

    def __init__(self, dpath: Path, plan: MapPlan) -> None:
        super().__init__(dpath, plan)
        self._fpath = dpath / "maps.npy"
        kind = np.dtype(plan.number)
        n = int(plan.frame_number.max(initial=-1)) + 1
        if self._fpath.is_file():
            self._maps = np.load(self._fpath, mmap_mode="r+")
        else:
            self._maps = np.lib.format.open_memmap(self._fpath, "w+", kind, (n, *plan.cells))
            if hasattr(os, "posix_fallocate"):  # a full disk is an error here, and later the end of the process
                with self._fpath.open("r+b") as file:
                    os.posix_fallocate(file.fileno(), 0, self._fpath.stat().st_size)

    def write(self, start: int, maps: Float32[np.ndarray, "k h w"]) -> None:
        """Write a block to the rows of its frames."""
        self._maps[self.plan.frame_number[start : start + len(maps)]] = self.plan.stored(maps)
        self._maps.flush()

    def finish(self, known: Known) -> Path:
        """The finished file."""
        packed = zipfile.ZIP_DEFLATED if self.plan.compressed else zipfile.ZIP_STORED
        fpath = self.dpath / "whole.npz"
        with zipfile.ZipFile(fpath, "w", packed, allowZip64=True) as archive:
            with archive.open(f"{KEY}.npy", "w", force_zip64=True) as file, self._fpath.open("rb") as raw:
                shutil.copyfileobj(raw, file, 1 << 22)
            for name, data in self._rows(known).members():
                archive.writestr(name, data)
        return fpath

    def _rows(self, known: Known) -> Beside:
        """What is known, a row for each frame: frames between that have no map are MISSING."""
        plan, whole = self.plan, self.beside(known)
        n = len(self._maps)
        if n == len(plan.time_s):
            return whole
        rows = plan.frame_number
        # nobody stored when the frames between were: evenly between their neighbours
        time_s = np.interp(np.arange(n), rows, plan.time_s)
        state = np.full(n, GazeState.MISSING, np.uint8)
        xy, confidence = np.full((n, 2), np.nan), np.zeros(n, np.float32)
        state[rows], xy[rows], confidence[rows] = whole.state, whole.xy, whole.confidence
        if rows[0] > 0:
            step = float(np.median(np.diff(plan.time_s))) if len(plan.time_s) > 1 else 0.04
            time_s[: rows[0]] = plan.time_s[0] - step * np.arange(rows[0], 0, -1)
        return Beside(time_s, state, xy, confidence, whole.size, whole.scale, whole.video)


class FrameMaps(MapWriter):
    """A folder with frame_000000.npy for each frame of the video that has a map; and what is known of them."""

    def write(self, start: int, maps: Float32[np.ndarray, "k h w"]) -> None:
        """Write a file for each map of the block."""
        (self.dpath / "whole").mkdir(exist_ok=True)
        stored = self.plan.stored(maps)
        for number, one in zip(self.plan.frame_number[start : start + len(maps)], stored, strict=True):
            np.save(self.dpath / "whole" / f"frame_{number:06d}.npy", one, allow_pickle=False)

    def finish(self, known: Known) -> Path:
        """The finished folder."""
        for name, data in self.beside(known).members():
            (self.dpath / "whole" / name).write_bytes(data)
        return self.dpath / "whole"


WRITERS: dict[str, type[MapWriter]] = {"zarr": ZarrMaps, "npz": NpzMaps, "npy": FrameMaps}
"""Writers by the kinds of stores that they write."""
