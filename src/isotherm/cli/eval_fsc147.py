"""``isotherm eval fsc147``: the job on the console, and its table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from isotherm.cli.console import ConsoleReporter
from isotherm.cli.options import EvalFsc147
from isotherm.jobs.evaluate.fsc147 import run as run_job
from isotherm.systems.counting_evaluation import RESULTS


def run(options: EvalFsc147, arguments: Sequence[str]) -> int:
    with ConsoleReporter(options, by_lines=True) as reporter:
        results = run_job(options, reporter, command=["isotherm", *arguments])
    print("\n".join([*reporter.alarms, table_of(results)]))
    print(
        f"\n{results['model']}, {options.strategy}; a line for each picture and the figures in {options.out / RESULTS}"
    )
    return 0


def table_of(results: dict[str, Any]) -> str:
    """The figures as text, a row for each range of true counts."""
    rows = [("objects", "pictures", "MAE", "RMSE", "bias", "right", "no count", "dot recall", "dot precision")]
    for name, of in {"all": results, **results["ranges"]}.items():
        shares = ["-" if of[key] is None else f"{of[key]:.1%}" for key in ("dot_recall", "dot_precision")]
        rows.append(
            (
                name,
                str(of["pictures"]),
                f"{of['mae']:.2f}",
                f"{of['rmse']:.2f}",
                f"{of['bias']:+.2f}",
                f"{of['exact']:.1%}",
                str(of["uncounted"]),
                *shares,
            )
        )
    widths = [max(len(row[c]) for row in rows) for c in range(len(rows[0]))]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
