"""Names of files that somebody chose to break what reads, shows or keeps them."""

from __future__ import annotations

import os
from pathlib import Path

from isotherm.ops.visible import HIDDEN

NAMES: tuple[bytes, ...] = (
    b"bad\xff\xfe.png",
    b"esc\x1b[31mred.png",
    b"osc\x1b]8;;http:x\x07link.png",
    b"new\nline.png",
    b"back\rspace\x08.png",
    b"tab\tq'\"`.png",
    b"<script>document.title=1<b>.png",
    b"a" * 251 + b".png",
    "\u00e9".encode() * 125 + b".png",
    "rtl\u202egnp.exe.png".encode(),
    "zero\u200bwidth.png".encode(),
    "c1\u009b31m.png".encode(),
    "line\u2028break.png".encode(),
    b"-dash.png",
    b" blanks around .png",
    b"%s {} $HOME ~.png",
    b"[1]*?.png",
    "caf\u00e9.png".encode(),
    "cafe\u0301.png".encode(),
    b"UP.png",
    b"up.png",
    b"CON.png",
    b"a.b..png",
    b"back\\slash.png",
)
"""As bytes: not UTF-8, what a terminal obeys, line ends, marks of pages, as long as a name may be, turns of writing, what
nobody sees, what shells and formats read, and pairs that are one by case or by normal form.
"""


def files_of(folder: Path, content: bytes) -> list[str]:
    """A file of each name, and their paths as Python has them, sorted."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        (folder / os.fsdecode(name)).write_bytes(content)
    return sorted(str(fpath) for fpath in folder.iterdir())


def hidden(text: str) -> list[str]:
    """What nobody would see, or a terminal would obey, in a text of lines."""
    return [c for c in HIDDEN.findall(text) if c not in "\n\t"]
