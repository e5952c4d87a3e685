"""Taking keys out of nested dictionaries of others' making, so that none is passed over without a word."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from isotherm.errors import OptionError


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
        """The mapping that a key holds; an empty one where it is not there.

        Args:
            name: of the key.
        """
        return StrictKeys(self.take(name) or {}, f"{self._path}.{name}" if self._path else name, self.where)

    def number(self, name: str, default: float | None = None, *, whole: bool = False) -> Any:
        """A number.

        Args:
            name: of the key.
            default: where there is none; None: it must be there.
            whole: whether it must be a whole one.
        """
        value = self.take(name, default)
        kind = "whole number" if whole else "number"
        if value is None:
            raise OptionError(f"{self.at(name)} is missing; expected a {kind}")
        if isinstance(value, bool) or not isinstance(value, int | float) or (whole and value != int(value)):
            raise OptionError(f"{self.at(name)} is {value!r}; expected a {kind}")
        return int(value) if whole else float(value)

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
            raise OptionError(f"{self.at(name)} is {value!r}; expected text")
        return value

    def span(self, name: str, default: tuple[float, float]) -> list[float]:
        """Two numbers, from and to.

        Args:
            name: of the key.
            default: where there is none.
        """
        value = self.take(name, list(default))
        numbers = isinstance(value, list) and all(isinstance(v, int | float) and not isinstance(v, bool) for v in value)
        if not numbers or len(value) != 2:
            raise OptionError(f"{self.at(name)} is {value!r}; expected two numbers, from and to")
        return [float(v) for v in value]

    def only(self, name: str, allowed: tuple[Any, ...], why: str) -> Any:
        """A value of which there are few; the first of them is the default.

        Args:
            name: of the key.
            allowed: values.
            why: no other can be had.
        """
        value = self.take(name, allowed[0])
        if value not in allowed:
            raise OptionError(f"{self.at(name)} is {value!r}; {why}")
        return value

    def done(self) -> None:
        """Raise OptionError where a key is left that nobody has asked for."""
        for name in self._left:
            near = difflib.get_close_matches(str(name), self._known, n=1)
            advice = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(dict.fromkeys(self._known))}"
            raise OptionError(f"{self.at(str(name))} is not a key that is known there; {advice}")
