"""The run-time type checker of the tests: beartype, where an int is a float as everywhere else in Python."""

from collections.abc import Callable
from typing import Any

from beartype import BeartypeConf, beartype

CHECK = beartype(conf=BeartypeConf(is_pep484_tower=True))


def checked(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function whose checks are made when it is first called: making those of all functions took a third of collecting."""
    checking = None

    def checked_at_the_first_call(*args: Any, **kwargs: Any) -> Any:
        nonlocal checking
        if checking is None:
            checking = CHECK(function)
        return checking(*args, **kwargs)

    return checked_at_the_first_call
