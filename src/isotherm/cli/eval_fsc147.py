"""``isotherm eval fsc147``: a model's counts judged on pictures whose objects are all marked."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from rich.console import Console

from isotherm.cam.premises import premises_of
from isotherm.cli.count import config_of, counting_view
from isotherm.cli.models import tell_warnings
from isotherm.cli.progress import progress_lines
from isotherm.cli.vlm_options import EvalFsc147
from isotherm.data.fsc147 import read_fsc147
from isotherm.errors import OptionError
from isotherm.systems.counting_evaluation import RESULTS, evaluate_counting


def run(options: EvalFsc147, arguments: Sequence[str]) -> int:
    if options.limit is not None and options.limit < 1:
        raise OptionError(f"--limit {options.limit}: expected at least 1")
    config = config_of(options)
    pictures = read_fsc147(options.data, options.split)[: options.limit]
    view, reason = counting_view(options)
    console = Console(stderr=True, quiet=options.quiet, highlight=False)
    alarms = tell_warnings(console, premises_of(view))
    with progress_lines(console) as say:
        say(f"model: {reason}")
        results = evaluate_counting(
            view,
            pictures,
            options.out,
            strategy=options.strategy,
            config=config,
            data=f"{options.data.name} {options.split}{'' if options.limit is None else f', first {options.limit}'}",
            command=shlex.join(["isotherm", *arguments]),
            say=say,
        )
    print("\n".join([*alarms, table_of(results)]))
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
