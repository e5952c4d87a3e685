"""Whether a YOLOE has classes of its own, as far as its name and file tell: nothing is opened, and nothing is run."""

from __future__ import annotations

import os
from pathlib import Path

from isotherm.models.weights.pickles import words_in

OF_AN_OWN_VOCABULARY = frozenset({"pe", "lrpc"})
"""Attributes of YOLOE's model and head that have a list of classes: embeddings that were kept, and a built-in list."""


def lacks_classes(name: str | os.PathLike[str]) -> bool:
    """True for a YOLOE that finds nothing until it is told what to look for; False where that cannot be known either.

    Args:
        name: a file, an architecture's description or a published name.

    Example:
        >>> lacks_classes("yoloe-11s-seg.yaml"), lacks_classes("yoloe-11s-seg-pf.yaml"), lacks_classes("yolo11n.pt")
        (True, False, False)
    """
    fpath = Path(name)
    stem = fpath.stem.lower()
    if "yoloe" not in stem or stem.endswith("-pf"):  # prompt-free: it has a list built in
        return False
    if fpath.suffix.lower() in {".yaml", ".yml"}:
        return True
    return fpath.is_file() and bool(there := words_in(fpath)) and not there & OF_AN_OWN_VOCABULARY
