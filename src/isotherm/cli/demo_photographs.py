"""The demo's photographs: what a network that was really trained says of them, and where its maps lie."""

from __future__ import annotations

import shutil
from dataclasses import replace

import torch
from rich.table import Table

from isotherm.api import explain
from isotherm.cam.explanation import Explanation
from isotherm.cam.scores import TopK
from isotherm.data.photographs import PHOTOGRAPHS, Photograph
from isotherm.draw import ReportEntry, comparison_grid, save_picture
from isotherm.jobs.explain.outputs import entry_of
from isotherm.metrics.localisation import box_coverage, energy_inside
from isotherm.models.choose import open_view
from isotherm.ops.resample import seen, to_source
from isotherm.runs.record import Run

CLASSES = 2
"""How many of a photograph's likeliest classes get a map."""


def show_photographs(record: Run) -> tuple[Table, list[ReportEntry], str]:
    """A table, the report's entries and the model's name; photographs and maps are written into the run.

    Raises:
        MissingExtraError: the weights, the network or the photographs are not installed.
    """
    fpaths = [photograph.fpath for photograph in PHOTOGRAPHS]  # what is missing is noticed before the work
    opened = open_view("imagenet")
    table = Table(
        title=f"{opened.view.name}: its likeliest classes, and share of positive relevance in a box around the object",
        box=None,
    )
    for column in ("photograph", "class", "box covers", "in the box", "verdict"):
        table.add_column(column)
    entries = []
    for photograph, fpath in zip(PHOTOGRAPHS, fpaths, strict=True):
        explanation = explain(opened, fpath, target=TopK(CLASSES), name=fpath.name)
        command = f"isotherm explain {fpath.name} --model imagenet --top {CLASSES}"
        panel = comparison_grid(
            [[m] for m in explanation], explanation.picture, column_names=[str(explanation[0].meta["method"])]
        )
        save_picture(panel, record.fpath(f"{fpath.stem}-maps.png", ".png"), command=command)
        shutil.copyfile(fpath, record.dpath / fpath.name)
        for cells in _rows(photograph, explanation):
            table.add_row(*cells)
        record.done(
            fpath.name,
            source=photograph.source,
            licence=photograph.licence,
            classes=[{"class": m.label, "probability": m.meta["probability"]} for m in explanation],
            trust=list(explanation.trust_lines),
        )
        entry = entry_of(explanation, fpath.name, command)
        entries.append(replace(entry, notes=[f"photograph: {photograph.source} ({photograph.licence})", *entry.notes]))
    return table, entries, opened.view.name


def _rows(photograph: Photograph, explanation: Explanation) -> list[list[str]]:
    """A row for every class; shares are of what the network saw, since a centre crop leaves parts out."""
    height, width = explanation.picture.shape[:2]
    box = box_coverage(torch.tensor([photograph.box], dtype=torch.float32), (height, width))
    rows = []
    for heatmap, trust in zip(explanation, explanation.trust, strict=True):
        visible = seen(heatmap.frame).reshape(1, height, width)
        energy = float(energy_inside(to_source(heatmap.values, heatmap.frame)[None] * visible, box))
        verdict = "not judged" if trust is None else trust.verdict
        rows.append([photograph.file, heatmap.label, f"{float(box[visible].mean()):.0%}", f"{energy:.0%}", verdict])
    return rows
