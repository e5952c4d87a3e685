"""What the commands for vision-language models take. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from isotherm.cli.common_options import Common


@dataclass(frozen=True, kw_only=True)
class TrainTinyVlm(Common):
    """Train the small vision-language model on questions about shapes; the same command goes on with a run that was interrupted."""

    seed: int = 0
    """Of weights and questions."""
    steps: int = 6000
    """Steps of the optimiser, 48 questions each."""
    out: Path | None = None
    """Folder of the run. Default: runs/tiny-vlm-SEED."""
    threads: int | None = None
    """Threads of torch; the same number gives the same bits. Default: as many as there are."""
