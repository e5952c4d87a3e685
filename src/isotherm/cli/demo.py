"""``isotherm demo``: the shipped model explained on the shipped pictures, in one page, with a table.

The pictures are generated, so their evidence is known: the table says how much of each map's positive relevance lies
on the very object that the class names, beside the share of the picture that the object covers.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from isotherm.adapters.embedded import load_embedded
from isotherm.api import explain
from isotherm.cam.explanation import Explanation
from isotherm.cli.options import Demo
from isotherm.cli.outputs import entry_of
from isotherm.data.demo_scenes import DemoScene, demo_scenes
from isotherm.data.runs import Run
from isotherm.draw import comparison_grid, save_picture, write_report
from isotherm.errors import OptionError
from isotherm.metrics.localisation import energy_inside
from isotherm.ops.resample import to_source

METHODS = ("hirescam", "gradcam", "layercam", "eigencam", "rise")


def run(options: Demo, arguments: Sequence[str]) -> int:
    _clear(options.out)
    view = load_embedded()
    console = Console(quiet=options.quiet, highlight=False)
    table = Table(title=f"{view.name}: share of positive relevance on the object", box=None)
    for column in ("picture", "class", "object covers", *METHODS):
        table.add_column(column)
    entries = []
    with Run("demo", out=options.out, command=["isotherm", *arguments], model={"name": view.name}) as record:
        for scene in demo_scenes():
            explanation = explain(view, scene.fpath, target=list(scene.labels), method=METHODS, name=scene.fpath.name)
            command = f"isotherm explain {scene.fpath.name} --model scenes --class {','.join(scene.labels)} --compare {','.join(METHODS)}"
            rows = [list(explanation[i : i + len(METHODS)]) for i in range(0, len(explanation), len(METHODS))]
            panel = comparison_grid(rows, explanation.picture, column_names=[str(m.meta["method"]) for m in rows[0]])
            save_picture(panel, record.fpath(scene.fpath.stem, ".png"), command=command)
            shutil.copy(scene.fpath, record.dpath / scene.fpath.name)
            for cells in _rows(scene, explanation):
                table.add_row(*cells)
            record.done(scene.fpath.name, labels=list(scene.labels), trust=list(explanation.trust_lines))
            entries.append(entry_of(explanation, scene.fpath.name, command))
        page = write_report(
            entries, record.dpath / "index.html", title="isotherm demo", command="isotherm demo", facts={"model": view.name}
        )
    console.print(table)
    print(f"\npictures: {record.dpath}/*.png\nlook at   {page}")
    return 0


def _rows(scene: DemoScene, explanation: Explanation) -> list[list[str]]:
    rows = []
    for i, label in enumerate(scene.labels):
        mask = torch.from_numpy(scene.mask(label))
        shares = []
        for heatmap in explanation[i * len(METHODS) : (i + 1) * len(METHODS)]:
            energy = energy_inside(to_source(heatmap.values, heatmap.frame)[None], mask[None])
            shares.append(f"{float(energy):.0%}")
        rows.append([scene.fpath.name, label, f"{float(mask.float().mean()):.0%}", *shares])
    return rows


def _clear(out: Path) -> None:
    """Make way for a new demo; a folder that no demo made is left alone."""
    if not out.exists():
        return
    if not (out / "run.json").is_file() or '"job": "demo"' not in (out / "run.json").read_text():
        raise OptionError(f"--out {out} exists and holds no earlier demo; give another folder")
    shutil.rmtree(out)
