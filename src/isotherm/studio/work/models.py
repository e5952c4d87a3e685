"""Open models, the least recently used of which are let go where they would take too much memory together."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import fields
from typing import Generic, TypeVar

from isotherm.jobs.options import ModelOptions

Model = TypeVar("Model")


class Models(Generic[Model]):
    """Models by the options that they were opened with.

    Args:
        open_model: opens one.
        size_of: its size in bytes.
        most_bytes: of all together; a single larger model is kept alone.
        at: the same open model with another least confidence of its findings; None where it must be opened with it.
    """

    def __init__(
        self,
        open_model: Callable[[ModelOptions], Model],
        size_of: Callable[[Model], int],
        *,
        most_bytes: int,
        at: Callable[[Model, float], Model | None] = lambda model, confidence: None,
    ) -> None:
        self._open, self._size_of, self._at, self.most_bytes = open_model, size_of, at, most_bytes
        self._there: OrderedDict[tuple[object, ...], tuple[Model, int, tuple[object, ...]]] = OrderedDict()

    def get(self, options: ModelOptions) -> Model:
        """The model that a job asks for, opened where it is not open yet; then others are let go until all fit."""
        if (there := self._open_one(options)) is not None:
            return there
        key = _key(options)
        model = self._open(options)
        self._there[key] = (model, self._size_of(model), _key(options, "confidence"))
        while len(self._there) > 1 and self.size_bytes > self.most_bytes:
            self._there.popitem(last=False)
        return model

    def __contains__(self, options: ModelOptions) -> bool:
        return self._open_one(options) is not None

    def _open_one(self, options: ModelOptions) -> Model | None:
        """The model, where it is open, or is with another least confidence, which most detectors do not care for."""
        key = _key(options)
        if key in self._there:
            self._there.move_to_end(key)
            return self._there[key][0]
        if options.confidence is not None:
            rest = _key(options, "confidence")
            for model, _, others in self._there.values():
                if others == rest and (there := self._at(model, options.confidence)) is not None:
                    return there
        return None

    @property
    def size_bytes(self) -> int:
        """Of all open models together."""
        return sum(size for _, size, _ in self._there.values())

    def __len__(self) -> int:
        return len(self._there)


def _key(options: ModelOptions, without: str = "") -> tuple[object, ...]:
    # one that is to be shown what to look for is opened without classes; what it is shown, the job decides
    shown = getattr(options, "like", None) is not None
    return (shown, *(getattr(options, field.name) for field in fields(ModelOptions) if field.name != without))
