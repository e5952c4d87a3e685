"""A studio that is killed while it writes, with everything that it started, and what must be true when it is started again."""

from __future__ import annotations

import hashlib
import io
import random
import threading
from dataclasses import dataclass, field

import httpx
import numpy as np
from PIL import Image

from rigs.studio_server import StudioProcess

LONGEST_S = 0.5
"""The moment of a kill lies at most so long after what it waits for."""
WATCH_S = 120.0
"""How long a run may take on a machine that has much else to do; a studio's first run opens the model."""


@dataclass
class Ledger:
    """What the studio said that it has: after a restart, all of it must be there."""

    pictures: dict[str, str] = field(default_factory=dict)
    """Hash of the bytes, by id."""
    runs: dict[str, str] = field(default_factory=dict)
    """``asked`` or ``finished``, by id."""
    notes: dict[str, str] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)
    doubtful: set[str] = field(default_factory=set)
    """Runs that something was asked of when the studio died: either is right."""

    def there(self) -> list[str]:
        """The runs that must be there."""
        return [run_id for run_id in self.runs if run_id not in self.removed | self.doubtful]

    def without_note(self) -> list[str]:
        """The runs that may be removed; a note could not be looked for with a run that is gone."""
        return [run_id for run_id in self.there() if run_id not in self.notes]


class Writer(threading.Thread):
    """Sends pictures, asks for runs, writes notes and removes runs, until the studio is gone.

    Args:
        studio: that is written to.
        ledger: takes down what was acknowledged.
        seed: of everything that is random.
        patient: whether it waits for the end of runs.
    """

    def __init__(self, studio: StudioProcess, ledger: Ledger, seed: int, *, patient: bool) -> None:
        super().__init__(daemon=True)
        self.patient = patient
        self.studio, self.ledger, self.random = studio, ledger, random.Random(seed)
        self.rng = np.random.default_rng(seed)
        self.answered, self.finished = threading.Event(), threading.Event()
        self.faults: list[str] = []

    def run(self) -> None:
        try:
            with self.studio.client() as client:
                while True:
                    self.write(client)
        except httpx.TransportError:
            pass  # it is dead
        finally:
            self.answered.set()
            self.finished.set()

    def write(self, client: httpx.Client) -> None:
        """One thing of those that people do; the pictures and runs of earlier studios are there to do it with."""
        kinds = [self.send, self.ask] + [self.remark] * 2 * bool(self.ledger.there())
        kinds += [self.remove] * bool(self.ledger.without_note())
        (self.random.choice(kinds) if self.ledger.pictures else self.send)(client)
        self.answered.set()

    def send(self, client: httpx.Client) -> None:
        data = self.png()
        answer = self.sent(client, "POST", "/api/pictures", params={"name": "p.png"}, content=data)
        self.ledger.pictures[answer.json()["id"]] = hashlib.sha256(data).hexdigest()

    def ask(self, client: httpx.Client) -> None:
        """Ask for a run that nobody asked for before; of every other one the end is waited for."""
        wanted = {"model": "scenes", "trust": "off", "opacity": self.random.random()}
        picture = self.random.choice(list(self.ledger.pictures))
        answer = self.sent(client, "POST", "/api/runs", json={"pictures": [picture], "options": wanted})
        if answer.status_code != 202:  # the queue is full
            return
        run_id = answer.json()["id"]
        self.ledger.runs[run_id] = "asked"
        self.answered.set()
        if self.random.random() < 0.5 or not self.patient:
            return
        with client.stream("GET", f"/api/runs/{run_id}/events", timeout=WATCH_S) as events:
            last = [line for line in events.iter_lines() if line.startswith("event: ")]
        if last and last[-1] == "event: finished":
            self.ledger.runs[run_id] = "finished"
            self.finished.set()

    def remark(self, client: httpx.Client) -> None:
        run_id, note = self.random.choice(self.ledger.there()), f"note {self.random.random()}"
        self.change(client, "PATCH", run_id, json={"note": note, "tags": [note]})
        self.ledger.notes[run_id] = note

    def remove(self, client: httpx.Client) -> None:
        """Remove a run; one that has not ended is cancelled instead, which is an answer as well."""
        run_id = self.random.choice(self.ledger.without_note())
        if self.change(client, "DELETE", run_id).status_code == 204:
            self.ledger.removed.add(run_id)

    def png(self) -> bytes:
        file = io.BytesIO()
        Image.fromarray(self.rng.integers(0, 255, (48, 64, 3), dtype=np.uint8)).save(file, "PNG")
        return file.getvalue()

    def sent(self, client: httpx.Client, method: str, path: str, **options: object) -> httpx.Response:
        answer = client.request(method, path, **options)  # type: ignore[arg-type]
        if answer.status_code >= 500:
            self.faults.append(f"{method} {path}: {answer.status_code} {answer.text[:200]}")
        return answer

    def change(self, client: httpx.Client, method: str, run_id: str, **options: object) -> httpx.Response:
        self.ledger.doubtful.add(run_id)
        answer = self.sent(client, method, f"/api/runs/{run_id}", **options)
        if answer.status_code not in (200, 204, 409):
            self.faults.append(f"{method} {run_id}: {answer.status_code} {answer.text[:200]}")
        self.ledger.doubtful.discard(run_id)
        return answer


