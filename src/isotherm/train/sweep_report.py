"""The report of a sweep: a table of its trials, and, for two varied values, the picture of one over the other."""

from __future__ import annotations

import base64
import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from isotherm.atomic import atomic_write
from isotherm.draw.figures import curve_figure, matrix_figure
from isotherm.draw.save import save_picture
from isotherm.ops.visible import markup
from isotherm.train.sweep import Sweep, Trial, history, shown

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #111827; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums } td, th { padding: .25rem .8rem; text-align: right }
th { border-bottom: 2px solid #e5e7eb; font-weight: 600 } tr:nth-child(even) td { background: #f9fafb } .best td { font-weight: 700 }
img { max-width: 100%; margin: .5rem 0 } code { background: #f3f4f6; padding: .1rem .3rem; border-radius: .2rem } .quiet { color: #6b7280 }
"""


def write_sweep_report(sweep: Sweep, trials: Sequence[Trial], dpath: Path, *, command: str) -> Path:
    """``report.html``, ``trials.csv`` and the pictures of a sweep; whatever is not known yet is left open in them.

    Args:
        trials: the best first.
        dpath: the sweep's folder.
        command: printed on the page.
    """
    pictures = {}
    matrix = matrix_picture(sweep, trials)
    if matrix is not None:
        pictures["matrix.png"] = matrix
    curves = {
        shown(t.values): tuple(zip(*history(t.dpath, sweep.metric), strict=True))
        for t in trials[:8]
        if history(t.dpath, sweep.metric)
    }
    if curves:
        several = max(len(xs) for xs, _ in curves.values()) > 1
        pictures["curves.png"] = curve_figure(
            {name: (list(xs), list(ys)) for name, (xs, ys) in curves.items()},
            x="step",
            y=sweep.metric,
            title="validation of the best trials" if several else "",
            log_y=several,
            size=(7.0, 4.2),
        )
    for name, picture in pictures.items():
        save_picture(picture, dpath / name, command=command)
    _write_csv(sweep, trials, dpath / "trials.csv")
    with atomic_write(dpath / "report.html") as file:
        file.write(_page(sweep, trials, {name: dpath / name for name in pictures}, dpath, command).encode())
    return dpath / "report.html"


def matrix_picture(sweep: Sweep, trials: Sequence[Trial]) -> Image.Image | None:
    """The metric over two varied values, the best of the trials that share them; None where fewer than two values
    vary.
    """
    matrix = matrix_of(sweep, trials)
    if matrix is None:
        return None
    return matrix_figure(
        matrix.values,
        matrix.rows,
        matrix.columns,
        x=matrix.column,
        y=matrix.row,
        title=f"{sweep.metric}, best validation",
    )


@dataclass(frozen=True, eq=False)
class Matrix:
    """The metric over two varied values; ``values`` (rows, columns) is NaN where no trial has been validated.

    Args:
        row, column: paths of what varies.
        rows, columns: their values as text.
        values: of the metric.
    """

    row: str
    column: str
    rows: list[str]
    columns: list[str]
    values: np.ndarray

    def table(self) -> tuple[list[str], list[list[str]]]:
        """(headings, rows): one value down, the other across."""
        row, column = (path.rpartition(".")[2] for path in (self.row, self.column))
        head = [row, *(f"{column}={name}" for name in self.columns)]
        cells = [["–" if math.isnan(v) else f"{v:.4g}" for v in line] for line in self.values.tolist()]
        return head, [[name, *line] for name, line in zip(self.rows, cells, strict=True)]


def matrix_of(sweep: Sweep, trials: Sequence[Trial]) -> Matrix | None:
    """The metric over the first two values that vary in a grid, the best of the trials that share them; None where
    fewer vary.
    """
    varied = [path for path in sweep.config.values if len({repr(t.values[path]) for t in trials}) > 1]
    if len(varied) < 2 or sweep.config.search != "grid":
        return None
    row, column = varied[:2]
    rows, columns = (
        sorted({t.values[path] for t in trials}, key=lambda v: (isinstance(v, str), v)) for path in (row, column)
    )
    values = np.full((len(rows), len(columns)), math.nan)
    for trial in trials[::-1]:  # the best comes last and stays
        if not math.isnan(trial.best):
            values[rows.index(trial.values[row]), columns.index(trial.values[column])] = trial.best
    return Matrix(row, column, [_text(v) for v in rows], [_text(v) for v in columns], values)


def table_rows(sweep: Sweep, trials: Sequence[Trial]) -> tuple[list[str], list[list[str]]]:
    """(headings, rows) of the table, the best trial first."""
    there = dict.fromkeys(name for t in trials for name in t.figures)
    # figures of groups and of single maps are in metrics.csv; a table of them all has no reader
    names = sweep.config.guardrails or [name for name in there if not name.startswith("val/")]
    names = [name for name in names if name != sweep.metric]
    head = [*(path.rpartition(".")[2] for path in sweep.config.values), sweep.metric, "at step", *names, "status"]
    rows = [
        [
            *(_text(t.values[path]) for path in sweep.config.values),
            "–" if math.isnan(t.best) else f"{t.best:.4g}",
            str(t.step or "–"),
            *(f"{t.figures[n]:.4g}" if n in t.figures else "–" for n in names),
            t.status,
        ]
        for t in trials
    ]
    return head, rows


def _write_csv(sweep: Sweep, trials: Sequence[Trial], fpath: Path) -> None:
    head, rows = table_rows(sweep, trials)
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(
        [[*head, "folder"], *([*row, t.dpath.name] for row, t in zip(rows, trials, strict=True))]
    )
    with atomic_write(fpath) as file:
        file.write(text.getvalue().encode())


def _page(sweep: Sweep, trials: Sequence[Trial], pictures: dict[str, Path], dpath: Path, command: str) -> str:
    head, rows = table_rows(sweep, trials)
    count = {
        status: sum(t.status.partition(":")[0] == status for t in trials)
        for status in ("finished", "stopped early", "failed", "unfinished")
    }
    counts = ", ".join(f"{n} {status}" for status, n in count.items() if n)
    best = trials[0] if trials and not math.isnan(trials[0].best) else None
    cells = "".join(f"<th>{markup(h)}</th>" for h in head)
    body = "".join(
        f"<tr{' class=best' if t is best else ''}>{''.join(f'<td>{markup(c)}</td>' for c in row)}</tr>"
        for t, row in zip(trials, rows, strict=True)
    )
    shown_pictures = "".join(
        f'<p><img alt="{markup(name)}" src="data:image/png;base64,{base64.b64encode(fpath.read_bytes()).decode()}"></p>'
        for name, fpath in pictures.items()
    )
    winner = (
        f"<p>The best is <b>{markup(shown(best.values))}</b> with a {markup(sweep.metric)} of <b>{best.best:.4g}</b>: <code>{markup(sweep.module.usage_of(best.dpath))}</code></p>"
        if best
        else "<p>No trial has been validated yet.</p>"
    )
    return (
        f"<!doctype html><meta charset=utf-8><meta http-equiv=Content-Security-Policy content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">"
        f"<title>Sweep {markup(dpath.name)}</title><style>{STYLE}</style><h1>Sweep {markup(dpath.name)}</h1>"
        f"<p class=quiet>{len(trials)} trials ({markup(counts)}), {markup(sweep.config.search)} search; {sweep.better} {markup(sweep.metric)} is better.</p>"
        f"{winner}{shown_pictures}<table><tr>{cells}</tr>{body}</table><p class=quiet>Made by <code>{markup(command)}</code></p>\n"
    )


def _text(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
