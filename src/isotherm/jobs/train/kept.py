"""The recipe that a run of training holds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from isotherm.errors import OptionError
from isotherm.untrusted.plain import read_json


def kept_recipe(
    dpath: Path, *, parts: Sequence[str] = ("data", "model", "training")
) -> tuple[dict[str, Any], Path, str]:
    """The recipe that a run's folder holds, the folder that its paths start from, and what to call it in messages.

    Args:
        dpath: the folder.
        parts: of the recipe, that decide the numbers.

    Raises:
        OptionError: there is none.
    """
    if not dpath.exists():
        raise OptionError(f"there is no {dpath}; expected the folder of a training run, with recipe.json and run.json")
    if (dpath / "recipe.json").is_file() and not (dpath / "run.json").exists():
        raise OptionError(
            f"{dpath} was stopped before its first step, so there is nothing to go on with; give the command that began it once more, with --out {dpath}"
        )
    try:
        recipe, started = (read_json(dpath / name, error=OptionError) for name in ("recipe.json", "run.json"))
    except (FileNotFoundError, OptionError) as error:
        raise OptionError(f"{dpath} holds no run to go on with ({error}); expected recipe.json and run.json") from error
    missing = [
        f"{name} has no {key}"
        for name, content, keys in (("recipe.json", recipe, parts), ("run.json", started, ("root",)))
        for key in keys
        if not isinstance(content, dict) or key not in content
    ]
    if not missing and not isinstance(started["root"], str):
        missing = [f"the root of {dpath / 'run.json'} is {started['root']!r:.60}, no path"]
    if missing:
        raise OptionError(f"{dpath} holds no run to go on with: {', '.join(missing)}")
    return (
        {key: recipe[key] for key in parts} | {"tracking": started.get("tracking", {})},
        Path(started["root"]),
        str(dpath / "recipe.json"),
    )
