"""Networks that are built as a file describes them: how large one would be is seen before memory is asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import nn
from torch.nn.modules.module import (
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)
from torch.overrides import TorchFunctionMode

from isotherm import limits

Built = TypeVar("Built")
FILLS = frozenset(
    f"{name}_"
    for name in (
        "normal",
        "uniform",
        "trunc_normal",
        "kaiming_uniform",
        "kaiming_normal",
        "xavier_uniform",
        "xavier_normal",
    )
)
"""What fills a new layer with numbers of chance."""


def built(
    build: Callable[[], Built], check: Callable[[Built], object] = lambda bare: None, *, most: int | None = None
) -> Built:
    """What a function builds, built once without memory and then again with it.

    Args:
        build: makes modules; the same whenever it is called.
        check: raises where what was built without memory does not fit the file.
        most: numbers that it may have; None: any number of them.

    Raises:
        ValueError: it has more modules than a file may ask for, see :mod:`isotherm.limits`.

    Example:
        >>> def refuse(layer):
        ...     raise ValueError(f"the file has no weights of {tuple(layer.weight.shape)}")
        >>> built(lambda: torch.nn.Linear(1 << 30, 1 << 30), refuse)
        Traceback (most recent call last):
        ValueError: the file has no weights of (1073741824, 1073741824)
    """
    with torch.random.fork_rng(devices=[]), bare(), counted(most):
        check(build())
    return build()


@contextmanager
def bare() -> Iterator[None]:
    """While the block builds modules, they get no memory and no numbers."""
    with torch.device("meta"), _Unfilled():
        yield


class _Unfilled(TorchFunctionMode):
    """What has no memory has no numbers either; filling it all the same loads torch's compiler, for seconds."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__name__", "") in FILLS:
            return args[0] if args else (kwargs or {})["tensor"]
        return func(*args, **(kwargs or {}))


@contextmanager
def counted(most: int | None = limits.PARAMETERS) -> Iterator[None]:
    """While the block builds modules, it is ended where they are too many, or hold too many numbers.

    A module is counted before its numbers are first written, so that memory that was promised is not taken yet.

    Args:
        most: numbers; None: any number of them.

    Raises:
        ValueError: it was ended.
    """
    thread, count, numbers = threading.get_ident(), 0, 0

    def one_more() -> None:
        nonlocal count
        count += 1
        if count > limits.MODULES:
            raise ValueError(f"a network of more than {limits.MODULES} modules, more than any file may ask for")

    def of_module(module: nn.Module, name: str, inner: Any) -> None:
        if threading.get_ident() == thread:
            one_more()

    def of_parameter(module: nn.Module, name: str, value: Any) -> None:
        nonlocal numbers
        if threading.get_ident() != thread or value is None:
            return
        one_more()
        numbers += value.numel()
        if most is not None and numbers > most:
            raise ValueError(f"a network of more than {most} numbers, more than the file may ask for")

    handles = (
        register_module_module_registration_hook(of_module),
        register_module_parameter_registration_hook(of_parameter),
    )
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
