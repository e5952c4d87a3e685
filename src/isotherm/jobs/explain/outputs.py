"""What is written for one explained picture: overlays, a panel, raw maps, a record, an entry of the report, lines for a
console.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import zip_longest
from typing import Any

import numpy as np
import torch
from PIL import Image

from isotherm.cam.explanation import Explanation, score_words
from isotherm.cam.premises import RANDOM, premises_of
from isotherm.cam.same import is_first
from isotherm.data.sources import Item
from isotherm.draw import ReportEntry, Scale, Style, comparison_grid, overlay, renormalise_in_boxes, save_picture
from isotherm.draw.describe import title_of
from isotherm.errors import OptionError
from isotherm.heatmap import Heatmap
from isotherm.metrics.trust import Trust
from isotherm.models.choose import OpenModel
from isotherm.runs.record import ENDED_EARLY, Run, Summary

MOST_ROWS = 12
"""Findings in a panel; the report has all of them."""


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """Where a job's outputs go, and how they look.

    Args:
        run: the record that names the files.
        style: how maps are drawn.
        raw: format of the raw maps, npz, safetensors or none.
        command: the words that ask for this again, printed under every picture.
        methods: how many maps there are for each target: of every method, or of every method at every layer.
        layers_apart: each layer has a map of its own.
        renormalise: draw maps within their boxes alone, each by the box's own maximum.
        show_boxes: draw the boxes.
    """

    run: Run
    style: Style
    raw: str
    command: str
    methods: int
    layers_apart: bool = False
    renormalise: bool = False
    show_boxes: bool = True

    def drawn(self, heatmap: Heatmap, boxes: Sequence[Sequence[float]]) -> Heatmap:
        """The map as it is drawn, for what is in boxes.

        Raises:
            OptionError: it is to be renormalised in boxes, and there are none.
        """
        if not self.renormalise:
            return heatmap
        if not boxes:
            raise OptionError(
                f"--renormalise draws a map within the box of a finding, and {heatmap.label} has none; it is for detectors"
            )
        return renormalise_in_boxes(heatmap, boxes)


def model_facts(opened: OpenModel, asked_for: str) -> dict[str, Any]:
    """What a run's record says of its model: its name, how it was chosen, what is taken for granted, and what nobody
    should look at a map without knowing.
    """
    premises = premises_of(opened.view)
    return {
        "name": opened.view.name,
        "asked_for": asked_for,
        "chosen": opened.reason,
        "premises": [asdict(p) for p in premises],
        "warnings": [str(p) for p in premises if p.alarming],
    }


def write_maps(explanation: Explanation, name: str, outputs: Outputs, scale: Scale | None) -> list[str]:
    """Raw maps and one overlay each; returns the files' names."""
    written = []
    picture = Image.fromarray(explanation.picture)
    for i, heatmap in enumerate(explanation):
        boxes = _boxes(heatmap)
        shown = outputs.drawn(heatmap, boxes)  # refused before anything is written
        written += _raw(heatmap, i, name, outputs)
        if not is_first(heatmap):
            continue
        drawn = overlay(
            shown,
            picture,
            style=outputs.style,
            scale=scale,
            colour_bar=True,
            boxes=boxes if outputs.show_boxes and boxes else None,
            labels=[title_of(heatmap)] if outputs.show_boxes and boxes else None,
            title=" · ".join(
                [
                    f"{title_of(heatmap)} · {heatmap.meta['method']} at {heatmap.meta['layer']}",
                    *([RANDOM] if explanation.warnings else []),
                    *explanation.question_lines,
                ]
            ),
        )
        fpath = outputs.run.fpath(name, ".jpg", part=_part(heatmap, i))
        written.append(save_picture(drawn, fpath, command=outputs.command).name)
    return written


def write_raw(explanation: Explanation, name: str, outputs: Outputs) -> list[str]:
    """The raw maps alone, in the format that was asked for; returns the files' names, none where no maps are wanted."""
    if outputs.renormalise:  # refused before anything is written
        for heatmap in explanation:
            outputs.drawn(heatmap, _boxes(heatmap))
    return [fname for i, heatmap in enumerate(explanation) for fname in _raw(heatmap, i, name, outputs)]


def _raw(heatmap: Heatmap, i: int, name: str, outputs: Outputs) -> list[str]:
    if outputs.raw == "none":
        return []
    return [heatmap.save(outputs.run.fpath(name, f".{outputs.raw}", part=_part(heatmap, i))).name]


def _part(heatmap: Heatmap, i: int) -> str:
    """Which of a picture's maps this is, in the names of its files."""
    return f"{i:02d}-{heatmap.label}-{heatmap.meta['method']}"


def write_panel(explanation: Explanation, name: str, outputs: Outputs) -> str | None:
    """All maps at a glance: targets in rows, methods in columns."""
    if not len(explanation):
        return None
    rows = [
        [m for m in explanation[i : i + outputs.methods] if is_first(m)]
        for i in range(0, len(explanation), outputs.methods)
    ]
    left = len(rows) - MOST_ROWS
    boxes = [_boxes(m[0]) if outputs.show_boxes and _boxes(m[0]) else None for m in rows[:MOST_ROWS]]
    panel = comparison_grid(
        [[outputs.drawn(m, _boxes(m)) for m in row] for row in rows[:MOST_ROWS]],
        explanation.picture,
        column_names=[column_name(m, outputs.layers_apart) for m in rows[0]],
        boxes=boxes,
        style=outputs.style,
        title=" · ".join(
            [
                explanation.name + (f" ({left} more in the report)" if left > 0 else ""),
                *([RANDOM] if explanation.warnings else []),
                *explanation.question_lines,
            ]
        ),
    )
    return save_picture(panel, outputs.run.fpath(name, ".jpg"), command=outputs.command).name


