"""A probability in words."""

from __future__ import annotations


def percent(probability: float) -> str:
    """A probability in whole per cent; never 0 or 100, which neither a softmax nor a sigmoid can reach.

    Example:
        >>> percent(0.3941), percent(0.001), percent(0.9999)
        ('39 %', '<1 %', '>99 %')
    """
    if probability < 0.005:
        return "<1 %"
    return ">99 %" if probability >= 0.995 else f"{100 * probability:.0f} %"
