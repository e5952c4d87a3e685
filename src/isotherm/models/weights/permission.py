"""Which files a user has allowed to run code while they are opened, remembered by path and content.

A pickle is a program. Only a file that the user names is run, and only as long as its bytes stay the same.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from isotherm.atomic import atomic_write
from isotherm.errors import InputError, IsothermError, WeightsError
from isotherm.untrusted.plain import read_json

FORMAT = "isotherm.permission/1"
Say = Callable[[str], None]


def to_stderr(line: str) -> None:
    """Print one line where it does not mix with results."""
    print(line, file=sys.stderr)


def config_dpath() -> Path:
    """The user's folder for isotherm: ISOTHERM_HOME, or isotherm in XDG_CONFIG_HOME, or ~/.config/isotherm."""
    own, shared = os.environ.get("ISOTHERM_HOME"), os.environ.get("XDG_CONFIG_HOME")
    if own:
        return Path(own)
    return (Path(shared) if shared else Path.home() / ".config") / "isotherm"


def permissions_fpath() -> Path:
    """The file that remembers what was allowed."""
    return config_dpath() / "permissions.json"


def allowed_files() -> dict[str, str]:
    """Absolute path to SHA-256 of every file that may run code.

    Raises:
        WeightsError: the record exists and cannot be read.
    """
    fpath = permissions_fpath()
    try:
        record = read_json(fpath)
        if record["format"] != FORMAT:
            raise ValueError(f"format {record['format']!r}")
        return {str(path): str(entry["sha256"]) for path, entry in record["files"].items()}
    except FileNotFoundError:
        return {}
    except (InputError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(
            f"the record of allowed files {fpath} cannot be read ({type(error).__name__}: {error}); delete it and allow them again"
        ) from error


def is_same_file(fpath: Path, allow_code: str | os.PathLike[str] | None) -> bool:
    """True where ``allow_code`` names this very file, links followed."""
    if allow_code is None:
        return False
    try:
        return fpath.samefile(allow_code)
    except OSError as error:
        raise WeightsError(
            f"the file that may run code, {os.fspath(allow_code)}, cannot be found ({error.strerror or error}); check the path"
        ) from error


def authorise(fpath: Path, sha256: str, allow_code: str | os.PathLike[str] | None, say: Say = to_stderr) -> bool:
    """Whether this file with these bytes may run code, remembering it when the user has just said so.

    Args:
        fpath: the file that wants to be opened.
        sha256: of the bytes that will be opened.
        allow_code: the file that the user allows to, if any.
        say: where the line with the hash goes when ``allow_code`` names this file.

    Raises:
        WeightsError: the file was allowed before with other bytes, and ``allow_code`` does not name it now.
    """
    where = str(fpath.resolve())
    if is_same_file(fpath, allow_code):
        say(f"{fpath} may run code while it is opened, sha256 {sha256}")
        try:
            _remember(where, sha256)
        except (OSError, IsothermError) as error:
            say(f"this could not be remembered ({error}); it holds for this time only")
        return True
    before = allowed_files().get(where)
    if before is not None and before != sha256:
        raise WeightsError(
            f"{fpath} has changed since it was allowed to run code: sha256 was {before}, is {sha256}; "
            f"find out why, and pass --allow-code {fpath} if it is as it should be"
        )
    return before == sha256


def _remember(where: str, sha256: str) -> None:
    fpath = permissions_fpath()
    try:
        files = read_json(fpath)["files"] if allowed_files() else {}
    except WeightsError:
        files = {}  # damaged: what the user says now counts, the rest is asked again
    files[where] = {"sha256": sha256, "allowed_at": datetime.now(UTC).isoformat(timespec="seconds")}
    fpath.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(fpath) as file:
        file.write(json.dumps({"format": FORMAT, "files": files}, indent=2, allow_nan=False).encode() + b"\n")
