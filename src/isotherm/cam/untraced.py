"""A dispatch mode that torch's compiler passes over, and that does not load the compiler where nobody compiles.

torch wraps each ``__torch_dispatch__`` that is written in a mode's own class, so that its compiler passes over it. The
first call of the wrapper imports the compiler, which takes over a second: of every program that explains one picture.
A method that is inherited is left as it is.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode


class _Dispatch:
    """What a mode inherits, so that torch does not wrap it."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        return self.handle(func, args, kwargs or {})  # type: ignore[attr-defined]


class Untraced(ABC, _Dispatch, TorchDispatchMode):
    """A mode whose :meth:`handle` is never compiled.

    Where the compiler is loaded when a mode is made, a part of the model may be compiled; the mode is then of a class
    of its own, whose method torch did wrap.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Untraced:
        return super().__new__(_wrapped(cls) if "torch._dynamo" in sys.modules else cls)

    @abstractmethod
    def handle(self, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """What an operation gives while the mode is active.

        Args:
            func: the operation, of ``torch.ops``.
            args, kwargs: what it is called with.
        """


@cache
def _wrapped(mode: type[Untraced]) -> type[Untraced]:
    return type(mode.__name__, (mode,), {"__torch_dispatch__": mode.__torch_dispatch__})
