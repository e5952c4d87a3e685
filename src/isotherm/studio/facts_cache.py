"""What there is to choose from: asked of a process that knows torch, and kept until what decides it changes."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from isotherm.atomic import atomic_write
from isotherm.errors import InputError
from isotherm.runs.file import to_json, versions
from isotherm.studio.desk.desk import Desk
from isotherm.untrusted.plain import read_object

FILE = "facts.json"
FORM = 3
"""Which facts there are; another number makes older files be asked for anew."""


def known_facts(
    desk: Desk, dpath: Path, models: Sequence[str], say: Callable[[str], object] = lambda line: None
) -> dict[str, Any]:
    """What the page must know once, from the studio's folder where it was written there for the same packages, devices
    and models.

    Args:
        desk: that is asked otherwise.
        dpath: the studio's folder.
        models: that may be asked for.
        say: is told that the answer takes a while, where it does.
    """
    key, fpath = _key(models), dpath / FILE
    try:
        there = read_object(fpath)
        if there.get("key") == key and isinstance(there.get("facts"), dict):
            return there["facts"]
    except (FileNotFoundError, InputError):
        pass  # there is none yet, or it is damaged
    say("Looking at which models can be used here; this takes some seconds, once...")
    facts = desk.do("facts", models=list(models))
    with atomic_write(fpath) as file:
        file.write(json.dumps(to_json({"key": key, "facts": facts}), allow_nan=False).encode())
    return facts


def _key(models: Sequence[str]) -> str:
    gpus = sorted(path.name for path in Path("/dev").glob("nvidia[0-9]*"))
    decides = [FORM, versions(builds=False), list(models), gpus, os.environ.get("CUDA_VISIBLE_DEVICES"), sys.prefix]
    return hashlib.sha256(json.dumps(to_json(decides), sort_keys=True, allow_nan=False).encode()).hexdigest()
