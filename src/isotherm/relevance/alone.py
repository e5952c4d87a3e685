"""One thread at a time for each model: hooks and randomised weights belong to the model, and not to who set them.

Several threads that explain one model would otherwise see one another's forward passes.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from weakref import WeakKeyDictionary

from torch import nn

_locks: WeakKeyDictionary[nn.Module, threading.RLock] = WeakKeyDictionary()
_making = threading.Lock()


@contextmanager
def alone(model: object) -> Iterator[None]:
    """Wait until no other thread explains this model, and let none do so meanwhile.

    Args:
        model: a module, or what has one as ``model``, as views do; anything else is not waited for.
    """
    module = model if isinstance(model, nn.Module) else getattr(model, "model", None)
    if not isinstance(module, nn.Module):
        yield
        return
    with _making:
        lock = _locks.setdefault(module, threading.RLock())
    with lock:
        yield
