"""What is kept of long benchmarks between runs: by which settings it is used again, and how long it took over all its parts."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from isotherm.atomic import atomic_write
from isotherm.runs.file import to_json
from isotherm.train.run_folder import UNDECIDING


def identity(settings: Mapping[str, Any]) -> str:
    """Ten digits that are others wherever a setting is, so that a folder named by them holds no other work.

    Args:
        settings: all that decides the numbers, as plain data, in any order; options of trainings that decide none count not.

    Example:
        >>> identity({"steps": 3, "seed": 0}) == identity({"seed": 0, "steps": 3}) != identity({"seed": 1, "steps": 3})
        True
    """
    return hashlib.sha256(json.dumps(_deciding(to_json(settings)), sort_keys=True).encode()).hexdigest()[:10]


def _deciding(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _deciding(inner) for key, inner in value.items() if key not in UNDECIDING}
    return [_deciding(inner) for inner in value] if isinstance(value, list) else value


class Spent:
    """Processor seconds of a piece of work, with those of the parts before an interruption.

    Args:
        fpath: where :meth:`keep` leaves them. Kept with every checkpoint they are those of the work that was kept: what a
            kill undid is done, and counted, again.
    """

    def __init__(self, fpath: Path) -> None:
        self.fpath = fpath
        self._before = json.loads(fpath.read_text()) if fpath.exists() else 0.0
        self._began = time.process_time()

    def read(self) -> float:
        """Seconds until now."""
        return self._before + time.process_time() - self._began

    def keep(self) -> None:
        """Leave the seconds until now for the next part."""
        self.fpath.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(self.fpath) as file:
            file.write(json.dumps(self.read()).encode())

    def at_checkpoint(self, *_: Any) -> dict[str, float]:
        """As a validation of :func:`isotherm.train.loop.run_loop`, which has no figures: keeps."""
        self.keep()
        return {}
