"""Whether a file is there and can be read, and whether it is safetensors."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from isotherm import limits
from isotherm.errors import WeightsError

MAX_HEADER_BYTES = limits.HEADER_BYTES
"""Largest safetensors header, as in the format's own reader."""


def check_weights_file(fpath: Path) -> None:
    """Raise WeightsError unless ``fpath`` is a file with something in it."""
    try:
        status = fpath.stat()
    except (OSError, ValueError) as error:
        raise WeightsError(
            f"there is no weights file {fpath} ({getattr(error, 'strerror', None) or error}); check the path"
        ) from None
    if not stat.S_ISREG(status.st_mode):
        raise WeightsError(
            f"{fpath} is {'a folder' if stat.S_ISDIR(status.st_mode) else 'no regular file'}; expected a weights file"
        )
    if not os.access(fpath, os.R_OK):
        raise WeightsError(f"{fpath} may not be read by this user; check its permissions")
    if status.st_size == 0:
        raise WeightsError(f"{fpath} is empty (0 bytes); copy or download it again")


def is_safetensors(head: bytes, fpath: Path) -> bool:
    """Whether a file has the form of safetensors: the length of a header in 8 bytes, then the header as JSON.

    Args:
        head: what the file begins with.
    """
    # torch files start with PK or with the pickle mark 0x80 and a small protocol number
    return head[8:9] == b"{" or (
        fpath.suffix.lower() == ".safetensors" and not head.startswith((b"PK\x03\x04", b"\x80\x02"))
    )
