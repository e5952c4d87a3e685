"""The run-time type checker of the tests: beartype, where an int is a float as everywhere else in Python, and jaxtyping.

What jaxtyping puts around a function binds its arguments in Python, twice checks each of them, and takes longer to make
than most functions to run. Here beartype checks each of them once, and functions that take or return arrays with shapes
get a note of sizes of their own, by which jaxtyping knows what the names of dimensions stand for. The checks of a
function are made when it is first called.
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
from jaxtyping._storage import pop_shape_memo, push_shape_memo

# isotherm names places in a model's code, and passes over frames of jaxtyping on the way to them: ours are such frames
__name__ = "jaxtyping.checker"

CHECK = beartype(conf=BeartypeConf(is_pep484_tower=True))
WITH_SHAPES = jaxtyping.jaxtyped
"""jaxtyping's own decorator."""
MADE: dict[tuple[Any, str], tuple[Any, bool]] = {}
"""The checks of each function's code and annotations, and whether there are shapes among these."""


def install() -> None:
    """What jaxtyping's import hook writes above every function and class becomes ours."""
    jaxtyping.jaxtyped = jaxtyped


def jaxtyped(function: Any = None, *, typechecker: Any) -> Any:
    """A function whose checks are made when it is first called: making those of all functions took a third of collecting."""
    if function is None:
        return partial(jaxtyped, typechecker=typechecker)
    if not isinstance(function, FunctionType):
        return WITH_SHAPES(function, typechecker=typechecker)
    if not function.__annotations__:
        return function
    checking: Callable[..., Any] | None = None

    @wraps(function)
    def checked_at_the_first_call(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        nonlocal checking
        if jaxtyping.config.jaxtyping_disable:
            return function(*args, **kwargs)
        if checking is None:
            checking = once(function) or WITH_SHAPES(function, typechecker=typechecker)
        try:
            return checking(*args, **kwargs)
        except BeartypeCallHintViolation as error:
            what = "parameters" if isinstance(error, BeartypeCallHintParamViolation) else "return value"
            place = f"{function.__module__}.{function.__qualname__}"
            raise TypeCheckError(f"Type-check error whilst checking the {what} of {place}.\n{error}") from error

    return checked_at_the_first_call


def once(function: FunctionType) -> Callable[..., Any] | None:
    """The same function with each value checked once; None where there is more around it than a body."""
    if function.__code__.co_flags & (inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR):
        return None
    place = function.__code__, repr(function.__annotations__)
    if place not in MADE:
        hints = {name: resolved(hint, function.__globals__) for name, hint in function.__annotations__.items()}
        MADE[place] = CHECK(plain(function, hints)), any(has_shapes(hint) for hint in hints.values())
    checking, are_shapes = MADE[place]
    checking = around(
        function, checking
    )  # one within another is made anew whenever the outer one runs, its checks are not
    return with_sizes(function, checking) if are_shapes else checking


def plain(function: FunctionType, hints: dict[str, Any]) -> FunctionType:
    """The same function with other annotations."""
    same = FunctionType(
        function.__code__, function.__globals__, function.__name__, function.__defaults__, function.__closure__
    )
    same.__kwdefaults__, same.__annotations__ = function.__kwdefaults__, hints
    same.__qualname__, same.__module__ = function.__qualname__, function.__module__
    return same


def around(function: FunctionType, checking: FunctionType) -> Callable[..., Any]:
    """Checks that were made for one function around another of the same code: beartype hands it on as a default."""
    if "__beartype_func" not in (checking.__kwdefaults__ or {}):  # there is nothing to be checked
        return function
    same = FunctionType(checking.__code__, checking.__globals__, checking.__name__)
    same.__kwdefaults__ = {**checking.__kwdefaults__, "__beartype_func": function}
    return same


def with_sizes(function: Callable[..., Any], checking: Callable[..., Any]) -> Callable[..., Any]:
    """The same checks, in which a name of a dimension stands for one size in all arguments and the return value."""
    signature = inspect.signature(function) if "{" in str(function.__annotations__) else None

    def noting_sizes(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        bound = {}
        if signature is not None:  # a size is worked out from the arguments
            (given := signature.bind(*args, **kwargs)).apply_defaults()
            bound = given.arguments
        push_shape_memo(bound)
        try:
            return checking(*args, **kwargs)
        finally:
            pop_shape_memo()

    return noting_sizes


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
            checking = CHECK(function)
        return checking(*args, **kwargs)

    return checked_at_the_first_call
