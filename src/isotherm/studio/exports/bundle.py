"""Everything of a run as one zip, made while it is sent. No torch here."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from isotherm.ops.visible import readable_json
from isotherm.runs.file import to_json
from isotherm.studio.exports.again import command_of, script_of
from isotherm.studio.exports.table import statistics_csv
from isotherm.studio.store.query import RunFacts
from isotherm.studio.view_files import FOLDER
from isotherm.version import __version__

PART = 1 << 20
PACKED = (".png", ".jpg", ".jpeg", ".webp", ".mp4", ".gif", ".zip")
"""Suffixes of files that are compressed already."""


class _Outlet(io.RawIOBase):
    """Takes what a zip writes, until it is sent on."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        part = bytes(data)  # type: ignore[call-overload]
        self._parts.append(part)
        return len(part)

    def take(self) -> bytes:
        taken, self._parts = b"".join(self._parts), []
        return taken


def bundle(run: RunFacts, folder: Path, pictures: Mapping[str, Path]) -> Iterator[bytes]:
    """A zip in pieces: the pictures, the run's folder as ``run/``, figures, remarks, and what makes it again.

    Args:
        run: what was asked for, and what people said about it.
        folder: its folder.
        pictures: the original files by name.
    """
    outlet = _Outlet()
    when = datetime.fromtimestamp(run.created_s, UTC).timetuple()[:6]
    texts = {
        "command.txt": command_of(run),
        "again.py": script_of(run, __version__),
        "remarks.json": readable_json(
            to_json({name: getattr(run, name) for name in ("title", "note", "tags", "star", "marks")}), indent=1
        ).decode(),
    }
    files = {f"run/{path.relative_to(folder)}": path for path in sorted(folder.rglob("*")) if path.is_file()}
    files = {name: path for name, path in files.items() if not name.startswith(f"run/{FOLDER}/")}
    with zipfile.ZipFile(outlet, "w") as archive:  # type: ignore[arg-type]
        for name, text in texts.items():
            archive.writestr(zipfile.ZipInfo(name, when), text.encode(), zipfile.ZIP_DEFLATED)
        archive.writestr(zipfile.ZipInfo("statistics.csv", when), statistics_csv(folder), zipfile.ZIP_DEFLATED)
        yield outlet.take()
        for name, path in {**pictures, **files}.items():
            entry = zipfile.ZipInfo(name, when)
            entry.compress_type = zipfile.ZIP_STORED if path.suffix.lower() in PACKED else zipfile.ZIP_DEFLATED
            entry.file_size = path.stat().st_size
            with archive.open(entry, "w") as inside, path.open("rb") as file:
                while part := file.read(PART):
                    inside.write(part)
                    yield outlet.take()
    yield outlet.take()
