"""How a run ended, and what of it can be kept: maps that somebody has seen stay, whatever became of their check."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isotherm.atomic import atomic_write
from isotherm.errors import InputError
from isotherm.ops.visible import readable_json
from isotherm.runs.file import RUN_FILE, now, to_json
from isotherm.runs.read import read_items, read_run
from isotherm.runs.record import ITEMS_FILE
from isotherm.studio.store.query import Status
from isotherm.studio.view_files import FOLDER, INDEX, pictures_of, view_of
from isotherm.untrusted.plain import reads

KEPT = "; the maps that there were are kept"


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Args:
        status: as the history has it.
        message: what a person must know of it; empty where all is well.
        keep: whether its folder holds something to be looked at.
        event: the last one of the run.
    """

    status: Status
    message: str
    keep: bool
    event: dict[str, Any]


def outcome_of(last: Mapping[str, Any], folder: Path, late: str = "") -> Outcome:
    """What the last word of a run comes to.

    Args:
        last: the event ``finished`` or ``failed`` that the worker sent, or that was found out in its place.
        folder: of the run's results; what a process that died left there is brought in order.
        late: that the run took too long, in words; empty where it did not.
    """
    if last["event"] == "finished":
        failed = f"{last['failed']} failed: {'; '.join(last['failures'])}" if last["failed"] else ""
        keep = bool(last["done"]) or not last["failed"]
        if late:
            return _failed("failed", late + KEPT if last["done"] else late, bool(last["done"]))
        status: Status = "finished" if last["status"] == "finished" else "cancelled"
        if not keep:
            return _failed("cancelled" if status == "cancelled" else "failed", "; ".join(last["failures"]), False)
        message = "; ".join([*([failed] if failed else []), *last.get("unchecked", ())])
        return Outcome(status, message, True, {**last, "status": status})
    try:
        keep = left_in_order(folder, "cancelled" if last["status"] == "cancelled" else str(last["error"])) > 0
    except InputError as error:
        return _failed(last["status"], f"{last['error']}; what it left cannot be kept: {error}", False)
    return _failed(last["status"], last["error"] + KEPT if keep else last["error"], keep)


def _failed(status: Status, message: str, keep: bool) -> Outcome:
    return Outcome(status, message, keep, {"event": "failed", "status": status, "error": message})


@reads(advice="what a process wrote there is damaged")
def left_in_order(folder: Path, why: str) -> int:
    """Make a run out of what a process that ended in the middle left: what can be shown is in the record, and a map
    that was being checked says that it was not.

    Args:
        folder: of the run's results.
        why: it ended.

    Returns:
        How many pictures can be shown; 0 where there is nothing to keep.

    Raises:
        InputError: what it left is damaged.
    """
    pictures = [one for one in pictures_of(folder) if one.get("status") == "done"]
    if not pictures or not (folder / RUN_FILE).is_file() or not (folder / ITEMS_FILE).is_file():
        return 0
    for half in [*folder.glob(".*"), *(folder / FOLDER).glob(".*")]:
        half.unlink()
    items = read_items(folder)
    known = {item["name"] for item in items}
    for one in pictures:
        view = view_of(folder, one["index"])
        if one.get("checking"):
            for entry in view["maps"]:
                if entry.get("checking"):
                    entry |= {"checking": False, "verdict": "not checked", "trust": f"trust: not checked ({why})"}
            _write(folder / FOLDER / f"{one['index']:05d}.json", _json(view))
            line = {**one, "checking": False, "verdicts": [entry["verdict"] for entry in view["maps"]]}
            with (folder / FOLDER / INDEX).open("ab") as file:
                file.write(_json(line) + b"\n")
        if one["name"] not in known:
            facts = {key: view.get(key, []) for key in ("maps", "findings", "chosen", "warnings", "notes")}
            files = [name for entry in view["maps"] for name in entry["files"]]
            items.append(
                {"name": one["name"], "status": "done", **facts, "files": files, "unchecked": why, "time": now()}
            )
    _write(folder / ITEMS_FILE, b"".join(_json(item) + b"\n" for item in items))
    failed = [{"name": item["name"], "reason": item["reason"]} for item in items if item["status"] == "failed"]
    record = read_run(folder)
    if record.get("status") == "running" and record.get("starts"):
        ended = {"status": "interrupted", "ended": now()}
        record["starts"][-1] |= ended
        record |= {**ended, "summary": {"done": len(items) - len(failed), "failed": failed}}
        _write(folder / RUN_FILE, _json(record, indent=2) + b"\n")
    return len(pictures)


def _write(fpath: Path, content: bytes) -> None:
    with atomic_write(fpath, durable=False) as file:  # a folder is synced as a whole when it is kept
        file.write(content)


def _json(facts: Mapping[str, Any], indent: int | None = None) -> bytes:
    return readable_json(to_json(facts), indent=indent)
