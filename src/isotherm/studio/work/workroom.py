"""Where the studio's runs wait, and where one at a time is worked on, by a process that may die.

A run that was taken in is in the history at once, so that a crash of the studio forgets none. One that takes too long
is asked to end; one that does not end when it is asked to ends with its process, and the next one gets a new process.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isotherm.errors import InputError, IsothermError
from isotherm.jobs.options import JobOptions
from isotherm.ops.shell import shell_line
from isotherm.studio.store.blobs import NotThere, new_id
from isotherm.studio.store.history import History
from isotherm.studio.store.query import Status
from isotherm.studio.unkept import reason_of
from isotherm.studio.work.events import Event, Events
from isotherm.studio.work.outcome import outcome_of
from isotherm.studio.work.process import WorkerProcess
from isotherm.studio.work.results import maps_in
from isotherm.studio.work.worker import JOBS, OPENING

GRACE_S = 10.0
"""How long a run that was asked to end may take to end by itself."""

ANSWER_S = 120.0
"""How long who asks of a model waits."""

TICK_S = 0.2
"""How often the clock is looked at while a run is silent."""


class Busy(IsothermError):
    """A question that could not be answered in time, because a run is worked on."""


class QueueFull(IsothermError):
    """As many runs wait as may wait.

    Args:
        waiting: how many.
        retry_s: in how many seconds there is likely room.
    """

    def __init__(self, waiting: int, retry_s: int) -> None:
        super().__init__(f"{waiting} runs are waiting already; try again in about {retry_s} s")
        self.retry_s = retry_s


@dataclass(frozen=True)
class Waiting:
    """A run that nobody works on yet."""

    run_id: str
    options: JobOptions
    pictures: Sequence[tuple[str, str]] = ()


class Workroom:
    """A queue of runs and the process that does them.

    Args:
        history: where runs are taken down and their results are kept.
        most_waiting: runs that may wait; more are refused.
        timeout_s: how long a run may take.
        most_bytes: of open models together.
        heatmaps: the folder where every finished map is kept by its time as well; None: nowhere.
        after_run: called when a run has ended, such as to forget old ones.
        jobs: as :data:`isotherm.studio.work.worker.JOBS`.
        threads: that a run computes with; None: as :func:`isotherm.studio.processor.environment` decides.
    """

    def __init__(
        self,
        history: History,
        *,
        most_waiting: int = 16,
        timeout_s: float = 900.0,
        most_bytes: int = 4 << 30,
        heatmaps: Path | None = None,
        after_run: Callable[[], object] = lambda: None,
        jobs: Mapping[str, tuple[str, str]] = JOBS,
        threads: int | None = None,
    ) -> None:
        self.history, self.most_waiting, self.timeout_s = history, most_waiting, timeout_s
        self.events = Events()
        self._after_run = after_run
        self._jobs, self._worker = jobs, WorkerProcess(jobs, most_bytes, heatmaps, threads)
        self._waiting: deque[Waiting] = deque()
        self._questions: deque[tuple[dict[str, Any], Future[Any]]] = deque()
        self._current: str | None = None
        self._cancelled_at: float | None = None
        self._late = ""  # that the run took too long, in words
        self._changed = threading.Condition()
        self._closed = False
        self._seconds = 10.0  # what a run takes, as far as is known
        self._thread = threading.Thread(target=self._work, name="isotherm studio: workroom", daemon=True)
        self._thread.start()

    # --- for the studio's requests -----------------------------------------------------------------------------------

    def submit(self, options: JobOptions, *, key: str, title: str, pictures: Sequence[tuple[str, str]] = ()) -> str:
        """Take in a run; from here on it is in the history. Returns its id.

        Args:
            options: of the job; where there are ``pictures``, its sources are their names.
            key: a hash of everything that decides the results.
            title: what people find it by.
            pictures: id and file name of each.

        Raises:
            QueueFull: too many are waiting.
        """
        job = " ".join(options.words)
        if job not in self._jobs:
            raise InputError(f"the studio does not do {job!r}; it does {', '.join(self._jobs)}")
        with self._changed:
            if len(self._waiting) >= self.most_waiting:
                raise QueueFull(len(self._waiting), max(1, round(self._seconds)))
            run_id = self.history.add_run(
                job,
                key=key,
                title=title,
                model=str(getattr(options, "model", "")),
                options=options.to_json(),
                command=shell_line(options.command_line()),
                pictures=pictures,
            )
            self._waiting.append(Waiting(run_id, options, tuple(pictures)))
            self.events.add(run_id, {"event": "queued", "place": len(self._waiting)})
            self._changed.notify_all()
        return run_id

    def ask(self, task: str, options: JobOptions, *, begin_s: float = ANSWER_S, **arguments: Any) -> Any:
        """What the process says of a model, which it opens where it is not open; before all runs that wait.

        Args:
            task: one of :data:`isotherm.studio.work.worker.QUESTIONS`.
            options: that name the model.
            begin_s: how long to wait for a run that is worked on.
            **arguments: further ones of the task.

        Raises:
            Busy: a run is worked on for longer.
            InputError: what the process says instead.
        """
        job = " ".join(options.words)
        order = {"run": new_id(), "ask": task, "job": job, "options": options.to_json(), "out": None, "command": ()}
        order["arguments"] = arguments
        answer: Future[Any] = Future()
        with self._changed:
            if self._closed:
                raise Busy("the studio is ending")
            self._questions.append((order, answer))
            self._changed.notify_all()
        try:
            with suppress(TimeoutError):
                return answer.result(begin_s)
            if answer.cancel():  # nobody has begun
                raise Busy("a run is worked on; ask again when it has ended")
            return answer.result(ANSWER_S)
        except TimeoutError as error:
            raise Busy("the answer takes long; ask again") from error
        except CancelledError as error:
            raise Busy("the studio is ending") from error

    def glance(self, options: JobOptions, picture: bytes, *, wait_s: float = 1.0) -> list[dict[str, Any]] | None:
        """What a model finds on a picture now; None where runs are in the way, which go first.

        Args:
            options: of an explain job, whose model it is.
            picture: the bytes of its file.
            wait_s: how long to wait for those that are in the way.

        Raises:
            InputError: the model cannot be opened, or not look at it.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._is_idle or self._closed, wait_s) or self._closed:
                return None
        try:
            return self.ask("glance", options, picture=picture)
        except Busy:
            return None

    def place(self, run_id: str) -> int | None:
        """0 for the run that is worked on, 1 for the next one, and so on; None for one that is in neither place."""
        with self._changed:
            if run_id == self._current:
                return 0
            return next((i for i, one in enumerate(self._waiting, 1) if one.run_id == run_id), None)

    def folder(self, run_id: str) -> Path:
        """Where a run's results lie: those that there are by now, while it is worked on."""
        kept = self.history.runs.path(run_id)
        return kept if kept.is_dir() else self._work_folder(run_id)

    def _work_folder(self, run_id: str) -> Path:
        return self.history.runs.dpath / f".work.{run_id}"

    def cancel(self, run_id: str) -> None:
        """Ask a run to end: one that waits at once, one that is worked on at its next item; what it did is kept."""
        with self._changed:
            waiting = next((one for one in self._waiting if one.run_id == run_id), None)
            if waiting is not None:
                self._waiting.remove(waiting)
            elif run_id == self._current and self._cancelled_at is None:
                self._cancelled_at = time.monotonic()
                self._worker.send({"cancel": run_id})
        if waiting is not None:
            self._ended(run_id, "cancelled", "it was cancelled before it began")
            self._tell_places()

    def looked(self, run_id: str) -> None:
        """Somebody has a map of a run, and is about to draw it; the process leaves the processor for that."""
        self._worker.send({"looked": run_id})

    def expect(self, job: str) -> None:
        """Start the process that does runs, which imports what a job needs; only before any run was asked for."""
        self._worker.order({"import": job})

    def close(self) -> None:
        """End; the run that is worked on and those that wait are interrupted."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._worker.kill()
        self._thread.join()
        self._worker.end()

    # --- the thread that works ---------------------------------------------------------------------------------------

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._questions and not self._closed:
                    self._changed.wait()
                question = self._questions.popleft() if self._questions and not self._closed else None
                if self._closed:
                    rest = [one.run_id for one in self._waiting]
                    self._waiting.clear()
                    break
                if question is None:
                    waiting = self._waiting.popleft()
                    self._current, self._cancelled_at, self._late = waiting.run_id, None, ""
            if question is not None:
                self._answer(*question)
                continue
            self._tell_places()
            began = time.monotonic()
            folder = self._work_folder(waiting.run_id)
            try:
                self._do(waiting, folder)
                self._after_run()
            except Exception as error:  # the disk is full, the database is away: this run's end, not the studio's
                self._stumbled(waiting.run_id, error)
            finally:
                for left in (folder, _inputs(folder)):
                    shutil.rmtree(left, ignore_errors=True)
                with self._changed:
                    self._current = None
                    self._changed.notify_all()
                self._seconds = 0.7 * self._seconds + 0.3 * (time.monotonic() - began)
        for _, answer in self._questions:
            answer.cancel()
        for run_id in rest:
            self._ended(run_id, "interrupted", "the studio was ended before it began")

    def _answer(self, order: dict[str, Any], answer: Future[Any]) -> None:
        if not answer.set_running_or_notify_cancel():  # nobody waits for it any more
            return
        self._cancelled_at, self._late = None, ""
        self._worker.order(order)
        last = self._listen(order["run"])
        if last["event"] == "finished":
            answer.set_result(last["value"])
        else:
            answer.set_exception(InputError(last["error"]))

    def _do(self, waiting: Waiting, folder: Path) -> None:
        run_id, options = waiting.run_id, waiting.options
        facts, missing = options.to_json(), dict[str, str]()
        if waiting.pictures:
            facts["sources"], missing = self._lay_out(waiting, folder)
            if not facts["sources"]:
                self._ended(run_id, "failed", "; ".join(missing.values()))
                return
        order = {
            "run": run_id,
            "job": " ".join(options.words),
            "options": facts,
            "command": options.command_line(),
            "out": str(folder),
            "missing": missing,
        }
        starts = self._worker.order(order)
        try:
            self.history.set_status(run_id, "running")  # while it begins: nobody waits for the disk
        except Exception:
            self._worker.send({"cancel": run_id})  # nobody will listen to it
            raise
        self.events.add(run_id, {"event": "running"})  # only now: who hears it may ask the history
        if starts:  # the process says so itself when it has started, which takes seconds
            model = str(getattr(options, "model", ""))
            self.events.add(run_id, {"event": "progress", "step": 0, "total": None, "text": model, "stage": OPENING})
        how = outcome_of(self._listen(run_id), folder, self._late)
        if how.keep:
            self.history.finish(run_id, folder, maps_in(folder), status=how.status, message=how.message)
        else:
            self.history.set_status(run_id, how.status, how.message)
        self._leave(run_id, how.event)

    @property
    def _is_idle(self) -> bool:
        return not (self._waiting or self._current or self._questions)

    def _lay_out(self, waiting: Waiting, folder: Path) -> tuple[list[str], dict[str, str]]:
        """The run's pictures under their own names, in a folder that goes with the run; and why some are not there."""
        inputs, missing = _inputs(folder), {}
        inputs.mkdir()
        for picture_id, name in waiting.pictures:
            try:
                os.link(self.history.picture(picture_id)[1], inputs / name)
            except (NotThere, FileNotFoundError) as error:
                missing[name] = str(error) if isinstance(error, NotThere) else "its file is missing; send it again"
        return [str(inputs / name) for _, name in waiting.pictures if name not in missing], missing

    def _listen(self, run_id: str) -> Event:
        """Take down what the process tells of a run, up to the end; the last event, also where the process did not tell
        it.
        """
        until = time.monotonic() + self.timeout_s
        while True:
            try:
                if (event := self._worker.event(TICK_S)) is not None:
                    if event.pop("run") == run_id:
                        if event["event"] in ("finished", "failed"):
                            return event
                        self.events.add(run_id, event)
                    continue
            except (EOFError, OSError):
                return self._died()
            if self._closed:
                self._worker.end()
                return _failed("interrupted", "the studio was ended")
            if self._cancelled_at is None and time.monotonic() > until:
                self._late, self._cancelled_at = f"it took longer than {self.timeout_s:g} s", time.monotonic()
                self._worker.send({"cancel": run_id, "why": self._late})
            if self._cancelled_at is not None and time.monotonic() > self._cancelled_at + GRACE_S:
                self._worker.end()
                return _failed("failed", self._late) if self._late else _failed("cancelled", "it did not end by itself")

    def _died(self) -> Event:
        why = self._worker.last_words()
        if self._closed:
            return _failed("interrupted", "the studio was ended")
        reason = f"the process that worked on it died ({why}); ask again, or try a smaller model or picture"
        return _failed("failed", reason)

    def _stumbled(self, run_id: str, error: Exception) -> None:
        message = f"the studio could not keep it ({reason_of(error, self.history.runs.dpath)})"
        with suppress(Exception):  # what cannot be written down now is interrupted at the next start
            if self.history.run(run_id).status in ("queued", "running"):
                self.history.set_status(run_id, "failed", message)
        self._leave(run_id, _failed("failed", message))

    # --- what is told ------------------------------------------------------------------------------------------------

    def _ended(self, run_id: str, status: Status, message: str) -> None:
        self.history.set_status(run_id, status, message)
        self._leave(run_id, _failed(status, message))

    def _leave(self, run_id: str, last: Event) -> None:
        with self._changed:
            self._current = None if self._current == run_id else self._current
        self.events.add(run_id, last)

    def _tell_places(self) -> None:
        with self._changed:
            for i, one in enumerate(self._waiting, 1):
                self.events.add(one.run_id, {"event": "queued", "place": i})


def _inputs(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.in")


def _failed(status: Status, error: str) -> Event:
    return {"event": "failed", "status": status, "error": error}
