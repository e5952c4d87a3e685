"""What the commands for vision-language models take. No torch here."""

from __future__ import annotations

from dataclasses import dataclass

from isotherm.cli.common_options import Common
from isotherm.jobs.count.options import CountJob
from isotherm.jobs.evaluate.fsc147_options import EvalFsc147Job


@dataclass(frozen=True, kw_only=True)
class Count(Common, CountJob):
    """Count things with a vision-language model: the count, a dot for each, and where in the picture the numbers come from."""


@dataclass(frozen=True, kw_only=True)
class EvalFsc147(Common, EvalFsc147Job):
    """Judge a model's counts on FSC-147; stopped at any moment, the same command goes on with it."""
