"""The studio under load: many people at once, many runs, a long history, kills, and a person who waits for a map.

A studio as ``isotherm studio`` starts it, on this machine, with the clients on the same cores. ``python -m bench studio``
does all of it in about half an hour; ``python -m bench.studio load memory`` only those parts (load, memory, search, kills,
screen), whose figures then replace the old ones.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.measure import RESULTS, publish, table, write

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
os.environ.setdefault("YOLO_OFFLINE", "1")  # otherwise ultralytics first waits for a network that may not be there
LIMIT_MS = 100.0
"""What static files, pages of the history and searches may take."""


def _load(folder: Path, quick: bool) -> dict[str, Any]:
    from bench.serving.load import crowd
    from rigs.studio_server import running

    with running(folder) as studio, studio.client() as client:
        studio.example()
        picture = client.post("/api/samples/scene-1").json()["id"]
        size = {"clients": 10, "seconds": 10.0} if quick else {"clients": 50, "seconds": 60.0}
        return crowd(studio.url, studio.key, picture, pid=studio.process.pid, **size)


def _memory(folder: Path, quick: bool) -> dict[str, Any]:
    from bench.serving.memory import over_many_runs
    from rigs.studio_server import running

    with running(folder) as studio, studio.client() as client:
        studio.example()
        picture = client.post("/api/samples/scene-1").json()["id"]
        return over_many_runs(client, studio.process.pid, picture, runs=50 if quick else 1000)


def _search(folder: Path, quick: bool) -> dict[str, Any]:
    from bench.serving.searching import times_ms
    from rigs.postgres import server
    from rigs.programs import postgres_binaries

    runs = 5_000 if quick else 100_000
    made = {"runs": runs, "searches": times_ms(folder / "sqlite", runs=runs, repeats=7)}
    if postgres_binaries() is not None:
        folder.chmod(0o755)  # its server runs as another user
        with server(folder / "pg") as url:
            made["searches_postgresql"] = times_ms(folder / "rest", runs=runs, repeats=7, url=url)
    return made


def _kills(folder: Path, quick: bool) -> dict[str, Any]:
    from bench.serving.kills import kill_often

    return kill_often(folder, kills=5 if quick else 200)


def _screen(folder: Path, quick: bool) -> dict[str, Any]:
    from bench.serving.screen import explain_to_screen

    return explain_to_screen(folder, repeats=2 if quick else 7)


PARTS: dict[str, Callable[[Path, bool], dict[str, Any]]] = {
    "load": _load,
    "memory": _memory,
    "search": _search,
    "kills": _kills,
    "screen": _screen,
}


def texts(parts: dict[str, Any]) -> list[str]:
    """The tables of what was measured."""
    made = []
    if (one := parts.get("load")) is not None:
        rows = [[kind, one["p50_ms"][kind], one["p95_ms"][kind]] for kind in one["p50_ms"]]
        title = (
            f"{one['clients']} people for {one['seconds']:g} s: {one['runs_taken_in']} runs taken in, {len(one['runs_lost'])} lost, "
            f"{one['refused']} refused because {one['least_waiting_at_a_refusal']} waited, {one['server_errors']} errors of the "
            f"server, {len(one['connections_broken'])} connections broken; the clients themselves were "
            f"{one['client_late_p95_ms']:.2g} ms late (95 %)"
        )
        made.append(table(title, ["request", "p50 ms", "p95 ms"], rows))
    if (one := parts.get("memory")) is not None:
        rows = [
            [name, one[key]["first"], one[key]["last"]]
            for name, key in (("server", "server_mb"), ("its processes", "processes_mb"))
        ]
        made.append(
            table(f"Memory over {one['runs']} runs", ["who", "first tenth, peak MB", "last tenth, peak MB"], rows)
        )
    if (one := parts.get("search")) is not None:
        other = one.get("searches_postgresql", {})
        rows = [
            [name, *(times["median_ms"], times["longest_ms"]), *(other.get(name, {"": "not measured"}).values())]
            for name, times in one["searches"].items()
        ]
        columns = [
            "search",
            "SQLite, median ms",
            "longest ms",
            *(["PostgreSQL, median ms", "longest ms"] if other else []),
        ]
        made.append(table(f"A history of {one['runs']} runs", columns, rows))
    if (one := parts.get("kills")) is not None:
        rows = [
            [name.replace("_", " "), len(value) if isinstance(value, list) else value] for name, value in one.items()
        ]
        made.append(table("Killed while it writes, server, worker and all", ["what", "number"], rows))
    if (one := parts.get("screen")) is not None:
        rows = [
            [
                check,
                f["on_screen_s"],
                f["explanation_s"],
                f["ratio"],
                f["verdict_s"] if check != "off" and "verdict_s" in f else "none",
            ]
            for check, f in one["checks"].items()
        ]
        columns = [
            "check of the map",
            "from Explain to the map on the screen, s",
            "the explanation alone, s",
            "ratio",
            "from Explain to the verdict, s",
        ]
        made.append(table(f"{one['model']}, {one['side']} px", columns, rows))
    return made


def _end(number: int, frame: Any) -> None:
    raise SystemExit(128 + number)  # so that whoever ends this, such as timeout, ends the studio with it


def main(quick: bool = False) -> None:
    signal.signal(signal.SIGTERM, _end)
    wanted = [name for name in sys.argv[1:] if name in PARTS] or list(PARTS)
    fpath = RESULTS / "studio.json"
    parts = {} if quick or not fpath.exists() else json.loads(fpath.read_text())["parts"]
    for name in wanted:
        busy = os.getloadavg()[0]
        with tempfile.TemporaryDirectory() as folder:
            parts[name] = {**PARTS[name](Path(folder), quick), "load_average_before": busy}
        print("\n".join(texts({name: parts[name]})), flush=True)
        write("studio", {"parts": parts}, quick=quick)
    publish("studio", texts(parts), quick=quick)


if __name__ == "__main__":
    main(quick="--quick" in sys.argv)
