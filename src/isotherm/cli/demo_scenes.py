"""The demo's generated scenes: what the shipped classifier and the shipped detector see in them.

The pictures are generated, so their evidence is known: the tables say how much of each map's positive relevance lies
on the very object that the class names, or that the detector found, beside the share of the picture that the object
covers.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence

import torch
from rich.table import Table

from isotherm.api import explain
from isotherm.cam.explanation import Explanation
from isotherm.cam.scores.detections import iou
from isotherm.cam.view import View
from isotherm.data.demo_pictures import DEMO_PICTURES, demo_picture_paths
from isotherm.data.scenes import Scene
from isotherm.draw import ReportEntry, comparison_grid, save_picture
from isotherm.jobs.explain.outputs import entry_of
from isotherm.metrics.localisation import energy_inside
from isotherm.models.choose import open_view
from isotherm.ops.resample import to_source
from isotherm.runs.record import Run

METHODS = ("hirescam", "gradcam", "layercam", "eigencam", "scorecam")


def show_classes(record: Run) -> tuple[Table, list[ReportEntry], str]:
    """A table, the report's entries and the classifier's name; pictures and maps are written into the run."""
    opened = open_view("scenes")
    table = Table(title=f"{opened.view.name}: share of positive relevance on the object", box=None)
    for column in ("picture", "class", "object covers", *METHODS):
        table.add_column(column)
    entries = []
    for picture, fpath in zip(DEMO_PICTURES, demo_picture_paths(), strict=True):
        scene = picture.scene
        labels = [scene.names[i] for i in scene.labels]
        explanation = explain(opened, fpath, target=labels, method=METHODS, name=fpath.name)
        command = (
            f"isotherm explain {fpath.name} --model scenes --class {','.join(labels)} --compare {','.join(METHODS)}"
        )
        rows = [list(explanation[i : i + len(METHODS)]) for i in range(0, len(explanation), len(METHODS))]
        panel = comparison_grid(rows, explanation.picture, column_names=[str(m.meta["method"]) for m in rows[0]])
        save_picture(panel, record.fpath(f"{fpath.stem}-maps.png", ".png"), command=command)
        shutil.copy(fpath, record.dpath / fpath.name)
        for cells in _rows(fpath.name, labels, scene, explanation):
            table.add_row(*cells)
        record.done(fpath.name, labels=labels, trust=list(explanation.trust_lines))
        entries.append(entry_of(explanation, fpath.name, command))
    return table, entries, opened.view.name


def show_findings(record: Run) -> tuple[Table, list[ReportEntry], str]:
    """A table, the report's entries and the detector's name; maps are written into the run."""
    detector = open_view("detector")
    assert isinstance(detector.view, View)
    table = Table(title=f"{detector.view.name}: what it found, and share of positive relevance on the object", box=None)
    for column in ("picture", "finding", "overlap with the object", "object covers", detector.view.default_method):
        table.add_column(column)
    entries = []
    for picture, fpath in zip(DEMO_PICTURES, demo_picture_paths(), strict=True):
        explanation = explain(detector, fpath, name=f"{fpath.name}, findings")
        command = f"isotherm explain {fpath.name} --model detector"
        if len(explanation):
            boxes = [[heatmap.meta["box"]] for heatmap in explanation]
            panel = comparison_grid(
                [[m] for m in explanation],
                explanation.picture,
                column_names=[str(explanation[0].meta["method"])],
                boxes=boxes,
            )
            save_picture(panel, record.fpath(f"{fpath.stem}-findings.png", ".png"), command=command)
        for cells in _rows_of_findings(fpath.name, picture.scene, explanation):
            table.add_row(*cells)
        record.done(
            explanation.name, findings=[f.label for f in explanation.findings], trust=list(explanation.trust_lines)
        )
        entries.append(entry_of(explanation, fpath.name, command))
    return table, entries, detector.view.name


def _rows(name: str, labels: Sequence[str], scene: Scene, explanation: Explanation) -> list[list[str]]:
    rows = []
    for i, label in enumerate(labels):
        mask = torch.from_numpy(scene.masks[i])
        shares = []
        for heatmap in explanation[i * len(METHODS) : (i + 1) * len(METHODS)]:
            energy = energy_inside(to_source(heatmap.values, heatmap.frame)[None], mask[None])
            shares.append(f"{float(energy):.0%}")
        rows.append([name, label, f"{float(mask.float().mean()):.0%}", *shares])
    return rows


def _rows_of_findings(name: str, scene: Scene, explanation: Explanation) -> list[list[str]]:
    """A row for every finding: the object that its box overlaps most, and how much of its map lies there."""
    rows = []
    for heatmap in explanation:
        overlap = iou(torch.from_numpy(scene.boxes), torch.tensor([heatmap.meta["box"]]))
        best = int(overlap.argmax())
        mask = torch.from_numpy(scene.masks[best])
        energy = float(energy_inside(to_source(heatmap.values, heatmap.frame)[None], mask[None]))
        right = heatmap.label.rpartition(" ")[0] == scene.names[scene.labels[best]]
        what = f"{float(overlap[best]):.2f}" + ("" if right else f" (it is a {scene.names[scene.labels[best]]})")
        rows.append([name, heatmap.label, what, f"{float(mask.float().mean()):.0%}", f"{energy:.0%}"])
    return rows
