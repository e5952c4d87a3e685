"""Python without the run-time checks that the tests run under, as users have it: one process for all tests that need it."""

from __future__ import annotations

import json
import subprocess
import sys

LOOP = """
import contextlib, io, json, sys, traceback, warnings
warnings.simplefilter("ignore")
import torch
import torch._inductor.compile_fx
torch.set_num_threads(1)
answers = sys.stdout
print("ready", flush=True)
for line in sys.stdin:
    text, error = io.StringIO(), ""
    torch._dynamo.reset(), torch._dynamo.utils.counters.clear()
    with contextlib.redirect_stdout(text):
        try:
            exec(compile(json.loads(line), "<snippet>", "exec"), {"__name__": "snippet"})
        except Exception:
            error = traceback.format_exc()
    print(json.dumps([text.getvalue(), error]), file=answers, flush=True)
"""


class UncheckedProcess:
    """A process that runs pieces of code one after the other, each in names of its own.

    Importing torch and its compiler takes far longer than most of these pieces do.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it, if it was not started yet, and wait until it has imported torch and its compiler."""
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-c", LOOP], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            assert self._process.stdout is not None
            assert self._process.stdout.readline() == "ready\n"

    def run(self, code: str) -> str:
        """Run a piece of code.

        Args:
            code: Python, whole; what it leaves behind in modules stays for the next piece.

        Returns:
            What it printed.

        Raises:
            AssertionError: with the traceback, if it failed.
        """
        self.start()
        assert self._process is not None
        streams = self._process.stdin, self._process.stdout
        assert streams[0] is not None
        assert streams[1] is not None
        print(json.dumps(code), file=streams[0], flush=True)
        answer = streams[1].readline()
        assert answer, f"the process ended with code {self._process.wait()}"
        printed, error = json.loads(answer)
        assert not error, error
        return printed

    def close(self) -> None:
        """End the process, if it was started."""
        if self._process is not None:
            self._process.communicate()
