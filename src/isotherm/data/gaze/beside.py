"""What a file of old maps cannot say, written beside the maps: times, states, places and the size of the video."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64, UInt8

from isotherm.data.gaze.scale import WORDS, judged_scale
from isotherm.data.gaze.store import MapOptions, Scale
from isotherm.errors import InputError
from isotherm.frame import Size
from isotherm.untrusted.arrays import read_npy
from isotherm.untrusted.plain import json_of, reading

HEADER = "isotherm.json"
FORMAT = "isotherm.gaze_beside/1"
KINDS = {"time_s": np.float64, "state": np.uint8, "xy": np.float64, "confidence": np.float32}


@dataclass(frozen=True, eq=False)
class Beside:
    """What is known of each of n maps.

    Args:
        time_s: (n,) seconds on the video's clock.
        state: (n,) of :class:`GazeState`.
        xy: (n, 2) source pixels.
        confidence: (n,).
        size: (h, w) of the video.
        scale: of the maps' values.
        video: its name.
    """

    time_s: Float64[np.ndarray, " n"]
    state: UInt8[np.ndarray, " n"]
    xy: Float64[np.ndarray, "n 2"]
    confidence: Float32[np.ndarray, " n"]
    size: Size
    scale: str
    video: str = ""

    def members(self) -> Iterator[tuple[str, bytes]]:
        """Names of files and what is in them."""
        for name, kind in KINDS.items():
            file = io.BytesIO()
            np.lib.format.write_array(file, np.ascontiguousarray(getattr(self, name), kind), allow_pickle=False)
            yield f"{name}.npy", file.getvalue()
        header = {"format": FORMAT, "size": list(self.size), "scale": self.scale, "video": self.video}
        yield HEADER, json.dumps(header, allow_nan=False).encode()


def beside_in_archive(path: Path, archive: zipfile.ZipFile, count: int) -> Beside | None:
    """What lies beside the maps of an npz file, None where other programs wrote it.

    Args:
        path: of the file, for messages.
        archive: opened.
        count: how many maps there are.

    Raises:
        InputError: it is broken, or of another number of maps.
    """
    names = archive.namelist()
    return _read(path, archive.read, count) if HEADER in names else None


def beside_in_folder(path: Path, count: int) -> Beside | None:
    """The same for a folder of maps.

    Args:
        path: of the folder.
        count: how many maps there are.

    Raises:
        InputError: it is broken, or of another number of maps.
    """
    return _read(path, lambda name: (path / name).read_bytes(), count) if (path / HEADER).is_file() else None


def _read(path: Path, read: Callable[[str], bytes], count: int) -> Beside:
    with reading(f"{path}: what lies beside its maps", advice="convert it again"):
        header: dict[str, Any] = json_of(read(HEADER), path)
        if header.get("format") != FORMAT:
            raise ValueError(f"the format is {header.get('format')!r}; expected {FORMAT}")
        arrays = {name: _array(read(f"{name}.npy"), f"{path}: {name}.npy") for name in KINDS}
        h, w = (int(side) for side in header["size"])
        if not 1 <= min(h, w) <= max(h, w) < 1 << 31:
            raise ValueError(f"the size of the video is {header['size']!r:.60}")
        parts = {name: arrays[name].astype(kind) for name, kind in KINDS.items()}
        scale, video = str(header["scale"]), str(header.get("video", ""))
    if any(part.shape != ((count, 2) if name == "xy" else (count,)) for name, part in parts.items()):
        raise InputError(f"{path} has {count} maps, and what lies beside them is of {len(parts['time_s'])}")
    return Beside(**parts, size=(h, w), scale=scale, video=video)


def _array(data: bytes, where: str) -> np.ndarray:
    return read_npy(io.BytesIO(data), where, bytes_there=len(data))


def known_size(path: Path, options: MapOptions, beside: Beside | None) -> Size | None:
    """(h, w) of the video, by the options or by what lies beside the maps.

    Args:
        path: of the store, for messages.
        options: what was said of it.
        beside: what it says itself.

    Raises:
        InputError: they contradict one another.
    """
    if beside is not None and options.size not in (None, beside.size):
        assert options.size is not None
        raise InputError(
            f"{path} is of a video of {beside.size[1]} x {beside.size[0]} pixels, and this one has {options.size[1]} x {options.size[0]}"
        )
    return options.size if beside is None else beside.size


def known_scale(
    probe: np.ndarray, kind: np.dtype, options: MapOptions, beside: Beside | None, path: Path
) -> tuple[Scale, tuple[str, ...]]:
    """The scale of maps: as it was written beside them, or judged by some of them.

    Args:
        probe: some maps, as they are stored.
        kind: of their numbers.
        options: what was said of them.
        beside: what the store says itself.
        path: of the store, for messages.
    """
    if beside is None:
        return judged_scale(probe, kind, options.scale, path)
    if beside.scale not in WORDS:
        raise InputError(f"{path} has values of the scale {beside.scale!r}; expected one of {', '.join(WORDS)}")
    scale: Scale = "bytes" if beside.scale == "bytes" else "sum" if beside.scale == "sum" else "peak"
    return scale, (f"values are {WORDS[scale]}, as the file says itself",)


def beside_or(
    beside: Beside | None, index: np.ndarray
) -> tuple[UInt8[np.ndarray, " k"], Float64[np.ndarray, "k 2"], Float32[np.ndarray, " k"]] | None:
    """State, place and confidence as they lie beside maps, None where nothing does.

    Args:
        beside: what the store says itself.
        index: of the maps.
    """
    return None if beside is None else (beside.state[index], beside.xy[index], beside.confidence[index])
