"""Programs beside Python that tests need, and what becomes of a test where its program is missing.

It is skipped with the reason. Where nothing may be missing (``ISOTHERM_NO_SKIPS=1``, which .ci/run sets) a skip is a
failure, whatever was skipped, so that no test sleeps unnoticed for a year.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

NO_SKIPS = os.environ.get("ISOTHERM_NO_SKIPS", "") not in ("", "0")
ALLOWED = ("needs a CUDA device",)
"""Reasons that count everywhere: what no machine that everybody has could run."""


def postgres_binaries() -> Path | None:
    """The folder of initdb and pg_ctl, or None where PostgreSQL is not installed."""
    there = [Path(path).parent for path in (shutil.which("initdb"),) if path]
    there += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((p for p in there if (p / "initdb").exists() and (p / "pg_ctl").exists()), None)


CHROMIUMS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
"""The first, which has no windows to draw, needs a fifth less of the processor for the same pages."""
CHROMIUM = next(filter(None, map(shutil.which, CHROMIUMS)), None)
NODE = shutil.which("node")
WHERE: dict[str, tuple[Callable[[], object], str]] = {
    "chromium": (lambda: CHROMIUM, "no Chromium on this machine"),
    "node": (lambda: NODE, "no Node on this machine to run the page's scripts"),
    "postgres": (postgres_binaries, "no PostgreSQL on this machine"),
}


def needs(program: str) -> pytest.MarkDecorator:
    """A mark of tests, or of a whole file as ``pytestmark``, that need a program of :data:`WHERE`."""
    find, reason = WHERE[program]
    return pytest.mark.skipif(find() is None, reason=reason)


def unskipped(report: pytest.TestReport | pytest.CollectReport, *, strict: bool = NO_SKIPS) -> None:
    """Make a failure of a skip, in place, where nothing may be skipped."""
    if not strict or report.outcome != "skipped" or hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    if not any(words in reason for words in ALLOWED):
        report.outcome = "failed"
        report.longrepr = f"nothing may be skipped here (ISOTHERM_NO_SKIPS is set): {reason}"
