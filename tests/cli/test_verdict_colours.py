"""The word of a verdict has its colour on a terminal that has colours, and nothing else of a line has."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from isotherm.cli.console import ConsoleReporter
from isotherm.cli.options import Common

LINE = "      trust: evidence gain +0.20 (needs 0.95) → {word} (believable to nobody)"


def printed(line: str, **console) -> str:
    reporter = ConsoleReporter(Common())
    reporter.console = Console(file=io.StringIO(), highlight=False, **console)
    reporter.message(line)
    return reporter.console.file.getvalue()


@pytest.mark.parametrize(("word", "code"), [("believable", "1;32"), ("doubtful", "1;33"), ("do not trust", "1;31")])
def test_the_word_alone_has_a_colour(word, code):
    line = LINE.format(word=word)
    assert printed(line) == line + "\n"
    coloured = printed(line, force_terminal=True, color_system="standard")
    assert coloured == line.replace(f"→ {word}", f"→ \x1b[{code}m{word}\x1b[0m") + "\n"


def test_brackets_and_other_words_stay_as_they_are():
    line = "a [bold]believable[/] picture → cannot be judged"
    assert printed(line, force_terminal=True, color_system="standard") == line + "\n"
