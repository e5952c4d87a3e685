"""Trials of sweeps in this process, each started in another folder, as Ray does it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from isotherm.jobs.sweep import run as job
from isotherm.train import ray_tune


class TrialsInHere:
    """What Ray does with listed trials, one after the other.

    Args:
        patch: puts it in the place of Ray.

    Attributes:
        reports: what trials reported, in order.
        stop_at: the number of the report that ends the sweep as Ctrl-C does, counted from 1; None: it runs to its end.
    """

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.reports: list[dict[str, Any]] = []
        self.stop_at: int | None = None
        patch.setitem(sys.modules, "ray", SimpleNamespace(tune=self))
        patch.setattr(job, "run_trials", self._run_trials)

    def report(self, figures: dict[str, Any]) -> None:
        """Take a report of a trial, as ``ray.tune.report`` does."""
        self.reports.append(figures)
        if len(self.reports) == self.stop_at:
            raise KeyboardInterrupt

    def _run_trials(self, sweep, *, dpath, **rest):
        here = str(Path.cwd())
        made = ray_tune.Job(
            sweep.config, sweep.recipe, sweep.module.__name__, sweep.metric, here, str(dpath.resolve()), False, here
        )
        try:
            for values in sweep.config.listed():
                os.chdir("/")
                ray_tune._trial({"trial": values}, job=made)
        finally:
            os.chdir(here)
        return ray_tune._endings(dpath, {})
