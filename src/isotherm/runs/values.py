"""Values as JSON can hold them."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import Any

from isotherm.frame import Frame


def frame_to_json(frame: Frame) -> dict[str, Any]:
    """A frame's matrix (cells to source pixels) and both sizes (h, w), as lists."""
    return {"to_source": frame.to_source.tolist(), "size": list(frame.size), "source_size": frame.source_size.tolist()}


def to_json(value: Any) -> Any:
    """A value as JSON can hold it: paths as text, tensors and arrays as lists, numbers that JSON lacks as words.

    Raises:
        TypeError: a value without such a form, named by its type.
    """
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(key): to_json(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(inner) for inner in value]
    if isinstance(value, (set, frozenset)):
        return sorted(to_json(inner) for inner in value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Frame):
        return frame_to_json(value)
    if hasattr(value, "tolist"):  # tensors, arrays and their scalars
        return to_json(value.detach().cpu().tolist() if hasattr(value, "detach") else value.tolist())
    raise TypeError(f"a record cannot hold a {type(value).__name__}; pass text, numbers, lists or a frame")
