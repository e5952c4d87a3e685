"""What the numbers of stored maps are, judged by some of them and never silently."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float32, Shaped

from isotherm.data.gaze.store import Scale
from isotherm.errors import InputError

WORDS = {"peak": "a peak of 1", "sum": "a sum of 1", "bytes": "whole numbers from 0 to 255"}


def judged_scale(
    maps: Shaped[np.ndarray, "k h w"], kind: np.dtype, wanted: Scale | None, path: Path
) -> tuple[Scale, tuple[str, ...]]:
    """The scale of maps, and notes that say how it is known.

    Args:
        maps: some of them, as they are stored.
        kind: of their numbers.
        wanted: the scale that was asked for; it is checked all the same.
        path: of the file, for messages.

    Raises:
        InputError: negative values, or values that could be anything.
    """
    values = maps.reshape(len(maps), -1).astype(np.float64)
    finite = np.isfinite(values).all(-1)
    values = values[finite]
    if values.size and values.min() < 0:
        raise InputError(f"{path}: a map has the value {values.min():g}; expected none below 0")
    some = values[(values.max(-1, initial=0) > 0)] if values.size else values
    empty, odd = len(values) - len(some), int((~finite).sum())
    first = f"of the first {len(maps)} maps"
    notes = (
        *((f"{empty} {first} are all zeros and count as missing",) if empty else ()),
        *((f"{odd} {first} hold values that are not finite and count as missing",) if odd else ()),
    )
    if not len(some):
        if wanted is None:
            none = "are all zeros" if not odd else "are all zeros or not finite"
            raise InputError(f"{path}: its first {len(maps)} maps {none}; say what their values are (scale, --scale)")
        return wanted, (*notes, f"values are {WORDS[wanted]}, as was asked")
    peaks, sums = some.max(-1), some.sum(-1)
    fits: dict[Scale, bool] = {
        "sum": bool((np.abs(sums - 1) < (2e-2 if kind == np.float16 else 1e-3)).all()) and kind != np.uint8,
        "peak": bool(peaks.max() <= 1.001 and np.median(peaks) > 0.5) and kind != np.uint8,
        "bytes": bool(kind == np.uint8 and peaks.max() > 1),
    }
    if wanted is not None:
        limit = 255.5 if wanted == "bytes" else 1.001
        if peaks.max() > limit:
            raise InputError(f"{path}: a map has the value {peaks.max():g}, which is none of {WORDS[wanted]}")
        return wanted, (*notes, f"values are {WORDS[wanted]}, as was asked")
    judged = next((scale for scale, fit in fits.items() if fit), None)
    if judged is None:
        raise InputError(
            f"{path}: the highest values of its maps lie from {peaks.min():g} to {peaks.max():g} and their sums from {sums.min():g} to {sums.max():g}; say what they are (scale, --scale): {', '.join(f'{name} ({words})' for name, words in WORDS.items())}"
        )
    return judged, (*notes, f"values are {WORDS[judged]}, judged by the first {len(maps)} maps")


def to_peak(maps: Shaped[np.ndarray, "k h w"], scale: Scale, path: Path) -> Float32[np.ndarray, "k h w"]:
    """Maps at the scale of peak 1.

    The scale was judged by the first maps, so every further one is held to it. What is not finite is passed over.

    Args:
        maps: as they are stored.
        scale: what they are.
        path: of the file, for messages.

    Raises:
        InputError: a map is not of this scale.
    """
    _hold(maps, scale, path)
    values = maps.astype(np.float32)
    if scale == "bytes":
        return values / np.float32(255)
    if scale == "sum":
        highest = values.max((-2, -1), keepdims=True) if values.size else np.ones((len(values), 1, 1), np.float32)
        return values / np.where(highest > 0, highest, 1)
    return values


def _hold(maps: Shaped[np.ndarray, "k h w"], scale: Scale, path: Path) -> None:
    if (scale == "bytes" and maps.dtype == np.uint8) or not maps.size:
        return
    highest, lowest = maps.max((-2, -1)), maps.min((-2, -1))  # NaN where one is
    known = np.isfinite(highest) & np.isfinite(lowest)
    limit = 255.5 if scale == "bytes" else 1.001
    bad = known & ((highest > limit) | (lowest < 0))
    if bad.any():
        i = int(np.flatnonzero(bad)[0])
        raise InputError(
            f"{path}: a map has values from {float(lowest[i]):g} to {float(highest[i]):g}, and by the first ones they are {WORDS[scale]}; expected one scale for all of them"
        )
    if scale == "peak":
        faint = np.flatnonzero(known & (highest > 0) & (highest < 0.5))
        sums = maps[faint].sum((-2, -1), dtype=np.float64)
        alike = np.abs(sums - 1) < (2e-2 if maps.dtype == np.float16 else 1e-3)
        if len(faint) > 1 and alike.all():  # a single one may be what a Gaussian beside the picture leaves in it
            raise InputError(
                f"{path}: maps have a sum of 1, and by the first ones values are {WORDS[scale]}; expected one scale for all of them"
            )
