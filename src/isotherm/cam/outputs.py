"""What a model puts out, in words, and where in it each tensor is: for messages about outputs that nobody described."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from torch import Tensor

SHOWN = 6
"""Most parts of one tuple, mapping or object that are told of."""
DEEPEST = 4
"""Nesting beyond which parts are not looked at; an object may hold itself."""


def parts_of(value: Any) -> dict[str, Any]:
    """The parts of an output that holds others, by what is written behind it to reach them; empty for all else.

    Args:
        value: a tuple, list, mapping, dataclass, or an object with tensors as attributes.

    Example:
        >>> list(parts_of({"boxes": 1, "scores": 2}))
        ['["boxes"]', '["scores"]']
        >>> list(parts_of([1, 2]))
        ['[0]', '[1]']
    """
    if isinstance(value, Tensor | str | bytes):
        return {}
    if isinstance(value, Mapping):
        marks = set('"\\')  # what a key in double quotes cannot hold as it is
        return {
            f'["{key}"]' if isinstance(key, str) and not marks & set(key) else f"[{key!r}]": inner
            for key, inner in value.items()
        }
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return {f".{name}": getattr(value, name) for name in value._fields}
    if isinstance(value, tuple | list):
        return {f"[{i}]": inner for i, inner in enumerate(value)}
    if is_dataclass(value) and not isinstance(value, type):
        return {f".{f.name}": getattr(value, f.name) for f in fields(value)}
    own = getattr(value, "__dict__", {})
    return {f".{name}": inner for name, inner in own.items() if isinstance(inner, Tensor | Mapping | tuple | list)}


def tensors_by_path(value: Any, path: str = "out", depth: int = 0) -> Iterator[tuple[str, Tensor]]:
    """Every tensor of an output with the expression that gives it.

    Example:
        >>> import torch
        >>> [path for path, _ in tensors_by_path({"boxes": torch.zeros(2), "more": [torch.zeros(3)]})]
        ['out["boxes"]', 'out["more"][0]']
    """
    if isinstance(value, Tensor):
        yield path, value
    elif depth < DEEPEST:
        for step, inner in parts_of(value).items():
            yield from tensors_by_path(inner, path + step, depth + 1)


def words_of(value: Any, depth: int = 0) -> str:
    """What an output is, in words.

    Example:
        >>> import torch
        >>> words_of((torch.zeros(1, 10), {"boxes": torch.zeros(1, 4)}))
        'a tuple of [0] a tensor (1, 10) and [1] a dict of ["boxes"] a tensor (1, 4)'
        >>> words_of(None)
        'None'
    """
    if isinstance(value, Tensor):
        kind = "a tensor" if value.is_floating_point() else f"a tensor of {str(value.dtype).removeprefix('torch.')}"
        return f"{kind} ({', '.join(map(str, value.shape))}{',' if value.ndim == 1 else ''})"
    name = type(value).__name__
    article = "an" if name[0].lower() in "aeiou" else "a"
    parts = parts_of(value)
    if value is None or isinstance(value, bool | int | float):
        return str(value)
    if not parts:
        return f"{article} empty {name}" if isinstance(value, Mapping | tuple | list) else f"{article} {name}"
    if depth == DEEPEST:
        return f"{article} {name}"
    shown = [f"{step.removeprefix('.')} {words_of(inner, depth + 1)}" for step, inner in list(parts.items())[:SHOWN]]
    if len(parts) > SHOWN:
        shown.append(f"{len(parts) - SHOWN} more")
    joined = shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
    return f"{article} {name} of {joined}"


def how_to_read(value: Any) -> str:
    """What to do about an output that nobody described, with a line to copy.

    Example:
        >>> import torch
        >>> how_to_read({"boxes": torch.zeros(1, 9, 5)}).partition("such as ")[2]
        'target=lambda out: out["boxes"].flatten(1).amax(1)'
    """
    advice = "give target=, a function of it that returns one number per picture"
    numbers = [(path, t) for path, t in tensors_by_path(value) if t.is_floating_point() and t.numel()]
    if not numbers:
        return f"{advice}; there are no real numbers in it, so wrap the model in a module that returns some"
    # what has a row per picture goes before what has not, and of equals the largest is most likely the answer
    path, tensor = max(numbers, key=lambda pair: (pair[1].ndim > 0 and len(pair[1]) == 1, pair[1].numel()))
    if tensor.ndim > 1 and len(tensor) == 1:
        return f"{advice}, such as target=lambda out: {path}.flatten(1).amax(1)"
    return f"{advice}, such as target=lambda out: {path}" + ("" if tensor.numel() == 1 else ".max()")
