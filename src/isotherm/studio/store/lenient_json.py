"""A column of JSON that can always be shown: what cannot is mended or left out as it is read."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from sqlalchemy import JSON, Dialect
from sqlalchemy.types import TypeDecorator

MOST_DEPTH = 32
LARGEST = 1 << 63


class LenientJson(TypeDecorator[Any]):
    """JSON that never keeps its row from being read, whatever an older studio or a person wrote into it.

    Args:
        empty: makes what is read where the value cannot be read at all.
    """

    impl = JSON
    cache_ok = True

    def __init__(self, empty: Callable[[], Any] = dict) -> None:
        super().__init__()
        self.empty = empty

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:
        """Reads a value of the database."""
        inner = super().result_processor(dialect, coltype)

        def read(value: Any) -> Any:
            try:
                made = presentable(value if inner is None else inner(value))
            except (ValueError, RecursionError):
                return self.empty()
            return made if isinstance(made, self.empty) else self.empty()  # type: ignore[arg-type]

        return read


def presentable(value: Any, depth: int = 0) -> Any:
    """A value as every JSON reader takes it.

    Args:
        value: of JSON.
        depth: how many lists and objects it lies in.

    Returns:
        The same, where NaN, infinity, endless numbers and what lies too deep are None, and half a character is \ufffd.

    Example:
        >>> presentable({"a": [float("nan"), 10**400, 1.5]})
        {'a': [None, None, 1.5]}
    """
    if isinstance(value, str):
        if value.isascii() and "\0" not in value:  # nearly all of them
            return value
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\0", "\ufffd")
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, int):
        return value if -LARGEST < value < LARGEST else None
    if isinstance(value, list | dict) and depth >= MOST_DEPTH:
        return None
    if isinstance(value, list):
        return [presentable(one, depth + 1) for one in value]
    if isinstance(value, dict):
        return {presentable(key): presentable(one, depth + 1) for key, one in value.items()}
    return value
