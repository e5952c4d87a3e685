"""The run-time type checker of the tests: beartype, where an int is a float as everywhere else in Python."""

from collections.abc import Callable
from typing import Any

from beartype import BeartypeConf, beartype

CHECK = beartype(conf=BeartypeConf(is_pep484_tower=True))
INNER: dict[tuple[str, str, str], Callable[..., Any]] = {}
"""The checks of functions that are written within others."""


def checked(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function whose checks are made when it is first called: making those of all functions took a third of collecting."""
    checking = None

    def checked_at_the_first_call(*args: Any, **kwargs: Any) -> Any:
        nonlocal checking
        if checking is None:
            checking = inner_check(function) if is_inner_signature(function) else CHECK(function)
        return checking(*args, **kwargs)

    return checked_at_the_first_call


def is_inner_signature(function: Callable[..., Any]) -> bool:
    """Whether jaxtyping made this, to stand for the signature of a function that is written within another.

    Such a function has no body, and its source is a string.
    """
    return "<locals>" in function.__qualname__ and function.__code__.co_filename == "<string>"


def inner_check(signature: Callable[..., Any]) -> Callable[..., Any]:
    """The checks of such a signature: the inner function is made anew whenever the outer one runs, its checks are not.

    jaxtyping makes its types anew as well, so annotations are compared by what they are written as.
    """
    place = signature.__module__, signature.__qualname__, repr(signature.__annotations__)
    if place not in INNER:
        INNER[place] = CHECK(signature)
    return INNER[place]
