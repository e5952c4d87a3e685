"""Ctrl+C before the command line is loaded: no traceback, and the exit code of an interrupted command."""

from __future__ import annotations

import subprocess
import sys

import pytest

INTERRUPTED_IMPORT = """
import os, signal, sys
class Interrupts:
    def find_spec(self, name, *rest):
        if name == "isotherm.cli.main":
            signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Interrupts())
"""
INTERRUPTED_ARGUMENTS = """
import sys, isotherm.cli
def interrupted(): raise KeyboardInterrupt
sys.modules["isotherm.cli.main"].main = interrupted
"""
IGNORED = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); sys.argv.append('--version')"
    + INTERRUPTED_IMPORT
)


HEARD = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
"""As in a terminal, also where these tests run behind a shell that ignores Ctrl+C."""


@pytest.mark.parametrize(
    ("before", "code", "printed"),
    [(HEARD + INTERRUPTED_IMPORT, 130, ""), (INTERRUPTED_ARGUMENTS, 130, ""), (IGNORED, 0, "isotherm ")],
    ids=["while it loads", "while it reads arguments", "where a shell ignores it"],
)
def test_an_early_interrupt_is_quiet(before, code, printed):
    ended = subprocess.run(
        [sys.executable, "-c", f"{before}\nfrom isotherm.console import entry; entry()"], capture_output=True, text=True
    )
    assert (ended.returncode, ended.stderr) == (code, "")
    assert ended.stdout.startswith(printed)


TERMINATED = """
import signal, sys, isotherm.cli
def run():
    try:
        signal.raise_signal(signal.SIGTERM)
    except KeyboardInterrupt:
        print("the record is written")
        return 130
sys.modules["isotherm.cli.main"].main = run
"""


def test_a_command_that_a_queue_ends_is_ended_in_order():
    ended = subprocess.run(
        [sys.executable, "-c", f"{TERMINATED}\nfrom isotherm.console import entry; entry()"],
        capture_output=True,
        text=True,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (143, "the record is written\n", "")
