"""``isotherm demo``: the shipped models explained on the shipped pictures, in one page, with three tables.

The pictures are generated, so their evidence is known: the tables say how much of each map's positive relevance lies
on the very object that the class names, or that the detector found, beside the share of the picture that the object covers.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from isotherm.adapters.choose import open_view
from isotherm.api import explain
from isotherm.cam.explanation import Explanation
from isotherm.cam.scores.detections import iou
from isotherm.cam.view import View
from isotherm.cli.demo_questions import ask_questions
from isotherm.cli.options import Demo
from isotherm.cli.outputs import entry_of
from isotherm.data.demo_pictures import DEMO_PICTURES, demo_picture_paths
from isotherm.data.runs import Run
from isotherm.data.scenes import Scene
from isotherm.draw import comparison_grid, save_picture, write_report
from isotherm.errors import OptionError
from isotherm.metrics.localisation import energy_inside
from isotherm.ops.resample import to_source

METHODS = ("hirescam", "gradcam", "layercam", "eigencam", "scorecam")


def run(options: Demo, arguments: Sequence[str]) -> int:
    _clear(options.out)
    opened = open_view("scenes")
    view = opened.view
    console = Console(quiet=options.quiet, highlight=False, width=None if sys.stdout.isatty() else 120)  # a pipe has no width that could cut names
    table = Table(title=f"{view.name}: share of positive relevance on the object", box=None)
    for column in ("picture", "class", "object covers", *METHODS):
        table.add_column(column)
    entries = []
    with Run("demo", out=options.out, command=["isotherm", *arguments], model={"name": view.name}) as record:
        for picture, fpath in zip(DEMO_PICTURES, demo_picture_paths(), strict=True):
            scene = picture.scene
            labels = [scene.names[i] for i in scene.labels]
            explanation = explain(opened, fpath, target=labels, method=METHODS, name=fpath.name)
            command = f"isotherm explain {fpath.name} --model scenes --class {','.join(labels)} --compare {','.join(METHODS)}"
            rows = [list(explanation[i : i + len(METHODS)]) for i in range(0, len(explanation), len(METHODS))]
            panel = comparison_grid(rows, explanation.picture, column_names=[str(m.meta["method"]) for m in rows[0]])
            save_picture(panel, record.fpath(f"{fpath.stem}-maps.png", ".png"), command=command)
            shutil.copy(fpath, record.dpath / fpath.name)
            for cells in _rows(fpath.name, labels, scene, explanation):
                table.add_row(*cells)
            record.done(fpath.name, labels=labels, trust=list(explanation.trust_lines))
            entries.append(entry_of(explanation, fpath.name, command))
        detector = open_view("detector")
        assert isinstance(detector.view, View)
        found = Table(title=f"{detector.view.name}: what it found, and share of positive relevance on the object", box=None)
        for column in ("picture", "finding", "overlap with the object", "object covers", detector.view.default_method):
            found.add_column(column)
        for picture, fpath in zip(DEMO_PICTURES, demo_picture_paths(), strict=True):
            explanation = explain(detector, fpath, name=f"{fpath.name}, findings")
            command = f"isotherm explain {fpath.name} --model detector"
            if len(explanation):
                boxes = [[heatmap.meta["box"]] for heatmap in explanation]
                panel = comparison_grid([[m] for m in explanation], explanation.picture, column_names=[str(explanation[0].meta["method"])], boxes=boxes)
                save_picture(panel, record.fpath(f"{fpath.stem}-findings.png", ".png"), command=command)
            for cells in _found(fpath.name, picture.scene, explanation):
                found.add_row(*cells)
            record.done(explanation.name, findings=[f.label for f in explanation.findings], trust=list(explanation.trust_lines))
            entries.append(entry_of(explanation, fpath.name, command))
        answers, more, speaker = ask_questions(record)
        page = write_report(
            [*entries, *more], record.dpath / "index.html", title="isotherm demo", command="isotherm demo",
            facts={"models": f"{view.name}; {detector.view.name}; {speaker}"},
        )  # fmt: skip
    console.print(table)
    console.print(found)
    console.print(answers)
    print(f"\npictures: {record.dpath}/*.png\nlook at   {page}")
    return 0


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


def _found(name: str, scene: Scene, explanation: Explanation) -> list[list[str]]:
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


def _clear(out: Path) -> None:
    """Make way for a new demo; a folder that no demo made is left alone."""
    if not out.exists():
        return
    if not (out / "run.json").is_file() or '"job": "demo"' not in (out / "run.json").read_text():
        raise OptionError(f"--out {out} exists and holds no earlier demo; give another folder")
    shutil.rmtree(out)
