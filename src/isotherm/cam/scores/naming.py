"""Class names -> indices, with the nearest names when there is no such class."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from isotherm.errors import OptionError, UnfitTargetError


def class_index(wanted: int | str, names: Sequence[str]) -> int:
    """The index of a class given by number, by its whole name, or by a name that fits one class only.

    ImageNet's names hold several synonyms ("tabby, tabby cat"); any one of them counts as the name. A part of one
    class's name counts, and a name with a word too many.

    Raises:
        UnfitTargetError: no such class, or several; the message has the nearest names.
    """
    if isinstance(wanted, int) or (wanted.lstrip("-").isdigit() and wanted not in names):
        index = int(wanted)
        if not 0 <= index < len(names):
            raise UnfitTargetError(
                f"class {index} does not exist: the model has {len(names)} classes, numbered from 0 to {len(names) - 1}"
            )
        return index
    key = wanted.strip().casefold()
    whole = [i for i, name in enumerate(names) if key == name.strip().casefold()]
    if len(whole) == 1:  # though another class may have it as one of its synonyms
        return whole[0]
    spelt = [{part.strip().casefold() for part in (name, *name.split(","))} for name in names]
    exact = [i for i, parts in enumerate(spelt) if key in parts]
    if len(exact) == 1:
        return exact[0]
    if len(exact) > 1:
        raise UnfitTargetError(
            f"class {wanted!r} fits {len(exact)} classes: {', '.join(f'{i} {names[i]!r}' for i in exact[:8])}; give the number"
        )
    loose = [i for i, name in enumerate(names) if key in name.casefold()]
    # torchvision keeps the first of ImageNet's synonyms only: "tabby cat" can mean nothing but its "tabby"
    words = set(key.split())
    within = [i for i, parts in enumerate(spelt) if any(set(part.split()) <= words for part in parts if part)]
    for some in (loose, within):
        if len(some) == 1:
            return some[0]
    flat = {part: names[i] for i, parts in enumerate(spelt) for part in parts}
    holding = [
        names[i] for i, parts in enumerate(spelt) if any(key in part.split() for part in parts)
    ]  # "cat" is in "tiger cat"
    near = (
        holding[:5]
        or [flat[n] for n in difflib.get_close_matches(key, flat, n=5, cutoff=0.5)]
        or [names[i] for i in loose[:5]]
    )
    hint = (
        f"did you mean {', '.join(repr(n) for n in dict.fromkeys(near))}?"
        if near
        else f"the model knows {', '.join(map(repr, names[:8]))}{', ...' if len(names) > 8 else ''}"
    )
    raise UnfitTargetError(f"there is no class {wanted!r} among the model's {len(names)}; {hint}")


def class_indices(wanted: Sequence[int | str], names: Sequence[str]) -> list[int]:
    """The indices of several classes, each once. Texts that are the parts of one class's whole name mean that class.

    Example:
        >>> class_indices(["projectile", "missile"], ["missile", "projectile, missile", "rocket"])
        [1]
    """
    joined = ", ".join(map(str, wanted)).casefold()
    whole = [i for i, name in enumerate(names) if "," in name and name.casefold() == joined]
    if len(whole) == 1:
        return whole
    return list(dict.fromkeys(class_index(w, names) for w in wanted))


def class_names(names: Sequence[Any] | Mapping[Any, Any]) -> tuple[str, ...]:
    """Class names in the order of a model's outputs, from a sequence or from a mapping of their numbers, as YOLO and
    transformers have it.

    Raises:
        OptionError: one text for all of them, numbers that are not 0 to n - 1, or a name that is no text.

    Example:
        >>> class_names({1: "dog", 0: "cat"})
        ('cat', 'dog')
    """
    if isinstance(names, str):
        raise OptionError(
            f"names is the text {names!r}; expected a list with one name per class, such as [{names!r}, ...]"
        )
    if isinstance(names, Mapping):
        if set(names) != set(range(len(names))):
            raise OptionError(
                f"names has the numbers {', '.join(map(str, list(names)[:8]))}; expected one name for each of 0 to {len(names) - 1}"
            )
        names = [names[i] for i in range(len(names))]
    other = next((n for n in names if not isinstance(n, str)), None)
    if other is not None:
        raise OptionError(f"names holds {other!r}, a {type(other).__name__}; expected texts, one per class")
    return tuple(names)
