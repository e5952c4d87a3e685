"""Whether a YOLOE has classes of its own, as far as its name and file tell: nothing is opened, and nothing is run."""

from __future__ import annotations

import os
from pathlib import Path

from isotherm.models.weights.pickles import words_in

EMBEDDINGS, BUILT_IN = "pe", "lrpc"
"""Attributes of a YOLOE with classes of its own: embeddings that were kept, and the part of a head that has a list."""


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
    if not fpath.is_file():
        return False
    words, tensors = words_in(fpath)
    return bool(words) and EMBEDDINGS not in tensors and BUILT_IN not in words
