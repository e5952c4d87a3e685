"""How far a count is to be believed: why it is an estimate, what contradicts it, and what else a person should know."""

from __future__ import annotations

from collections.abc import Sequence

from isotherm.systems.counting_fusion import FusedCount
from isotherm.systems.counting_look import Look
from isotherm.vlm.view import LanguageView
from isotherm.vlm.words import unknown_words

APART = 0.2
"""Counts that differ by more than this share, and by more than 1, are said to disagree."""


def estimate_of(looks: Sequence[Look], counts: Sequence[float | None]) -> str:
    """Why a count is an estimate: views that did not answer with a number, and those whose expected number is counted
    instead.
    """
    views = [(one, counted) for one, counted in zip(looks, counts, strict=True) if one.view.role != "beside"]
    parts = [pair for pair in views if pair[0].view.role == "part"]
    if parts and all(counted is not None for _, counted in parts):
        views = parts  # the whole stands in for nobody
    silent = sum(counted is None for _, counted in views)
    expected = sum(counted is not None and counted != one.answer_count.value for one, counted in views)
    reasons = []
    if silent:
        reasons.append(
            "the model did not answer with a number"
            if len(views) == 1
            else f"{silent} of {len(views)} views did not answer with a number"
        )
    if expected:
        reasons.append(
            "it is the expected number"
            if len(views) == 1
            else f"{expected} of {len(views)} views give an expected number"
        )
    return ", ".join(reasons)


def doubts_of(
    view: LanguageView,
    category: str,
    looks: Sequence[Look],
    counts: Sequence[float | None],
    fused: FusedCount,
    whole: int | None,
) -> list[str]:
    """What contradicts a count."""
    if whole is None:
        return []
    doubts = []
    if unread := unknown_words(view, category):
        doubts.append(f"the model has no word for {', '.join(map(repr, unread))}")
    looked = counts[0] if looks[0].view.role == "whole" and any(one.view.role == "part" for one in looks) else None
    return doubts + contradictions(whole, len(fused.view), looked)


def contradictions(count: int, dots: int, whole: float | None) -> list[str]:
    """What speaks against a count, in words.

    Args:
        dots: how many it has.
        whole: what the model says of the whole picture; None: nothing, or the count is that.

    Example:
        >>> contradictions(5, 2, 2.0)
        ['it has 2 dots', 'asked about the whole picture, the model says 2']
    """
    reasons = []
    agreed = whole == dots != count  # two that agree against a third are believed, however near it is
    if _apart(count, dots) or agreed:
        reasons.append(f"it has {'no dots' if dots == 0 else '1 dot' if dots == 1 else f'{dots} dots'}")
    if whole is not None and (_apart(count, whole) or agreed):
        reasons.append(f"asked about the whole picture, the model says {whole:g}")
    return reasons


def notes_of(
    looks: Sequence[Look], counts: Sequence[float | None], fused: FusedCount, whole: int | None, known: Sequence[str]
) -> list[str]:
    """What else a person should know: views without a number, views that are not sure, and views that disagree."""
    notes = []
    parts = [one for one in looks if one.view.role == "part"]
    spoke = looks[0].view.role == "whole" and counts[0] is not None
    for one, counted in zip(looks, counts, strict=True):
        if counted is None:
            stands_in = one.view.role == "part" and spoke
            instead = (
                "what no other crop sees there is counted by the whole picture's look"
                if stands_in
                else "what no other view sees there is not counted"
            )
            notes.append(f"{one.view.name}: no count ({one.answer_count.reason}); {instead}")
        elif one.answer_count.value is None:
            notes.append(f"{one.view.name}: {one.answer_count.reason}; its expected number {counted:.2f} stands in")
        elif one.expected is not None and _apart(one.answer_count.value, one.expected):
            notes.append(
                f"{one.view.name}: the model says {one.answer_count.value:g} and expects {one.expected:.2f}, so it is not sure"
            )
    notes += dict.fromkeys(f"{one.view.name}: {note}" for one in looks for note in one.notes if note not in known)
    if abs(fused.unplaced) >= 0.5:
        notes.append(f"{fused.unplaced:.1f} of the count have no dot: the maps have fewer peaks than the model counts")
    if parts and spoke and whole is not None and _apart(whole, counts[0] or 0.0):
        notes.append(f"the crops together have {whole} and the whole picture's look {counts[0]:g}: the views disagree")
    if looks[-1].view.role == "beside" and counts[-1] is not None and spoke:
        x0, y0, x1, y1 = looks[-1].view.box
        inside = sum(x0 <= x <= x1 and y0 <= y <= y1 for x, y in looks[0].peaks.xy[fused.peak].tolist())
        if _apart(inside, counts[-1]):
            notes.append(
                f"the look at the whole has {inside} dot(s) inside of the {looks[-1].view.name}, and the look at it alone counts {counts[-1]:g}: the views disagree"
            )
    return notes


def _apart(a: float, b: float) -> bool:
    return abs(a - b) > max(1.0, APART * max(a, b))
