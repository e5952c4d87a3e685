"""``isotherm eval fsc147``: the job on the console, and its table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from isotherm.cli.console import ConsoleReporter, say
from isotherm.cli.options import EvalFsc147
from isotherm.jobs.evaluate.fsc147 import run as run_job
from isotherm.systems.counting_evaluation import RESULTS
from isotherm.systems.counting_kinds import KINDS
from isotherm.vlm.choose import token_methods


def run(options: EvalFsc147, arguments: Sequence[str]) -> int:
    with ConsoleReporter(options, by_lines=True) as reporter:
        results = run_job(options, reporter, command=["isotherm", *arguments])
    table = ways_table(results["ways"]) if "ways" in results else table_of(results)
    say("\n".join([*reporter.alarms, table]))
    print(
        f"\n{results['model']}, {options.strategy}; a line for each picture and the figures in {options.out / RESULTS}"
    )
    return 0


HEADS = ("pictures", "MAE", "RMSE", "bias", "right", "no count", "dot recall", "dot precision")


def table_of(results: dict[str, Any]) -> str:
    """The figures as text, a row for each range of true counts, and below them what has a dot among the objects at the
    border, occluded, in clusters and the others.
    """
    rows = [("objects", *HEADS), *((name, *_cells(of)) for name, of in {"all": results, **results["ranges"]}.items())]
    kinds = [(kind, str(of["objects"]), f"{of['dot_recall']:.1%}") for kind, of in results["kinds"].items()]
    return "\n\n".join([_laid_out(rows), *([_laid_out([("kind", "objects", "dot recall"), *kinds])] if kinds else [])])


def ways_table(ways: Sequence[dict[str, Any]]) -> str:
    """One table over strategies and methods, a row for each: all figures, and the share of the objects of each kind
    that have a dot.
    """
    rows = [("strategy", "method", *HEADS, *KINDS)]
    for way in ways:
        kinds = (f"{way['kinds'][kind]['dot_recall']:.1%}" if kind in way["kinds"] else "-" for kind in KINDS)
        method = str(way["config"]["method"] or token_methods(None)[0][0].name)
        rows.append((way["strategy"], method, *_cells(way), *kinds))
    return _laid_out(rows)


def _cells(of: dict[str, Any]) -> tuple[str, ...]:
    shares = ["-" if of[key] is None else f"{of[key]:.1%}" for key in ("dot_recall", "dot_precision")]
    errors = f"{of['mae']:.2f}", f"{of['rmse']:.2f}", f"{of['bias']:+.2f}", f"{of['exact']:.1%}"
    return str(of["pictures"]), *errors, str(of["uncounted"]), *shares


def _laid_out(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[c]) for row in rows) for c in range(len(rows[0]))]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