def kill_while_it_writes(studio: StudioProcess, ledger: Ledger, *, seed: int, late: bool = False) -> list[str]:
    """Let a studio write and kill it, its worker and all else of it, at a random moment; the answers that were faults.

    Args:
        seed: of what is written, and of the moment.
        late: wait for the first run that is finished, not only for the first answer.
    """
    writer = Writer(studio, ledger, seed, patient=late)
    writer.start()
    (writer.finished if late else writer.answered).wait(WATCH_S)
    writer.join(writer.random.uniform(0, LONGEST_S))
    studio.kill()
    writer.join()
    return writer.faults


def wrong_after(client: httpx.Client, ledger: Ledger) -> list[str]:
    """What is missing, broken or too much in a studio that was started again, a sentence each.

    Args:
        client: of the new studio.
        ledger: what the killed ones acknowledged.
    """
    wrong: list[str] = []
    for picture_id, digest in ledger.pictures.items():
        answer = client.get(f"/api/pictures/{picture_id}")
        if answer.status_code != 200 or hashlib.sha256(answer.content).hexdigest() != digest:
            wrong.append(f"picture {picture_id} is lost or another one")
    shown = {run["id"]: run for run in all_runs(client)}
    for run_id, word in ledger.runs.items():
        if run_id in ledger.removed or (run_id in ledger.doubtful and run_id not in shown):
            continue
        if run_id not in shown:
            wrong.append(f"run {run_id}, {word}, is lost")
        elif word == "finished" and shown[run_id]["status"] != "finished":
            wrong.append(f"run {run_id} was finished and is {shown[run_id]['status']}")
        elif run_id in ledger.notes and run_id not in ledger.doubtful and shown[run_id]["note"] != ledger.notes[run_id]:
            wrong.append(f"the note of run {run_id} is another one")
    wrong += [f"run {run_id} was removed and is there" for run_id in ledger.removed if run_id in shown]
    for run_id, run in shown.items():
        if run["status"] in ("queued", "running") and run_id in ledger.runs:
            wrong.append(f"run {run_id} is {run['status']}, and nobody works on it")
        if run["status"] == "finished":
            wrong += [f"run {run_id}: {fault}" for fault in broken(client, run)]
    return wrong


def all_runs(client: httpx.Client) -> list[dict]:
    """The history, page by page."""
    runs: list[dict] = []
    query: dict[str, object] = {"limit": 200}
    while True:
        page = client.get("/api/runs", params=query).json()
        runs += page["runs"]
        if page["next"] is None:
            return runs
        query["after"] = page["next"]


def broken(client: httpx.Client, run: dict) -> list[str]:
    """What of a finished run cannot be looked at."""
    facts = client.get(f"/api/runs/{run['id']}").json()
    wrong = [] if run["maps"] else ["it has no maps"]
    for name in ("run.json", "items.jsonl"):
        if name not in facts["files"] or client.get(f"/api/runs/{run['id']}/files/{name}").status_code != 200:
            wrong.append(f"its {name} is missing")
    return wrong
