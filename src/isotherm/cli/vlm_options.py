"""What the commands for vision-language models take. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from isotherm.cli.common_options import Common
from isotherm.jobs.count.options import CountJob
from isotherm.jobs.evaluate.fsc147_options import EvalFsc147Job


@dataclass(frozen=True, kw_only=True)
class TrainTinyVlm(Common):
    """Train the small vision-language model on questions about shapes; the same command goes on with a run that was interrupted."""

    seed: int = 0
    """Of weights and questions."""
    steps: int = 3600
    """Steps of the optimiser, 48 pictures each with four questions."""
    out: Path | None = None
    """Folder of the run. Default: runs/tiny-vlm-SEED."""
    threads: int | None = None
    """Threads of torch; the same number gives the same bits. Default: as many as there are."""


@dataclass(frozen=True, kw_only=True)
class Count(Common, CountJob):
    """Count things with a vision-language model: the count, a dot for each, and where in the picture the numbers come from."""


@dataclass(frozen=True, kw_only=True)
class EvalFsc147(Common, EvalFsc147Job):
    """Judge a model's counts on FSC-147; stopped at any moment, the same command goes on with it."""
