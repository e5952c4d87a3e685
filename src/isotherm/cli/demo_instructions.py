"""The demo's instructions: what the shipped grounding model takes them to mean on tables that it never saw, in one
picture and, from three views, in space; beside the truth.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image
from rich.table import Table

from isotherm.data.grounding.cameras import ViewCamera
from isotherm.data.tabletop import BOUNDS, ORTHOGRAPHIC, Tabletop, make_tabletop
from isotherm.data.tabletop.instructions import Instruction, Kind
from isotherm.data.tabletop.table import HELD_OUT
from isotherm.decode import cell_probability
from isotherm.draw import ReportEntry, save_picture
from isotherm.grounding.answer import GroundingAnswer
from isotherm.grounding.space import lift_heatmaps
from isotherm.heatmap import Heatmap
from isotherm.runs.file import to_json
from isotherm.runs.record import Run
from isotherm.train.grounding.build import TrainedGrounding, open_grounding
from isotherm.train.grounding.pictures import draw_answer
from isotherm.train.grounding.predict import predict_grounding

ASKED: Sequence[tuple[int, Kind]] = ((0, "pick"), (1, "relation"), (2, "place"))
"""Held-out tables, and which kind of instruction is asked for on each."""
SIDE = 256
"""Of the pictures; the model sees them in its own size."""


def follow_instructions(record: Run) -> tuple[Table, list[ReportEntry], str]:
    """A table, the report's entries and the model's name; pictures and maps are written into the run.

    Raises:
        MissingExtraError: the language model's package is not installed.
    """
    trained, which = open_grounding()
    table = Table(title="tiny-grounding: what it takes instructions to mean, on tables that it never saw", box=None)
    for column in ("instruction", "confidence", "answer", "truth", "off by"):
        table.add_column(column)
    entries = []
    for number, (index, kind) in enumerate(ASKED, 1):
        shown = make_tabletop(HELD_OUT[index], size=SIDE, samples=1, views=tuple(ORTHOGRAPHIC))
        instruction = next(i for i in shown.instructions if i.kind == kind)
        answers = _answers(trained, shown, instruction.text)
        name = f"table-{number}-top.png"
        for view, picture in shown.views.items():
            Image.fromarray(picture.picture).save(record.fpath(f"table-{number}-{view}.png", ".png"))
        command = f'isotherm predict grounding {name} "{instruction.text}"'
        answer, truth = answers["top"], torch.tensor(shown.points(instruction)["top"])
        save_picture(
            draw_answer(answer, truth=truth[None]), record.fpath(f"table-{number}-top-map.png", ".png"), command=command
        )
        table.add_row(*_row(instruction.text, answer, truth))
        lifted = _lifted(record, number, shown, instruction, answers, table)
        record.done(name, instruction=instruction.text, answered=answer.answered, **lifted)
        entries.append(_entry(answer, name, command, truth, lifted["line"]))
    return table, entries, which


def _answers(trained: TrainedGrounding, table: Tabletop, text: str) -> dict[str, GroundingAnswer]:
    """The answer in every view by name."""
    pictures = [[view.picture] for view in table.views.values()]
    answers = predict_grounding(trained, pictures, [text] * len(pictures))
    return {name: several[0] for name, several in zip(table.views, answers, strict=True)}


def _row(text: str, answer: GroundingAnswer, truth: torch.Tensor) -> list[str]:
    x, y = answer.peaks.xy[0].tolist()
    place = f"({x:.0f}, {y:.0f}) px" if answer.answered else "not sure enough"
    off = f"{float((answer.peaks.xy[0] - truth).norm()):.0f} px"
    return [text, f"{answer.confidence:.0%}", place, f"({truth[0]:.0f}, {truth[1]:.0f}) px", off]


def _lifted(
    record: Run,
    number: int,
    table: Tabletop,
    instruction: Instruction,
    answers: dict[str, GroundingAnswer],
    rows: Table,
) -> dict[str, Any]:
    """The point in space that the views agree on, as a row, and the file that ``isotherm lift`` takes."""
    axes = {name: ORTHOGRAPHIC[name] for name in answers}
    cameras = [ViewCamera(view, BOUNDS) for view in axes.values()]
    lifted = lift_heatmaps([a.heatmap for a in answers.values()], cameras, bounds=BOUNDS)
    views = [
        {"name": name, "picture": f"table-{number}-{name}.png", "camera": {"orthographic": [view.columns, view.rows]}}
        for name, view in axes.items()
    ]
    content = {"text": instruction.text, "bounds": BOUNDS, "views": views}
    record.fpath(f"table-{number}-views.json", ".json").write_text(
        json.dumps(to_json(content), indent=1, allow_nan=False)
    )
    truth = torch.tensor(instruction.point)
    off_cm = 100 * float((lifted.xyz - truth).norm())
    x, y, z = (100 * lifted.xyz).tolist()
    place = f"({x:.0f}, {y:.0f}, {z:.0f}) cm"
    disagreement = float(lifted.disagreement)
    known = ", ".join(f"{100 * v:.0f}" for v in instruction.point)
    rows.add_row(
        "  the same from three views", f"{disagreement:.1f} nats apart", place, f"({known}) cm", f"{off_cm:.1f} cm"
    )
    line = f"from three views: {place}, off by {off_cm:.1f} cm, views {disagreement:.1f} nats apart: isotherm lift table-{number}-views.json"
    return {"point_m": lifted.xyz.tolist(), "off_cm": off_cm, "disagreement_nats": disagreement, "line": line}


def _entry(answer: GroundingAnswer, name: str, command: str, truth: torch.Tensor, line: str) -> ReportEntry:
    values = cell_probability(answer.heatmap.values[None])[0]
    heatmap = Heatmap(
        values, answer.heatmap.frame, "probability", label=answer.text, meta={"command": command, "method": "grounding"}
    )
    doubt = "" if answer.answered else "not sure enough to answer; "
    x, y = answer.peaks.xy[0].tolist()
    lines = [
        f"{doubt}likeliest place ({x:.0f}, {y:.0f}), confidence {answer.confidence:.0%}; truth ({truth[0]:.0f}, {truth[1]:.0f})",
        line,
    ]
    return ReportEntry(answer.heatmap.picture, [heatmap], title=answer.text, source=name, lines=lines)
