"""Lines of equal value: where a map crosses a level, as lines in the pixels of a drawn picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from isotherm.draw.scale import Scale
from isotherm.frame import Frame, Size
from isotherm.ops.resample import source_raster, to_frame

MOST_SAMPLES = 400
"""Along the longer side: between cells a map is bilinear, so that more samples would show nothing more."""

Line = Float[np.ndarray, "_ 2"]


@dataclass(frozen=True, eq=False)
class Samples:
    """A map sampled over its whole source picture, from which lines of any level are taken.

    Args:
        values: (h, w); beyond the map's edge its outermost values go on; NaN where a cell has none.
        known: (h, w), where the map has a value of its own.
        size: (h, w) of the drawn picture, in whose pixels the lines come.
    """

    values: Float[np.ndarray, "h w"]
    known: Bool[np.ndarray, "h w"]
    size: Size

    @classmethod
    def of(cls, values: Float[Tensor, "h w"], frame: Frame, size: Size, scale: Scale) -> Samples:
        """The samples of a map for a picture drawn at ``size`` (h, w); infinities count as the ends of the scale."""
        factor = min(1.0, MOST_SAMPLES / max(size))
        raster = source_raster(frame, (max(2, round(size[0] * factor)), max(2, round(size[1] * factor))))
        cells = values.detach().to("cpu", torch.float64).nan_to_num(nan=torch.nan, posinf=scale.high, neginf=scale.low)
        known = torch.isfinite(to_frame(cells, frame, raster, outside="nan"))
        return cls(to_frame(cells, frame, raster, outside="edge").numpy(), known.numpy(), size)

    def lines(self, level: float, *, below: bool = False) -> list[Line]:
        """The closed lines around everything that is at least ``level`` (``below``: at most), x and y in drawn pixels.

        Where the map ends, or has no value, the line runs along its edge. Lines turn so that what they enclose is on
        one and the same side, see :func:`outward`.
        """
        import contourpy  # slow to import, and only needed where lines are drawn

        if not self.known.any():
            return []
        field, at = (-self.values, -level) if below else (self.values, level)
        field, known = (np.pad(a, 1, mode=mode) for a, mode in ((field, "edge"), (self.known, "constant")))  # type: ignore[call-overload]
        # mirrored at the level outside of what is known, so that the line stands half-way between the samples: on the
        # edge
        padded = np.where(known, field, np.where(np.isnan(field), at - 1.0, np.minimum(field, 2 * at - field)))
        h, w = self.values.shape
        scale = np.array([self.size[1] / w, self.size[0] / h])
        lines: list[Line] = contourpy.contour_generator(z=padded, name="serial").lines(at)  # type: ignore[assignment]
        # a sample's place in the padded array is one to the right of its centre's, less half a sample to its edge
        return [np.clip((line - 0.5) * scale, 0, [self.size[1], self.size[0]]) for line in lines if len(line) > 2]


def outward(line: Line, distance: float) -> Line:
    """The closed line moved away from what it encloses, by so many pixels."""
    step = np.roll(line[:-1], -1, axis=0) - np.roll(line[:-1], 1, axis=0)
    length = np.hypot(step[:, 0], step[:, 1])[:, None]
    # contourpy keeps higher values on the left of a line, seen with y upwards; pictures have y downwards
    normal = np.stack([step[:, 1], -step[:, 0]], -1) / np.where(length > 0, length, 1)
    moved = line[:-1] + distance * normal
    return np.concatenate([moved, moved[:1]])


def dashes(line: Line, on: float, off: float) -> list[Line]:
    """The parts of a line that are drawn when it is dashed: ``on`` pixels long, ``off`` pixels apart."""
    steps = np.hypot(*np.diff(line, axis=0).T)
    place = np.concatenate([[0.0], np.cumsum(steps)])
    keep = np.concatenate([[True], steps > 0])
    line, place = line[keep], place[keep]
    parts = []
    for start in np.arange(0.0, place[-1], on + off):
        stop = min(start + on, place[-1])
        inner = place[(place > start) & (place < stop)]
        at = np.concatenate([[start], inner, [stop]])
        parts.append(np.stack([np.interp(at, place, line[:, 0]), np.interp(at, place, line[:, 1])], -1))
    return parts
