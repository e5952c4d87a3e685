"""What was done so far, in a folder: figures of every reader, inputs that reached new places, and faults."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.fuzz.reader import Reader
from bench.fuzz.work import MOST_POOL, Slice, name_of, plain
from isotherm.atomic import atomic_write

COUNTED = ("inputs", "read", "refused")
LARGEST = ("slowest_s", "largest_bytes")
SLOW = 20
"""How many inputs of others one input of a slow reader is worth."""


class State:
    """Figures and inputs on the disk, whole after every slice.

    Args:
        dpath: the folder.
        fresh: forget what is in it.
    """

    def __init__(self, dpath: Path, *, fresh: bool = False) -> None:
        self.dpath = dpath
        if fresh:
            shutil.rmtree(dpath, ignore_errors=True)
        (dpath / "readers").mkdir(parents=True, exist_ok=True)
        self.figures: dict[str, dict[str, Any]] = {}
        for fpath in sorted((dpath / "readers").glob("*.json")):
            kept = json.loads(fpath.read_text())
            self.figures[kept["name"]] = kept

    def inputs(self, readers: Sequence[Reader]) -> int:
        """How many inputs some readers had."""
        return sum(self.figures.get(reader.name, {}).get("inputs", 0) for reader in readers)

    def slices(self, name: str) -> int:
        """How many slices a reader had."""
        return self.figures.get(name, {}).get("slices", 0)

    def turn(self, reader: Reader) -> int:
        """The smaller, the sooner it is a reader's turn: those with few inputs come first."""
        return self.figures.get(reader.name, {}).get("inputs", 0) * (SLOW if reader.slow else 1)

    def pool(self, name: str) -> list[bytes]:
        """Inputs that reached places of their own."""
        return [fpath.read_bytes() for fpath in sorted(self._folder(name, "pool").glob("*"))]

    def add(self, name: str, done: Slice) -> None:
        """Keep a slice."""
        new, kept = plain(done), self.figures.setdefault(name, {"name": name, "slices": 0, "sites": {}, "faults": {}})
        for key in COUNTED:
            kept[key] = kept.get(key, 0) + new[key]
        for key in LARGEST:
            kept[key] = max(kept.get(key, 0), new[key])
        for data in done.pool[: MOST_POOL - len(list(self._folder(name, "pool").glob("*")))]:
            self._write(self._folder(name, "pool") / name_of(data), data)
        for site, count in new["sites"].items():
            kept["sites"][site] = kept["sites"].get(site, 0) + count
        for site, fault in new["faults"].items():
            data = done.faults[site]["data"]
            before = kept["faults"].setdefault(site, {"count": 0, "message": "", "bytes": len(data) + 1})
            before["count"] += fault["count"]
            if len(data) < before["bytes"]:
                before |= {"message": fault["message"], "bytes": len(data), "file": name_of(data)}
                self._write(self._folder(name, "faults") / name_of(data), data)
        kept["slices"] += 1
        self._write(self.dpath / "readers" / f"{plain_name(name)}.json", json.dumps(kept, indent=1).encode())

    def report(self, readers: Sequence[Reader]) -> int:
        """Print every fault, and return how many kinds there are."""
        count = 0
        for reader in readers:
            for site, fault in self.figures.get(reader.name, {}).get("faults", {}).items():
                count += 1
                print(f"{reader.name}: {site}\n    {fault['count']} times; {fault['message'][:200]!r}")
                print(f"    {self._folder(reader.name, 'faults') / fault.get('file', '')}")
        print(f"{self.inputs(readers):,} inputs, {count} kinds of faults")
        return count

    def _folder(self, name: str, kind: str) -> Path:
        return self.dpath / kind / plain_name(name)

    def _write(self, fpath: Path, data: bytes) -> None:
        fpath.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(fpath, durable=False) as file:
            file.write(data)


def plain_name(name: str) -> str:
    """The name of a reader's folder."""
    return "".join(letter if letter.isalnum() else "_" for letter in name)
