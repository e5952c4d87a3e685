"""``isotherm methods``: a table of what there is."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from isotherm import methods
from isotherm.cli.options import Methods


def run(options: Methods, arguments: Sequence[str]) -> int:
    table = Table(box=None, pad_edge=False)
    for column in ("name", "method", "values", "reads"):
        table.add_column(column)
    for name, method in methods.catalogue("pictures").items():
        table.add_row(name, method.name, "signed" if method.signed else "positive", ", ".join(sorted(method.needs)))
    Console().print(table)
    answers = Table(box=None, pad_edge=False, title="of an answer (--prompt)", title_justify="left")
    for column in ("name", "values", "reads"):
        answers.add_column(column)
    for name, method in methods.catalogue("answers").items():
        answers.add_row(name, "signed" if method.signed else "positive", ", ".join(sorted(method.needs)))
    Console().print(answers)
    return 0
