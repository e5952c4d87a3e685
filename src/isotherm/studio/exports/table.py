"""The figures of a run's maps as a table for a spreadsheet. No torch here."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from isotherm.studio.view_files import pictures_of, view_of

FACTS = ("label", "method", "layer", "model", "score", "probability", "confidence", "kind", "signed")
STATISTICS = ("min", "max", "sum", "entropy_nats")
BESIDE = ("value", "random", "spread", "centre")
RISKY = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What a spreadsheet takes for the beginning of a formula."""

COLUMNS = (
    "picture",
    "index",
    "map",
    "moment_s",
    *FACTS,
    *STATISTICS,
    "peak_x",
    "peak_y",
    "verdict",
    "evidence_gain",
    *(f"{name}_{part}" for name in ("deletion", "insertion") for part in BESIDE),
    "similarity_to_random_weights",
    "trust",
    "error",
)


def statistics_csv(folder: Path) -> bytes:
    """A line for each map of a run, and one for each picture that failed or has none.

    Args:
        folder: the run's.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\r\n")
    writer.writeheader()
    writer.writerows({name: safe_cell(value) for name, value in row.items()} for row in _rows(folder))
    return text.getvalue().encode("utf-8-sig")  # spreadsheets take other text for latin-1


def safe_cell(value: Any) -> Any:
    """A cell that no spreadsheet takes for a formula: text that begins like one gets an apostrophe.

    Example:
        >>> safe_cell("=HYPERLINK(A1)"), safe_cell("cat"), safe_cell(-1.5), safe_cell(None)
        ("'=HYPERLINK(A1)", 'cat', -1.5, '')
    """
    if value is None:
        return ""
    if not isinstance(value, str):
        return value
    return f"'{value}" if value.lstrip(" ").startswith(RISKY) else value


def _rows(folder: Path) -> Iterator[dict[str, Any]]:
    for picture in pictures_of(folder):
        place = {"picture": picture["name"], "index": picture["index"]}
        if picture["status"] != "done":
            yield {**place, "error": picture["error"]}
            continue
        view = view_of(folder, picture["index"])
        if not view["maps"]:
            yield {**place, "moment_s": view["moment_s"]}
        for i, one in enumerate(view["maps"]):
            yield {**place, "map": i, "moment_s": view["moment_s"], **_figures(one)}


def _figures(one: Mapping[str, Any]) -> dict[str, Any]:
    statistics, judgement = one.get("statistics") or {}, one.get("judgement") or {}
    x, y = statistics.get("peak_xy") or (None, None)
    beside = {
        f"{name}_{part}": (judgement.get(name) or {}).get(part) for name in ("deletion", "insertion") for part in BESIDE
    }
    return {
        **_some(one, FACTS),
        **_some(statistics, STATISTICS),
        "peak_x": x,
        "peak_y": y,
        "verdict": one.get("verdict"),
        **beside,
        "evidence_gain": _gain(judgement.get("gain")),
        "similarity_to_random_weights": judgement.get("similarity"),
        "trust": one.get("trust"),
    }


def _gain(gain: Mapping[str, Any] | None) -> float | None:
    """Of a map's record; None where it was not measured, or is no number."""
    pairs = list(zip(gain["kept"], gain["cut"], strict=True)) if gain else []
    known = pairs and all(isinstance(value, int | float) for pair in pairs for value in pair)
    return sum(kept - cut for kept, cut in pairs) / len(pairs) if known else None


def _some(facts: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: facts.get(name) for name in names}
