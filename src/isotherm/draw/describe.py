"""What is said about a heatmap in words: its label, what its ``meta`` tells of how it was made, what its colours stand
for, and why it has nothing to say.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch

from isotherm.draw.colour import Scale
from isotherm.heatmap import Heatmap

NO_EVIDENCE = "no positive evidence"
NO_VALUE = "no finite value"
CAPTIONS = {"logits": "logit", "probability": "probability", "peak": "peak", "relevance": "relevance"}


def title_of(heatmap: Heatmap, fallback: str = "heatmap") -> str:
    """The label, or ``fallback`` where there is none."""
    return heatmap.label or fallback


def text_of(value: Any) -> str:
    """A value of ``meta`` for a person: numbers in four digits, lists with commas, pairs with colons."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{k}: {text_of(v)}" for k, v in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(text_of(v) for v in value)
    return str(value)


def facts_of(heatmap: Heatmap) -> dict[str, str]:
    """Method, layer, score and trust line from ``meta``, where they are there; keys ``layers`` count as ``layer``."""
    meta = heatmap.meta
    facts = {
        "method": meta.get("method"),
        "layer": meta.get("layer", meta.get("layers")),
        "score": meta.get("score"),
        "trust": meta.get("trust"),
    }
    return {name: text_of(value) for name, value in facts.items() if value not in (None, "", [])}


def line_of(heatmap: Heatmap) -> str:
    """One line: when it is, of a clip; what the map is, how it was made, and whether it has anything to say."""
    parts = [*heatmap.moments.names] if heatmap.moments is not None and heatmap.values.ndim == 2 else []
    parts += [text for name, text in facts_of(heatmap).items() if name in ("method", "layer")]
    parts.append("signed" if heatmap.signed and parts else heatmap.kind + (", signed" if heatmap.signed else ""))
    if is_silent(heatmap):
        parts.append(silence_of(heatmap))
    return " · ".join(parts)


def box_of(heatmap: Heatmap) -> list[float] | None:
    """The box (x0, y0, x1, y1) in source pixels of what the map explains, from ``meta``, where it is one."""
    box = heatmap.meta.get("box")
    if not isinstance(box, (list, tuple)) or len(box) != 4:
        return None
    numbers = [float(v) for v in box if isinstance(v, (int, float)) and math.isfinite(v)]
    return numbers if len(numbers) == 4 and numbers[0] <= numbers[2] and numbers[1] <= numbers[3] else None


def is_silent(heatmap: Heatmap) -> bool:
    """True for a map that has nothing to say: no finite value, or none above 0. Logits have no zero, so finite ones
    always speak.
    """
    return bool(silence_of(heatmap))


def silence_of(heatmap: Heatmap) -> str:
    """Why a map has nothing to say, in words; empty where it has."""
    if not bool(torch.isfinite(heatmap.values).any()):
        return NO_VALUE
    return "" if heatmap.kind == "logits" or heatmap.has_evidence else NO_EVIDENCE


def span_text(heatmap: Heatmap, scale: Scale) -> str:
    """What the ends of a map's colours stand for, in a few characters."""
    if is_silent(heatmap) and scale.is_empty:
        return "nothing above 0" if heatmap.values.isfinite().any() else silence_of(heatmap)
    return f"{'≤ ' if scale.beyond else ''}{scale.low:.3g} to {scale.high:.3g}"
