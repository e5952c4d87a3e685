"""What the history keeps of a run's maps, read from its record."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from isotherm.runs.read import read_items
from isotherm.studio.store.query import MapFacts


def maps_in(folder: Path) -> list[MapFacts]:
    """What the history keeps of the maps of a run's folder, in their order."""
    return [
        MapFacts(
            picture=str(item["name"]),
            label=class_of(facts, item.get("findings", ())),
            method=str(facts.get("method", "")),
            layers=str(facts.get("layer", "")),
            verdict=facts.get("verdict"),
            statistics=facts.get("statistics", {}),
        )
        for item in read_items(folder)
        if item.get("status") == "done"
        for facts in item.get("maps", ())
    ]


def class_of(facts: Mapping[str, Any], findings: Sequence[Mapping[str, Any]]) -> str:
    """What a map is of, without how sure the model is of it, so that maps of one class are found together.

    Args:
        facts: of the map, as in the run's record.
        findings: of its picture.

    Example:
        >>> class_of({"label": "tiger cat 39 %", "probability": 0.39}, [])
        'tiger cat'
        >>> class_of({"label": "vinegar 5 %", "probability": 0.39, "activation": "sigmoid"}, [])
        'vinegar 5 %'
    """
    label = str(facts.get("label", ""))
    number = facts.get("finding")
    if isinstance(number, int) and 0 <= number < len(findings):
        return str(findings[number]["label"])
    # a softmax's share stands behind the name; what a sigmoid gives does not, and a class may be called "vinegar 5 %"
    shared = facts.get("probability") is not None and facts.get("activation", "softmax") == "softmax"
    return re.sub(r" [<>]?\d+ %$", "", label) if shared else label
