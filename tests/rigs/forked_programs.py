"""Python programs in processes that are forked from one which has imported torch and the command line, and nothing else.

Importing them takes far longer than most programs of tests do. A fork of a test's own process would do without that
as well, but it would have what hundreds of tests left behind there: their patches, their open files, and the locks of
threads that are not in it. This one has one thread, no run-time checks, and the environment that the tests began with.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

IMPORTED = (
    *("torch", "matplotlib.colors", "tyro._backends._tyro_backend", "isotherm.cli.explain", "isotherm.cli.sweep"),
    *("isotherm.jobs.explain.run", "isotherm.train.keypoint_run", "isotherm.data.beetles", "isotherm.data.scenes"),
)
"""What programs find imported; no package of models is among it, and nothing of it starts a thread."""
ENVIRONMENT = dict(os.environ)
SERVER = f"""
import {", ".join(IMPORTED)}
import json, os, sys
for line in sys.stdin:
    request = json.loads(line)
    if "wait" in request:
        code = os.waitstatus_to_exitcode(os.waitpid(request["wait"], 0)[1])
        print(code, flush=True)
        continue
    if not (pid := os.fork()):
        break
    print(pid, flush=True)
else:
    raise SystemExit
os.setsid()  # a group, so that all of it can be killed at once
os.chdir(request["cwd"])
for name, value in request["environment"].items():
    os.environ.pop(name, None) if value is None else os.environ.update({{name: value}})
for number, (fpath, how) in enumerate(request["streams"]):
    handle = os.open(fpath, how, 0o600)
    os.dup2(handle, number)
    os.close(handle)
sys.stdin = open(0, closefd=False)
sys.argv[:] = ["-c", *request["words"]]
program = request["program"]
for name in ("line", "pid", "name", "value", "handle", "number", "fpath", "how", "request", "json"):
    globals().pop(name, None)
exec(compile(program, "<program>", "exec"))
"""


class Program:
    """A program that was started.

    Args:
        server: the process that it is a fork of, and that waits for it.
        pid: its number, which is that of its group as well.
        folder: where what it prints goes.
    """

    def __init__(self, server: subprocess.Popen[str], pid: int, folder: Path) -> None:
        self._server, self.pid, self._folder = server, pid, folder
        self._handle = os.pidfd_open(pid)
        self._ended: subprocess.CompletedProcess[str] | None = None

    def __del__(self) -> None:
        os.close(self._handle)

    def runs(self) -> bool:
        """Whether it has not ended yet."""
        return not select.select([self._handle], [], [], 0)[0]

    def kill(self) -> subprocess.CompletedProcess[str]:
        """Kill it and what it started without warning, if it has not ended yet; what :meth:`wait` gives."""
        if self._ended is None:
            self._kill()
        return self.wait()

    def _kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)  # its number is nobody else's before it was waited for
        with contextlib.suppress(ProcessLookupError):  # it was killed before it had a group
            os.killpg(self.pid, signal.SIGKILL)

    def wait(self, timeout_s: float = 600.0) -> subprocess.CompletedProcess[str]:
        """Its exit code (minus the number of the signal that killed it) and what it printed, when it has ended.

        Raises:
            AssertionError: it took longer, and was killed; with what it printed.
        """
        if self._ended is not None:
            return self._ended
        code = _ask(self._server, {"wait": self.pid}, timeout_s)
        if late := code is None:
            self._kill()
            code = _ask(self._server, None, None)
        printed, errors = ((self._folder / name).read_text() for name in ("out", "err"))
        self._ended = subprocess.CompletedProcess([], int(code or 0), printed, errors)
        assert not late, f"the program took longer than {timeout_s:.0f} s:\n{printed}\n{errors}"
        return self._ended


class ForkedPrograms:
    """The process that forks programs; it starts with the first of them."""

    def __init__(self) -> None:
        self._server: subprocess.Popen[str] | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="programs-")
        self._count = 0

    def start(
        self,
        program: str,
        words: Sequence[str] = (),
        *,
        cwd: str | os.PathLike[str],
        environment: Mapping[str, str | None] | None = None,
    ) -> Program:
        """Start a program.

        Args:
            program: Python, as ``python -c`` takes it.
            words: its arguments, ``sys.argv[1:]``.
            cwd: where it is started.
            environment: what is set besides the environment that the tests began with; None: it is not set.
        """
        if self._server is None:
            self._server = subprocess.Popen(
                [sys.executable, "-W", "ignore", "-c", SERVER],
                env=ENVIRONMENT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        folder = Path(self._folder.name) / str(self._count)
        self._count += 1
        folder.mkdir()
        for name in ("out", "err"):
            (folder / name).touch()
        written = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        streams = [(os.devnull, os.O_RDONLY), (str(folder / "out"), written), (str(folder / "err"), written)]
        request = {
            **{"program": program, "words": list(words), "cwd": str(cwd)},
            **{"environment": dict(environment or {}), "streams": streams},
        }
        answer = _ask(self._server, request, None)
        return Program(self._server, int(answer or 0), folder)

    def run(self, program: str, words: Sequence[str] = (), **options: Any) -> subprocess.CompletedProcess[str]:
        """Start a program as :meth:`start` does, and wait for its end."""
        return self.start(program, words, **options).wait()

    def close(self) -> None:
        """End the process, if it was started."""
        if self._server is not None:
            with self._server:  # which closes its pipes
                self._server.kill()
        self._folder.cleanup()


def _ask(server: subprocess.Popen[str], request: Mapping[str, Any] | None, timeout_s: float | None) -> str | None:
    """The server's answer, or None where it did not come in time; without a request, the one that is still to come."""
    assert server.stdin is not None
    assert server.stdout is not None
    if request is not None:
        print(json.dumps(request), file=server.stdin, flush=True)
    if not select.select([server.stdout], [], [], timeout_s)[0]:
        return None
    answer = server.stdout.readline()
    assert answer, f"the process that forks programs has ended, with code {server.wait()}"
    return answer
