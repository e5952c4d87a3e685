"""What a view takes for granted of its class names, and of what was declared for other weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from isotherm.cam.premises import Premise, Source

NAMES_CAN_BE_GIVEN = "names can be given"


def names_premise(data_set: str, count: int, *, source: Source = "assumed", why: str | None = None) -> Premise:
    """The class names of a data set, given to a model with as many outputs."""
    return Premise(
        about="class names",
        value=f"those of {data_set}",
        source=source,
        why=why or f"the model has as many outputs, {count}; {NAMES_CAN_BE_GIVEN}",
    )


def assumed(premises: Sequence[Premise], about: str, why: str, *, unless: str = "") -> tuple[Premise, ...]:
    """Premises of which what was declared for other weights is no more than an assumption.

    Args:
        about: which of them. unless: what holds whatever the weights are, by its reason.
    """
    return tuple(
        replace(p, source="assumed", why=why) if p.about == about and p.source == "declared" and p.why != unless else p
        for p in premises
    )
