"""What is said of a heatmap: in words, its label, how it was made, what its colours stand for and why it has nothing to
say; and as data, what a page's viewer takes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from isotherm.draw.colour import Scale, scale_of
from isotherm.heatmap import Heatmap
from isotherm.ops.percent import percent
from isotherm.ops.resample import to_frame

MOST_CELLS = 1 << 20
"""Larger maps are made smaller to about this many cells, and the page says so."""

NO_EVIDENCE = "no positive evidence"
NO_VALUE = "no finite value"
CAPTIONS = {"logits": "logit", "probability": "probability", "peak": "peak", "relevance": "relevance"}


def title_of(heatmap: Heatmap, fallback: str = "heatmap") -> str:
    """The label, or ``fallback`` where there is none; with the probability that a sigmoid gives the class.

    A class's share of one softmax, and the confidence of a finding, stand in the label already; where that confidence
    is not the class's alone, its probability is added too.

    Example:
        >>> from isotherm.frame import Frame
        >>> values, frame = torch.ones(2, 2), Frame.identity((2, 2))
        >>> meta = {"activation": "sigmoid", "probability": 0.97}
        >>> title_of(Heatmap(values, frame, "relevance", label="gear", meta=meta))
        'gear 97 %'
    """
    if heatmap.label and heatmap.meta.get("activation") == "sigmoid" and "probability" in heatmap.meta:
        of_finding = ", class" if "confidence" in heatmap.meta else ""
        return f"{heatmap.label}{of_finding} {percent(heatmap.meta['probability'])}"
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
    if silence := silence_of(heatmap):
        parts.append(silence)
    return " · ".join(parts)


def box_of(heatmap: Heatmap) -> list[float] | None:
    """The box (x0, y0, x1, y1) in source pixels of what the map explains, from ``meta``, where it is one."""
    box = heatmap.meta.get("box")
    if not isinstance(box, (list, tuple)) or len(box) != 4:
        return None
    numbers = [float(v) for v in box if isinstance(v, (int, float)) and math.isfinite(v)]
    return numbers if len(numbers) == 4 and numbers[0] <= numbers[2] and numbers[1] <= numbers[3] else None


def silence_of(heatmap: Heatmap) -> str:
    """Why a map has nothing to say, in words; empty where it has. Logits have no zero, so finite ones always speak."""
    if not bool(torch.isfinite(heatmap.values).any()):
        return NO_VALUE
    return "" if heatmap.kind == "logits" or heatmap.has_evidence else NO_EVIDENCE


def span_text(heatmap: Heatmap, scale: Scale) -> str:
    """What the ends of a map's colours stand for, in a few characters."""
    if scale.is_empty and (silence := silence_of(heatmap)):
        return silence if silence == NO_VALUE else "nothing above 0"
    return f"{'≤ ' if scale.beyond else ''}{scale.low:.3g} to {scale.high:.3g}"


def page_map(heatmap: Heatmap, scale: Scale | None = None) -> tuple[dict[str, Any], Float[Tensor, "h w"]]:
    """What the viewer must know of a map, as JSON can hold it, and its values.

    Args:
        heatmap: a single map.
        scale: that it shares with others; by default its own.
    """
    scale = scale or scale_of(heatmap)
    values, frame = heatmap.values.detach().cpu().float(), heatmap.frame
    if values.numel() > MOST_CELLS:
        factor = (MOST_CELLS / values.numel()) ** 0.5
        smaller = frame.resized((max(1, int(frame.size[0] * factor)), max(1, int(frame.size[1] * factor))))
        values, frame = to_frame(values, frame, smaller, outside="edge"), smaller
    finite = values[torch.isfinite(values)]
    facts = {
        "label": heatmap.label,
        "kind": heatmap.kind,
        "signed": heatmap.signed,
        "silent": silence_of(heatmap),
        "low": scale.low,
        "high": scale.high,
        "beyond": scale.beyond,
        "lowest": float(finite.min()) if finite.numel() else 0.0,
        "h": frame.size[0],
        "w": frame.size[1],
        "m": frame.from_source.flatten().tolist(),
        "limits": frame.limits,
        "box": box_of(heatmap),
    }
    return facts, values


def in_halves(values: Float[Tensor, "h w"]) -> tuple[float, Shaped[np.ndarray, "h w"]]:
    """The largest magnitude of a map, and its values in units of it as little-endian float16, infinities and all."""
    finite = values[torch.isfinite(values)]
    unit = float(finite.abs().max()) if finite.numel() else 0.0
    unit = unit or 1.0
    return unit, (values.double() / unit).numpy().astype("<f2")
