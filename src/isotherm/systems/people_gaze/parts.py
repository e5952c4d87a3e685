"""What a model said of some frames of a video, on disk: parts of 64 frames, each whole or not there."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Float64, Int64, UInt8

from isotherm.atomic import atomic_write
from isotherm.untrusted.arrays import read_npz
from isotherm.untrusted.plain import reading

FRAMES = 64
"""In a part."""


@dataclass(frozen=True, eq=False)
class GazePart:
    """Some frames, and the people in them, those of the first frame first.

    Args:
        index: (f,) numbers of the frames in the video.
        time_s: (f,) when they are.
        count: (f,) people in each.
        boxes: (n, 4) of their heads in pixels of the video.
        head_score: (n,) how sure the detector is of each.
        maps: (n, h, w) where each looks, 255 for a peak of 1.
        xy: (n, 2) the place looked at in pixels of the video, NaN where there is none.
        score: (n,) how sure that place is, 0 to 1.
        inside: (n,) how likely the gaze lies in the picture, 0 to 1; NaN of models that do not say.
    """

    index: Int64[np.ndarray, " f"]
    time_s: Float64[np.ndarray, " f"]
    count: Int64[np.ndarray, " f"]
    boxes: Float32[np.ndarray, "n 4"]
    head_score: Float32[np.ndarray, " n"]
    maps: UInt8[np.ndarray, "n h w"]
    xy: Float64[np.ndarray, "n 2"]
    score: Float32[np.ndarray, " n"]
    inside: Float32[np.ndarray, " n"]

    def save(self, fpath: Path) -> None:
        """Write it, whole or not at all."""
        arrays = {field.name: getattr(self, field.name) for field in fields(self)}
        with atomic_write(fpath) as file:
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]

    @classmethod
    def load(cls, fpath: Path) -> GazePart:
        """Read what :meth:`save` wrote.

        Raises:
            InputError: it is damaged; deleting it has it made again.
        """
        with reading(fpath, advice="delete it, and the same command makes it again"):
            arrays = read_npz(fpath)
            return cls(**{field.name: arrays[field.name] for field in fields(cls)})

    @property
    def first(self) -> Int64[np.ndarray, " f"]:
        """Where the people of each frame begin."""
        return np.cumsum(self.count) - self.count


def part_fpath(dpath: Path, number: int) -> Path:
    """The file of a part."""
    return dpath / "parts" / f"{number:06d}.npz"


def whole_parts(dpath: Path) -> list[Path]:
    """The parts that are there, from the first one on without a gap."""
    there: list[Path] = []
    while (fpath := part_fpath(dpath, len(there))).is_file():
        there.append(fpath)
    return there
