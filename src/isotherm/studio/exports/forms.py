"""The forms in which a map or a run can be taken along. No torch here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Form:
    """One form.

    Args:
        suffix: of the file's name.
        kind: its media type.
        of_map: of one map; otherwise of the whole run.
        drawn: by the process for exports; otherwise it is text or files that there are.
    """

    suffix: str
    kind: str
    of_map: bool = False
    drawn: bool = False


FORMS: Mapping[str, Form] = {
    "png": Form(".png", "image/png", of_map=True, drawn=True),
    "overlay": Form(".png", "image/png", of_map=True, drawn=True),
    "png16": Form(".png", "image/png", of_map=True, drawn=True),
    "npy": Form(".npy", "application/octet-stream", of_map=True, drawn=True),
    "npz": Form(".npz", "application/octet-stream", of_map=True, drawn=True),
    "mp4": Form(".mp4", "video/mp4", drawn=True),
    "pdf": Form(".pdf", "application/pdf", drawn=True),
    "csv": Form(".csv", "text/csv; charset=utf-8"),
    "zip": Form(".zip", "application/zip"),
    "python": Form(".py", "text/x-python; charset=utf-8"),
    "command": Form(".txt", "text/plain; charset=utf-8"),
}
"""All of them by name."""


def file_name(form: str, *parts: str) -> str:
    """A name for the file that says what it is of.

    Args:
        form: its form.
        *parts: such as a picture's name, a class and a method; characters that a file system may not like are left out.

    Example:
        >>> file_name("png16", "cat.jpg", "tiger cat 39 %", "HiResCAM")
        'cat-tiger_cat_39-HiResCAM-16bit.png'
    """
    words = [re.sub(r"\.[A-Za-z0-9]{1,5}$", "", parts[0]), *parts[1:]]
    plain = [re.sub(r"[^\w-]+", "_", word).strip("_")[:60] for word in words]
    more = {"png16": ["16bit"], "png": ["map"]}.get(form, [])
    return "-".join(word for word in [*plain, *more] if word) + FORMS[form].suffix
