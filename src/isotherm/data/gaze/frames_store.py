"""Maps in a folder, a frame_000123.npy for each frame, as other programs wrote them: read as they are."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Float64, Int64, UInt8

from isotherm.data.gaze.beside import beside_in_folder, beside_or, known_scale, known_size
from isotherm.data.gaze.scale import to_peak
from isotherm.data.gaze.store import MapOptions, MapStore, Scale, map_frame
from isotherm.errors import InputError
from isotherm.untrusted.arrays import read_array

NAME = re.compile(r"frame_(\d+)\.npy")
JUDGED = 32


class FramesStore(MapStore):
    """Maps [H, W], a file for each frame of the video; a number that is left out is a frame that is MISSING.

    Args:
        path: of the folder.
        options: what the files do not say themselves.

    Raises:
        InputError: no such folder or no such files in it, maps of different sizes, of a kind or scale that says
            nothing, numbers that begin neither at 0 nor at 1, or nothing says when frames were.
    """

    def __init__(self, path: Path, options: MapOptions) -> None:
        self.path = path
        if not path.is_dir():
            raise InputError(f"there is no folder of gaze maps {path}; check the path")
        numbers: dict[int, Path] = {}
        for entry in sorted(path.iterdir()):
            if m := NAME.fullmatch(entry.name):
                same = numbers.setdefault(int(m[1]), entry)
                if same is not entry:
                    raise InputError(f"{path} has {same.name} and {entry.name}; expected one map for a frame")
        if not numbers:
            raise InputError(f"{path} holds no frame_000000.npy; expected a file of that form for each frame")
        order = sorted(numbers)
        self._files = [numbers[n] for n in order]
        self.beside = beside_in_folder(path, len(order))
        # what is written here is numbered from 0, and its first frames may have no map
        base = options.first if options.first is not None else 0 if self.beside is not None else order[0]
        if base > 1:
            raise InputError(
                f"the first file of {path} is {self._files[0].name}; say whether the video's first frame is called 0 or 1 (first, --first-frame)"
            )
        if order[0] < base:
            raise InputError(f"{path} has {self._files[0].name}, and the video's first frame was said to be {base}")
        frames = np.array(order) - base
        probe = [self._map(fpath) for fpath in self._files[:JUDGED]]
        self.cells = probe[0].shape
        self._alike(probe, self._files)
        self.frame_number = frames
        if self.beside is None:
            self.time_s, note = options.times_of(frames, path)
        else:
            self.time_s, note = self.beside.time_s, "times are the folder's own, 'time_s.npy'"
            self.video = self.beside.video
        self.frame, more = map_frame((self.cells[0], self.cells[1]), known_size(path, options, self.beside))
        h, w = (int(n) for n in self.frame.source_size)
        self.size = (h, w)
        self.window_s = float(np.min(np.diff(self.time_s))) / 2 if len(self.time_s) > 1 else 0.02
        self.scale, judged = known_scale(np.stack(probe), probe[0].dtype, options, self.beside, path)
        gaps = int(frames[-1] + 1 - len(frames))
        self.notes = (
            f"{len(frames)} maps of {self.cells[1]} x {self.cells[0]} cells, {probe[0].dtype}",
            f"the video's first frame is called {base}, "
            + ("as was asked" if options.first is not None else "as the files are numbered"),
            *((f"{gaps} frames between the first and the last have no file and are missing",) if gaps else ()),
            note,
            *more,
            *judged,
        )

    def maps_at(self, index: Int64[np.ndarray, " k"]) -> Float32[np.ndarray, "k h w"]:
        """Maps at the scale of peak 1."""
        files = [self._files[i] for i in index]
        maps = [self._map(fpath) for fpath in files]
        self._alike(maps, files)
        scale: Scale = self.scale
        return to_peak(np.stack(maps), scale, self.path)

    def known_at(
        self, index: Int64[np.ndarray, " k"], maps: Float32[np.ndarray, "k h w"]
    ) -> tuple[UInt8[np.ndarray, " k"], Float64[np.ndarray, "k 2"], Float32[np.ndarray, " k"]]:
        """State, place and confidence: as they lie beside the maps, or by the maps."""
        return beside_or(self.beside, index) or super().known_at(index, maps)

    def _alike(self, maps: list[np.ndarray], files: list[Path]) -> None:
        for one, fpath in zip(maps, files, strict=False):
            if one.shape != self.cells:
                raise InputError(f"{fpath} has {one.shape} cells and the others {self.cells}; expected one size")

    def _map(self, fpath: Path) -> np.ndarray:
        one = read_array(fpath)
        squeezed = one[0] if one.ndim == 3 and one.shape[0] == 1 else one
        if squeezed.ndim != 2 or squeezed.dtype.name not in ("uint8", "float16", "float32", "float64"):
            raise InputError(
                f"{fpath} is of the form {list(one.shape)} and kind {one.dtype}; expected [H, W] or [1, H, W] of uint8, float16, float32 or float64"
            )
        return squeezed
