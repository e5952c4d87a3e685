"""Model libraries are imported without torch's compiler, over a second of every start, until somebody compiles.

torchvision imports it for one function, which it asks only where its own operations are missing or must be
deterministic; timm for a decorator of methods that few of its models have. Both are given one that waits.
"""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from types import FunctionType, ModuleType
from typing import Any

import torch

COMPILER = "torch._dynamo"
ASKED = f"{COMPILER}.utils"
"""The module that torchvision imports its function from."""

_changing = Lock()


@contextmanager
def without_compiler() -> Iterator[None]:
    """What is imported inside of this does not load torch's compiler for what it may need later; what it needs at once
    it gets.

    Nothing changes where the compiler is loaded already, or while another thread is inside of this.
    """
    with _changing:
        ours = COMPILER not in sys.modules and ASKED not in sys.modules
        if ours:
            decorate = torch.compiler.disable
            sys.modules[ASKED] = _Waiting(ASKED)
            torch.compiler.disable = _disable_later
    try:
        yield
    finally:
        if ours:
            with _changing:
                torch.compiler.disable = decorate
                _leave()


class _Waiting(ModuleType):
    """Stands where a module of the compiler will be. Everything but one function of it is asked of the module itself,
    which takes its place then.
    """

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # Python asks every module for such names, and needs none of this one
            raise AttributeError(name)
        return getattr(_the_module(), name)

    @staticmethod
    def is_compile_supported(device: Any) -> Any:
        """The function that torchvision imports."""
        return _the_module().is_compile_supported(device)


def _leave() -> None:
    if isinstance(sys.modules.get(ASKED), _Waiting):
        del sys.modules[ASKED]


def _the_module() -> ModuleType:
    _leave()
    return importlib.import_module(ASKED)


def _disable_later(function: Any = None, recursive: bool = True, *, reason: str | None = None) -> Callable[..., Any]:
    """``torch.compiler.disable``, which is done when the function is first called."""
    if function is None:
        return functools.partial(_disable_later, recursive=recursive, reason=reason)
    if not isinstance(function, FunctionType):  # a class or module, whose methods are changed
        return torch._dynamo.disable(function, recursive, reason=reason)
    return torch._disable_dynamo(function, recursive)
