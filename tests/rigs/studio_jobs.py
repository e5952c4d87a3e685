"""Jobs for tests of the studio's workroom: they need no model, and do on purpose what jobs do by misfortune."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from isotherm.errors import InputError
from isotherm.jobs.options import JobOptions
from isotherm.progress import Progress
from isotherm.runs.record import Summary

JOBS: Mapping[str, tuple[str, str]] = {"play": ("rigs.studio_jobs:PlayJob", "rigs.studio_jobs:run")}


@dataclass(frozen=True, kw_only=True)
class PlayJob(JobOptions):
    """What happens while it runs, a word for each step."""

    words: ClassVar[tuple[str, ...]] = ("play",)

    steps: tuple[str, ...] = ()
    out: Path | None = None


def run(options: PlayJob, reporter, *, opened=None, command=(), read=None) -> Summary:
    """Do the steps; a word that is none of those below is an item of that name."""
    assert options.out is not None
    options.out.mkdir()
    (options.out / "run.json").write_text(json.dumps({"command": list(command)}))
    done, failed = 0, []
    with (options.out / "items.jsonl").open("w") as items:
        for i, word in enumerate(options.steps):
            if reporter.cancelled:
                return Summary(options.out, done, tuple(failed), 0.0, "cancelled")
            reporter.progress(Progress(step=i, total=len(options.steps), stage="playing"))
            if word == "refuse":
                raise InputError("this is no picture")
            if word == "stumble":
                raise KeyError("a fault of the code")
            if word in ("full", "locked"):
                raise OSError(28 if word == "full" else 30, "the system's words")
            if word == "die":
                os.kill(os.getpid(), signal.SIGKILL)
            if word == "hang":
                threading.Event().wait()
            if word == "wait for cancel":
                while not reporter.cancelled:
                    reporter._cancelled.wait(5)
                continue
            if word == "wait for a look":
                if not reporter._was_fetched.wait(60):
                    raise InputError("nobody has looked")
                continue
            if word == "fail":
                failed.append((word, "damaged"))
                continue
            facts = {
                "name": word,
                "status": "done",
                "maps": [{"label": f"a {word}", "method": "GradCAM", "verdict": "doubtful"}],
                "pid": os.getpid(),
            }
            items.write(json.dumps(facts) + "\n")
            items.flush()
            reporter.item(facts)
            done += 1
    return Summary(options.out, done, tuple(failed), 0.0, "finished")


class AnyJob:
    """Options of any job, which nobody looks at."""

    @classmethod
    def from_json(cls, data: Mapping[str, object]) -> AnyJob:
        return cls()


def refuse(options: AnyJob, reporter, *, opened=None, command=(), read=None) -> Summary:
    """End at once, with a reason."""
    raise InputError("this studio explains nothing")
