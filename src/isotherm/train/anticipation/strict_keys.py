"""Taking keys out of nested dictionaries of others' making, so that none is passed over without a word."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from typing import Any

from isotherm.errors import OptionError

MOST = 2**31
"""What no whole number of such a file is above."""


class StrictKeys:
    """A mapping of a file, of which it is known what has been looked at.

    Args:
        plain: the mapping; None where the file has none.
        path: of it in the file, such as ``experiment.data``.
        where: the file, for messages.

    Raises:
        OptionError: it is no mapping.

    Example:
        >>> keys = StrictKeys({"depth": 12, "detph": 3}, "predictor", "a.yaml")
        >>> keys.number("depth", whole=True)
        12
        >>> keys.done()
        Traceback (most recent call last):
        isotherm.errors.OptionError: a.yaml: predictor.detph is not a key that is known there; did you mean 'depth'?
    """

    def __init__(self, plain: Any, path: str, where: str) -> None:
        if not isinstance(plain, Mapping):
            raise OptionError(f"{where}: {path or 'the file'} holds {type(plain).__name__}; expected names with values")
        self._left, self._path, self.where, self._known = dict(plain), path, where, list[str]()

    def at(self, name: str) -> str:
        """The file and the path of a key, for messages.

        Args:
            name: of the key.
        """
        return f"{self.where}: {self._path}.{name}" if self._path else f"{self.where}: {name}"

    def has(self, name: str) -> bool:
        """Whether there is a key that nobody has taken.

        Args:
            name: of the key.
        """
        self._known.append(name)
        return name in self._left

    def take(self, name: str, default: Any = None) -> Any:
        """The value of a key, whatever it is.

        Args:
            name: of the key.
            default: where there is none.
        """
        self._known.append(name)
        return self._left.pop(name, default)

    def inside(self, name: str) -> StrictKeys:
        """The mapping that a key holds; an empty one where it is not there or null.

        Args:
            name: of the key.
        """
        value = self.take(name)
        return StrictKeys({} if value is None else value, f"{self._path}.{name}" if self._path else name, self.where)

    def each(self, name: str) -> list[StrictKeys]:
        """The mappings of a list, which must be there.

        Args:
            name: of the key.
        """
        value = self.take(name)
        if not isinstance(value, list) or not value:
            raise OptionError(f"{self._entry(name, value)}; expected a list with one entry or more")
        path = f"{self._path}.{name}" if self._path else name
        return [StrictKeys(entry, f"{path}[{i}]", self.where) for i, entry in enumerate(value)]

    def number(self, name: str, default: float | None = None, *, whole: bool = False, least: float = -math.inf) -> Any:
        """A finite number.

        Args:
            name: of the key.
            default: where there is none; None: it must be there.
            whole: whether it must be a whole one.
            least: that it may be.
        """
        value = self.take(name, default)
        kind = f"{'whole number' if whole else 'number'}{'' if least == -math.inf else f' from {least:g} on'}"
        if not _is_number(value) or (whole and (value != int(value) or abs(value) > MOST)) or value < least:
            raise OptionError(f"{self._entry(name, value)}; expected a {kind}{_exponent(value)}")
        return int(value) if whole else float(value)

    def flag(self, name: str, default: bool) -> bool:
        """True or false; null is the default.

        Args:
            name: of the key.
            default: where there is none.
        """
        value = self.take(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise OptionError(f"{self._entry(name, value)}; expected true or false")
        return value

    def text(self, name: str, default: str | None = None) -> str:
        """Text that is not empty, or the default.

        Args:
            name: of the key.
            default: where there is none; None: it must be there.
        """
        value = self.take(name)
        if value is None and default is not None:
            return default
        if not isinstance(value, str) or not value:
            raise OptionError(f"{self._entry(name, value)}; expected text")
        return value

    def label(self, name: str) -> str | None:
        """A name, which may look like a number; None where there is none.

        Args:
            name: of the key.
        """
        value = self.take(name)
        if value is not None and not is_label(value):
            raise OptionError(f"{self._entry(name, value)}; expected text")
        return None if value is None or value == "" else str(value)

    def span(
        self, name: str, default: tuple[float, float], *, least: float = -math.inf, most: float = math.inf
    ) -> list[float]:
        """Two numbers in order, from and to.

        Args:
            name: of the key.
            default: where there is none, or null.
            least, most: that they may be.
        """
        value = self.take(name)
        value = list(default) if value is None else value
        if not isinstance(value, list) or len(value) != 2 or not all(_is_number(v) for v in value):
            raise OptionError(f"{self._entry(name, value)}; expected two numbers, from and to")
        if not least <= value[0] <= value[1] <= most:
            edges = f"{'' if least == -math.inf else f', at least {least:g}'}{'' if most == math.inf else f', at most {most:g}'}"
            raise OptionError(f"{self._entry(name, value)}; expected two numbers in order{edges}")
        return [float(v) for v in value]

    def only(self, name: str, allowed: tuple[Any, ...], why: str) -> Any:
        """A value of which there are few; the first of them is the default.

        Args:
            name: of the key.
            allowed: values.
            why: no other can be had.
        """
        value = self.take(name, allowed[0])
        if not any(value == one and type(value) is type(one) for one in allowed):  # True is 1 to Python
            raise OptionError(f"{self._entry(name, value)}; {why}")
        return value

    def one_of(self, name: str, allowed: Sequence[str]) -> str:
        """One of some words, which must be there.

        Args:
            name: of the key.
            allowed: words.
        """
        value = self.take(name)
        if value not in allowed:
            raise OptionError(f"{self._entry(name, value)}; expected one of {', '.join(allowed)}")
        return str(value)

    def _entry(self, name: str, value: Any) -> str:
        return f"{self.at(name)} is {'missing' if value is None else repr(value)}"

    def done(self) -> None:
        """Raise OptionError where a key is left that nobody has asked for."""
        for name in self._left:
            near = difflib.get_close_matches(str(name), self._known, n=1)
            advice = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(dict.fromkeys(self._known))}"
            raise OptionError(f"{self.at(str(name))} is not a key that is known there; {advice}")


def is_label(value: Any) -> bool:
    """Whether a value of a YAML file is a name: text, or a number, which text may look like.

    Args:
        value: of any type.
    """
    return isinstance(value, str) or _is_number(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _exponent(value: Any) -> str:
    """Advice where YAML read a number as text: it wants a dot before the exponent."""
    try:
        return f" (YAML reads {value} as text; write {float(value):f})" if isinstance(value, str) else ""
    except ValueError:
        return ""
