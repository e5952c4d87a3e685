"""What the parts of the studio's interface work with, in one place."""

from __future__ import annotations

from dataclasses import dataclass

from isotherm.studio.requests import SHIPPED
from isotherm.studio.store.history import History
from isotherm.studio.work.workroom import Workroom


@dataclass(frozen=True, kw_only=True)
class Studio:
    """A running studio.

    Args:
        history: runs, pictures and remarks, across restarts.
        room: where runs wait and are worked on.
        models: that may be asked for, by the names that ``--model`` takes.
    """

    history: History
    room: Workroom
    models: tuple[str, ...] = SHIPPED
