"""The run-time type checker of the tests: beartype, where an int is a float as everywhere else in Python, and jaxtyping.

What jaxtyping puts around a function binds its arguments in Python, twice checks each of them, and takes longer to make
than most functions to run. Only functions that take or return arrays with shapes need that; the others get beartype
alone. Either is made when a function is first called.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial, wraps
from types import FunctionType
from typing import Any, TypeVar, get_args

import jaxtyping
from beartype import BeartypeConf, beartype
from beartype.roar import BeartypeCallHintParamViolation, BeartypeCallHintViolation
from jaxtyping import TypeCheckError
from jaxtyping._decorator import _destring_annotation as resolved

# isotherm names places in a model's code, and passes over frames of jaxtyping on the way to them: ours are such frames
__name__ = "jaxtyping.checker"

CHECK = beartype(conf=BeartypeConf(is_pep484_tower=True))
WITH_SHAPES = jaxtyping.jaxtyped
"""jaxtyping's own decorator."""
INNER: dict[tuple[str, str, str], Callable[..., Any]] = {}
"""The checks of functions that are written within others."""


def install() -> None:
    """What jaxtyping's import hook writes above every function and class becomes ours."""
    jaxtyping.jaxtyped = jaxtyped


def jaxtyped(function: Any = None, *, typechecker: Any) -> Any:
    """A function whose checks are made when it is first called: making those of all functions took a third of collecting."""
    if function is None:
        return partial(jaxtyped, typechecker=typechecker)
    if not isinstance(function, FunctionType):
        return WITH_SHAPES(function, typechecker=typechecker)
    checking: Callable[..., Any] | None = None

    @wraps(function)
    def checked_at_the_first_call(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        nonlocal checking
        if jaxtyping.config.jaxtyping_disable:
            return function(*args, **kwargs)
        if checking is None:
            checking = without_shapes(function) or WITH_SHAPES(function, typechecker=typechecker)
        try:
            return checking(*args, **kwargs)
        except BeartypeCallHintViolation as error:
            what = "parameters" if isinstance(error, BeartypeCallHintParamViolation) else "return value"
            place = f"{function.__module__}.{function.__qualname__}"
            raise TypeCheckError(f"Type-check error whilst checking the {what} of {place}.\n{error}") from error

    return checked_at_the_first_call


def without_shapes(function: FunctionType) -> Callable[..., Any] | None:
    """The same function with beartype alone; None where it has arrays with shapes, or more around it than a body."""
    is_inner = "<locals>" in function.__qualname__  # made anew whenever the outer one runs
    if is_inner or function.__code__.co_flags & (
        inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
    ):
        return None
    hints = {name: resolved(hint, function.__globals__) for name, hint in function.__annotations__.items()}
    if any(has_shapes(hint) for hint in hints.values()):
        return None
    same = FunctionType(
        function.__code__, function.__globals__, function.__name__, function.__defaults__, function.__closure__
    )
    same.__kwdefaults__, same.__annotations__ = function.__kwdefaults__, hints
    same.__qualname__, same.__module__ = function.__qualname__, function.__module__
    return CHECK(same)


def has_shapes(hint: Any) -> bool:
    """Whether a type of jaxtyping is in an annotation; what nobody can look into counts as one."""
    if isinstance(hint, str) or type(hint).__name__ == "ForwardRef":
        return True
    if isinstance(hint, (list, tuple)):
        return any(has_shapes(part) for part in hint)
    if isinstance(hint, TypeVar):
        return any(has_shapes(part) for part in (hint.__bound__, *hint.__constraints__))
    if hasattr(hint, "__supertype__"):
        return has_shapes(hint.__supertype__)
    if type(hint).__module__.startswith("jaxtyping") or getattr(hint, "__module__", "").startswith("jaxtyping"):
        return True
    return any(has_shapes(part) for part in get_args(hint))


def checked(function: Callable[..., Any]) -> Callable[..., Any]:
    """What jaxtyping gets as its checker of a signature: the checks are made when it is first called."""
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
