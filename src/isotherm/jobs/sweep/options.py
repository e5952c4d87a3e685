"""What ``isotherm sweep`` is asked for. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from tyro.conf import Positional

from isotherm.jobs.options import JobOptions


@dataclass(frozen=True, kw_only=True)
class SweepJob(JobOptions):
    """Train a recipe many times with other values; killed at any moment, the same command goes on with it."""

    words: ClassVar[tuple[str, ...]] = ("sweep",)
    positional: ClassVar[tuple[str, ...]] = ("recipe",)

    recipe: Positional[Path]
    """The sweep (YAML), such as recipes/beetle_sweep.yaml."""
    out: Path | None = None
    """Folder of the sweep. Default: runs/ and the name of the file. A sweep of the same file in it is gone on with."""
    address: str | None = None
    """A Ray cluster to run on, such as auto or ray://head:10001. Default: this machine alone."""
    at_once: int | None = None
    """Trials at the same time. Default: as the file says."""
    skip_bad: bool = False
    """Leave out pictures and annotations that cannot be read, and say so, instead of stopping."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.at_least(1, "at_once")
