"""How much memory a computation of torch takes at its highest, counted from the allocator itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch.autograd.profiler import profile


def peak_bytes(function: Callable[[], Any]) -> int:
    """The most bytes of tensors that a call holds at once, beyond those that are there before it.

    Every tensor that is made and freed on the processor counts, in forward and backward passes. The process's resident
    memory would not do: memory that earlier tests have freed is used again, so it need not grow at all.

    Args:
        function: what is watched; what it returns is let go.
    """
    with profile(use_cpu=True, profile_memory=True) as watched:
        function()
    changes = [e for e in watched.kineto_results.events() if e.name() == "[memory]"]
    now = most = 0
    for change in sorted(changes, key=lambda e: e.start_ns()):
        now += change.nbytes()
        most = max(most, now)
    return most
