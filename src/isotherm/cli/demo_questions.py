"""The demo's questions: what the shipped vision-language model's answers rest on, beside the truth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from rich.table import Table

from isotherm.api import explain
from isotherm.cam.explanation import Explanation
from isotherm.data.shape_questions import HELD_OUT, Kind, ShapeQuestion, make_question
from isotherm.draw import ReportEntry, comparison_grid, save_picture
from isotherm.frame import Frame
from isotherm.heatmap import Heatmap
from isotherm.jobs.explain.outputs import entry_of
from isotherm.metrics.localisation import energy_inside
from isotherm.models.choose import open_view
from isotherm.ops.resample import to_source
from isotherm.runs.record import Run
from isotherm.vlm.view import LanguageView

QUESTIONS: Sequence[tuple[Kind, int]] = (("count", 28), ("count", 20), ("where", 18))
"""Kinds of question, and which held-out one of them."""
METHODS = ("propagation", "attention_gradient", "attention")
SCALE = 8
"""How much the pictures of 48 pixels are enlarged to be looked at."""


def ask_questions(record: Run) -> tuple[Table, list[ReportEntry], str]:
    """A table, the report's entries and the model's name; pictures and maps are written into the run."""
    opened = open_view("tiny-vlm")
    view = opened.view
    assert isinstance(view, LanguageView)
    table = Table(
        title=f"{view.name}: what it answered, and share of positive relevance on what the answer rests on", box=None
    )
    for column in ("question", "answer", "truth", "it covers", *METHODS):
        table.add_column(column)
    entries = []
    for number, (kind, index) in enumerate(QUESTIONS, 1):
        q = make_question(HELD_OUT[index], kind)
        fpath = record.fpath(f"shapes-{number}.png", ".png")
        Image.fromarray(q.picture).save(fpath)
        command = (
            f"isotherm explain {fpath.name} --model tiny-vlm --prompt {q.question!r} --compare {','.join(METHODS)}"
        )
        explanation = explain(opened, fpath, prompt=q.question, method=list(METHODS), name=fpath.name)
        maps = [_enlarged(m) for m in explanation]
        assert maps[0].picture is not None
        panel = comparison_grid([[_truth(q), *maps]], maps[0].picture, column_names=["truth", *METHODS])
        save_picture(panel, record.fpath(f"shapes-{number}-maps.png", ".png"), command=command)
        table.add_row(
            q.question, explanation.answer or "nothing", q.answer, f"{q.evidence.mean():.0%}", *_shares(q, explanation)
        )
        record.done(fpath.name, question=q.question, answer=explanation.answer, trust=list(explanation.trust_lines))
        entries.append(entry_of(explanation, fpath.name, command))
    return table, entries, view.name


def _enlarged(heatmap: Heatmap) -> Heatmap:
    """The map over its picture with every pixel as a square, so that there is something to see."""
    assert heatmap.picture is not None
    picture = np.repeat(np.repeat(heatmap.picture, SCALE, 0), SCALE, 1)
    return heatmap.with_(frame=Frame.resize(picture.shape[:2], heatmap.frame.size), picture=picture)


def _truth(q: ShapeQuestion) -> Heatmap:
    evidence = torch.from_numpy(q.evidence).float()
    return Heatmap(
        evidence,
        Frame.resize((SCALE * evidence.shape[0], SCALE * evidence.shape[1]), (evidence.shape[0], evidence.shape[1])),
        "relevance",
        label=q.question,
    )


def _shares(q: ShapeQuestion, explanation: Explanation) -> list[str]:
    evidence = torch.from_numpy(q.evidence)[None]
    return [f"{float(energy_inside(to_source(m.values, m.frame)[None], evidence)):.0%}" for m in explanation]
