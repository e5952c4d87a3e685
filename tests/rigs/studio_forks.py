"""Studios that are forked from a process which has imported all of it: where many are started, imports take most of the
time. A fork has no threads and nothing open yet, and goes through ``isotherm.console`` as any other start.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Sequence
from multiprocessing import process
from pathlib import Path
from typing import IO, Any

from isotherm.studio.desk.desk import Desk
from isotherm.studio.facts_cache import known_facts
from isotherm.studio.requests import SHIPPED
from rigs.studio_processes import join_studio

TESTS = Path(__file__).parents[1]
IMPORTED = "import alembic.command, uvicorn, isotherm.cli.studio, isotherm.studio.serve"
"""What every studio imports; nothing of it starts a thread."""
FORKS = "from rigs.studio_processes import start_forking; start_forking()"
"""Begins before these imports, as its own take longer."""
SERVED = "from rigs.studio_forks import serve; serve()"


class Forked:
    """A process that another one has forked, as far as :class:`subprocess.Popen` would tell of it.

    Args:
        pid: its number, which is that of its group as well.
        stdout: what it prints.
    """

    def __init__(self, pid: int, stdout: IO[str]) -> None:
        self.pid, self.stdout = pid, stdout
        self._handle = os.pidfd_open(pid)

    def poll(self) -> int | None:
        """0 when it has ended, however it did."""
        return 0 if select.select([self._handle], [], [], 0)[0] else None

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end.

        Raises:
            TimeoutError: it goes on for longer.
        """
        if not select.select([self._handle], [], [], timeout)[0]:
            raise TimeoutError
        return 0

    def send_signal(self, number: int) -> None:
        signal.pidfd_send_signal(self._handle, number)

    def __del__(self) -> None:
        os.close(self._handle)

    def kill(self) -> None:
        """Kill it, if it is there."""
        if self.poll() is None:
            self.send_signal(signal.SIGKILL)


class Forks:
    """The process that forks studios."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(TESTS)!r}); {FORKS}; {IMPORTED}; {SERVED}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # one for all studios: their processes join their groups, which they may within one
        )

    def start(self, dpath: Path, words: Sequence[str], modules: Sequence[str] = ()) -> Forked:
        """A process that runs ``isotherm`` with these words.

        Args:
            dpath: where it is started.
            words: of the command line.
            modules: folders that it and its processes look for modules in first.

        Raises:
            RuntimeError: the process that forks is not there any more.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        pipe = dpath / f"pipe.{os.urandom(4).hex()}"
        os.mkfifo(pipe)
        handle = os.open(
            pipe, os.O_RDONLY | os.O_NONBLOCK
        )  # which waits for nobody who writes, as there may never be one
        self._process.stdin.write(json.dumps([str(dpath), str(pipe), list(words), list(modules)]) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the process that forks studios has ended, with code {self._process.wait()}")
        os.set_blocking(handle, True)
        select.select([handle], [], [])  # until the studio has opened its end
        pipe.unlink()
        return Forked(int(answer), os.fdopen(handle))

    def close(self) -> None:
        with self._process:  # which closes its pipes
            self._process.kill()


def serve() -> None:
    """Fork for each line that comes, and say the number of the process."""
    for line in sys.stdin:
        dpath, pipe, words, modules = json.loads(line)
        if not (pid := os.fork()):
            sys.path[:0] = modules
            _become(dpath, pipe, words)
        print(pid, flush=True)
        while _reaped():
            pass


def _reaped() -> bool:
    try:
        return os.waitpid(-1, os.WNOHANG)[0] > 0
    except ChildProcessError:
        return False


def _become(dpath: str, pipe: str, words: list[str]) -> None:
    from isotherm.console import entry
    from isotherm.studio import samples

    samples.IMAGENET_PACKAGE = (
        "none"  # the example is a generated scene, as where the photographs' network is not installed
    )
    os.setpgid(0, 0)  # a group, so that all of it can be killed at once
    join_studio()
    os.chdir(dpath)
    process.ORIGINAL_DIR = dpath  # where the processes that it starts begin
    out, nothing = os.open(pipe, os.O_WRONLY), os.open(os.devnull, os.O_RDONLY)
    for number, other in ((0, nothing), (1, out), (2, out)):
        os.dup2(other, number)
    os.close(out)
    sys.argv = ["isotherm", *words]
    code: object = 1
    try:
        entry()
    except SystemExit as stop:
        code = stop.code
    finally:
        sys.stdout.flush()
        os._exit(code if isinstance(code, int) else 1)


def know_facts(dpath: Path, *models: str) -> None:
    """Write down what a first start would ask a process that imports torch, which this one has imported.

    Args:
        dpath: where studios are started.
        models: that they are started with besides the shipped ones.
    """
    (dpath / "studio").mkdir(parents=True)
    known_facts(Here("here"), dpath / "studio", (*SHIPPED, *models))


class Here(Desk):
    """A desk in this process, for the one task that only tells what there is."""

    def do(self, task: str, **arguments: Any) -> Any:
        from isotherm.studio.desk.facts import facts

        assert task == "facts"
        return facts(**arguments)
