"""A studio as people start it: ``isotherm studio`` in a process of its own, with a folder of its own, on a free port."""

from __future__ import annotations

import os
import queue
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from rigs.studio_forks import Forked, Forks

START_S = 300.0
"""How long it may take until the address is printed; on a busy machine the first imports of torch take most of it."""


class StudioProcess:
    """A running studio.

    Args:
        dpath: where it is started; its runs go to the folder ``studio`` in it, its maps to ``heatmaps``.
        words: further options of ``isotherm studio``.
        port: 0: any free one.
        forks: that it is started from; None: it is started by itself.
        modules: folders that a fork and its processes look for modules in first.
    """

    process: subprocess.Popen[str] | Forked

    def __init__(
        self,
        dpath: Path,
        words: Sequence[str] = (),
        *,
        port: int = 0,
        forks: Forks | None = None,
        modules: Sequence[str] = (),
    ) -> None:
        dpath.mkdir(parents=True, exist_ok=True)
        self.dpath = dpath
        self.lines: list[str] = []
        self._addresses: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        program, words = "from isotherm.console import entry; entry()", ["studio", "--port", str(port), *words]
        if forks is not None:
            self.process = forks.start(dpath, words, modules)
        else:
            self.process = subprocess.Popen(
                [sys.executable, "-c", program, *words],
                cwd=dpath,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,  # a group, so that all of it can be killed at once
            )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            first = self.address()
        except BaseException:
            self.kill()
            raise
        self._addresses.put(first)  # nobody was let in yet
        self.url = first.partition("/?")[0]
        self.key = (dpath / "studio" / "key").read_text().strip()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip())
            if match := re.search(r"https?://\S+/\?token=\S+", line):
                self._addresses.put(match[0])
        self._addresses.put(None)

    def address(self) -> str:
        """The next address that lets a browser in once."""
        address = self._addresses.get(timeout=START_S)
        assert address is not None, "\n".join(["the studio did not start:", *self.lines])
        return address

    def example(self) -> str:
        """The id of the run that the page opens with, when it has ended."""
        with self.client() as client:
            while not (run_id := client.get("/api/state").json()["example"]):
                threading.Event().wait(0.1)
            self.wait_for(client, run_id)
        return run_id

    def run_of(self, *samples: str, **options: Any) -> str:
        """The id of a run about samples, when it has ended."""
        with self.client() as client:
            pictures = [client.post(f"/api/samples/{name}").json()["id"] for name in samples]
            answer = client.post("/api/runs", json={"pictures": pictures, "options": options})
            assert answer.status_code in (200, 202), answer.text
            self.wait_for(client, run_id := answer.json()["id"])
        return run_id

    def wait_for(self, client: httpx.Client, run_id: str) -> None:
        """Wait for the end of a run."""
        with client.stream("GET", f"/api/runs/{run_id}/events", timeout=START_S) as events:
            list(events.iter_lines())

    def client(self) -> httpx.Client:
        """A script that knows the key."""
        return httpx.Client(base_url=self.url, headers={"authorization": f"Bearer {self.key}"}, timeout=60)

    def end(self, number: int = signal.SIGINT) -> str:
        """End it as Ctrl+C does; what it printed."""
        if self.process.poll() is None:
            self.process.send_signal(number)
            try:
                self.process.wait(30)
            finally:
                self.process.kill()
        return self._ended()

    def kill(self) -> str:
        """End it, and every process that it started, as a power cut does; what it printed."""
        os.killpg(self.process.pid, signal.SIGKILL)
        return self._ended()

    def _ended(self) -> str:
        self.process.wait()
        self._reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()
        return "\n".join(self.lines)


@contextmanager
def running(dpath: Path, words: Sequence[str] = (), **options: Any) -> Iterator[StudioProcess]:
    """A studio that ends with the block."""
    studio = StudioProcess(dpath, words, **options)
    try:
        yield studio
    finally:
        studio.end()