def column_name(heatmap: Heatmap, with_layer: bool) -> str:
    """What the maps of one method, or of one method at one layer, are called."""
    return f"{heatmap.meta['method']} at {heatmap.meta['layer']}" if with_layer else str(heatmap.meta["method"])


def time_of(item: Item) -> dict[str, Any]:
    """When in its video an item was, where it was in one."""
    return {} if item.time_s is None else {"time_s": item.time_s}


def record_of(explanation: Explanation, files: list[str], *, checking: bool = False) -> dict[str, Any]:
    """Provenance of one picture: the question and its answer, every map's facts, statistics and frame, every finding,
    every file.

    Args:
        explanation: of the picture.
        files: names of its own.
        checking: its maps are still to be checked: those that will be say so, and nobody is made to wait for verdicts.
    """
    judged = (
        [{"checking": True} if wanted else {"trust": None} for wanted in explanation.to_be_judged]
        if checking
        else [
            {"trust": line} | _judged(trust, explanation.unjudged)
            for _, line, trust in zip_longest(explanation, explanation.trust_lines, explanation.trust)
        ]
    )
    question = (
        {}
        if explanation.prompt is None
        else {"question": explanation.prompt, "answer": explanation.answer, "forced": explanation.forced}
    )
    return question | {
        "maps": [_facts(heatmap) | verdict for heatmap, verdict in zip(explanation, judged, strict=True)],
        "findings": [{"label": f.label, "confidence": f.confidence, "box": list(f.box)} for f in explanation.findings],
        "chosen": list(explanation.chosen),
        "warnings": list(explanation.warnings),
        "notes": list(explanation.notes),
        "files": files,
        **({"unchecked": explanation.unjudged} if explanation.unjudged else {}),
    }


def _judged(trust: Trust | None, unjudged: str) -> dict[str, Any]:
    """The verdict as a word, and the figures that it comes from; nothing where a map was not to be judged."""
    if unjudged:
        return {"verdict": "not checked"}
    return {} if trust is None else {"verdict": trust.verdict, "judgement": asdict(trust)}


def entry_of(explanation: Explanation, source: str, command: str) -> ReportEntry:
    """The picture's part of the report; maps that are the same as others stand in a note."""
    shown = [i for i, m in enumerate(explanation) if is_first(m)]
    lines = [explanation.trust_lines[i] for i in shown] if explanation.trust_lines else []
    return ReportEntry(
        picture=explanation.picture,
        heatmaps=[explanation[i].with_(meta={**explanation[i].meta, "command": command}, picture=None) for i in shown],
        title=explanation.name,
        source=source,
        boxes=[f.box for f in explanation.findings] or None,
        labels=[f"{f.label} {f.confidence:.2f}" for f in explanation.findings] or None,
        notes=[
            *explanation.warnings,
            *explanation.chosen,
            *(n for n in explanation.notes if n not in explanation.warnings),
        ],
        trust=lines or None,
        lines=explanation.question_lines,
    )


def lines_of(explanation: Explanation) -> list[str]:
    """The lines for a console or a log: its name, its question and answer, every map with its verdict, its notes."""
    lines = [f"\n{explanation.name}", *(f"  {line}" for line in explanation.question_lines)]
    verdicts = list(explanation.trust_lines)
    for i, heatmap in enumerate(explanation):
        lines.append(f"  {i:2d}  {heatmap.label}{score_words(heatmap)}  ({heatmap.meta['method']})")
        if not is_first(heatmap):
            lines.append(f"      the same map as {heatmap.meta['same_as']}")
        elif verdicts:
            lines.append(f"      {verdicts[i]}")
    return [*lines, *note_lines(explanation)]


def note_lines(explanation: Explanation) -> list[str]:
    """The lines of a picture's notes; what alarms of the model is told once, for all pictures."""
    return [f"  note: {note}" for note in explanation.notes if note not in explanation.warnings]


def missing_lines(summary: Summary) -> list[str]:
    """What a report does not show: where the run was ended, and what could not be explained."""
    early = [f"The run was {summary.status} after {summary.reached}."] if summary.status in ENDED_EARLY else []
    return early + [f"{name} could not be explained: {reason}" for name, reason in summary.failed]


def _boxes(heatmap: Heatmap) -> list[Sequence[float]]:
    """The box of the finding that a map is of, alone in a list; none where it is of no finding."""
    return [heatmap.meta["box"]] if "box" in heatmap.meta else []


def _facts(heatmap: Heatmap) -> dict[str, Any]:
    values = heatmap.values.double()
    positive = values.clamp(min=0).flatten()
    share = positive / positive.sum() if float(positive.sum()) > 0 else positive
    entropy = float(-(share[share > 0] * share[share > 0].log()).sum())
    *moment, row, column = (int(i) for i in np.unravel_index(int(values.argmax()), tuple(values.shape)))
    at = heatmap.frame.points_to_source(torch.tensor([[column + 0.5, row + 0.5]], dtype=torch.float64))[0]
    return {
        "label": heatmap.label,
        **dict(heatmap.meta),
        "kind": heatmap.kind,
        "signed": heatmap.signed,
        "frame": heatmap.frame,
        **({} if heatmap.moments is None else {"moments": asdict(heatmap.moments)}),
        "statistics": {
            "min": float(values.min()),
            "max": float(values.max()),
            "sum": float(values.sum()),
            "entropy_nats": entropy,
            "peak_xy": [round(v, 2) for v in at.tolist()],
            **({"peak_moment": moment[-1]} if moment else {}),
        },
    }
