"""One door to all tables of actions: what a file is, is seen from its name and its beginning."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal, get_args

from isotherm.data.annotation_files import read_text
from isotherm.data.anticipation.actions import ActionTable
from isotherm.data.anticipation.ego4d import read_ego4d
from isotherm.data.anticipation.egtea import PREFIX, read_egtea_raw, read_egtea_split
from isotherm.data.anticipation.epic_kitchens import read_epic_kitchens
from isotherm.errors import InputError, OptionError
from isotherm.untrusted.plain import reads

TableFormat = Literal["auto", "epic-kitchens", "egtea-split", "egtea-raw", "ego4d"]


@reads()
def read_actions(fpath: str | os.PathLike[str], *, format: TableFormat = "auto", skip_bad: bool = False) -> ActionTable:
    """A table of actions with the tables that lie beside it.

    Args:
        fpath: a CSV of EPIC-KITCHENS, a split or the raw annotations of EGTEA Gaze+, or a JSON of Ego4D.
        format: 'auto' looks at the file and takes the form that it has.
        skip_bad: leave out rows that cannot be read, with a message each, instead of raising.

    Raises:
        InputError: file, line and what is wrong there, or no table that is known.
        OptionError: no such format.
    """
    if format not in get_args(TableFormat):
        raise OptionError(f"format is {format!r}; expected one of {', '.join(get_args(TableFormat))}")
    form = _form(Path(fpath)) if format == "auto" else format
    read = {
        "epic-kitchens": read_epic_kitchens,
        "egtea-split": read_egtea_split,
        "egtea-raw": read_egtea_raw,
        "ego4d": read_ego4d,
    }[form]
    return read(fpath, skip_bad=skip_bad)


def _form(fpath: Path) -> str:
    if fpath.suffix.lower() == ".json":
        return "ego4d"
    first = next((line for line in read_text(fpath).splitlines() if line.strip()), "")
    if "narration_id" in first and "start_timestamp" in first:
        return "epic-kitchens"
    if "Clip Prefix (Unique)" in first:
        return "egtea-raw"
    if first.split() and PREFIX.fullmatch(first.split()[0]):
        return "egtea-split"
    raise InputError(
        f"{fpath} begins with {first[:60]!r}, which is no table of actions that is known; expected EPIC-KITCHENS' CSV (narration_id, "
        "start_timestamp, ...), EGTEA's train_split1.txt or action_labels.csv, or Ego4D's fho_lta or fho_sta JSON"
    )
