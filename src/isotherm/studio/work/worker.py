"""The process that owns the models: it does one job after another and tells the studio how far it is.

It is a process of its own so that a model that runs out of memory, a decoder that crashes or a job that hangs takes
nothing but its own job with it. What it gets and sends are plain dictionaries.
"""

from __future__ import annotations

import importlib
import os
import signal
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, cast

from isotherm.data.names import moment_words
from isotherm.errors import IsothermError, JobCancelled
from isotherm.jobs.reporter import Kind, Reporter
from isotherm.ops.shell import shell_line
from isotherm.progress import Progress
from isotherm.studio.faults import tell
from isotherm.studio.unkept import why_unkept
from isotherm.studio.work.decoded import DecodedPictures
from isotherm.studio.work.models import Models

if TYPE_CHECKING:
    from isotherm.studio.work.view import ViewWriter

JOBS: Mapping[str, tuple[str, str]] = {
    "explain": ("isotherm.jobs.explain.options:ExplainJob", "isotherm.jobs.explain.run:run"),
    "count": ("isotherm.jobs.count.options:CountJob", "isotherm.jobs.count.run:run"),
}
"""Where a job's options and its function are, as ``module:name``; both are imported when they are needed first."""


QUESTIONS: Mapping[str, str] = {
    "layers": "isotherm.studio.work.layers:layer_tree",
    "glance": "isotherm.studio.work.glance:glance",
}
"""What can be asked of an opened model beside jobs, as ``module:name`` of a function of it."""

OPENING = "opening the model"
"""The stage before the first item."""

FETCH_S = 0.08
"""How long the processor is left to the page until it has fetched the first map of a run that can be shown: what comes
next (files, small pictures, the check) would take every core from the browser and the server.
"""

DRAW_S = 0.08
"""How long it is left to a page that has fetched that map, and draws it."""

MOST_FAILURES = 20
"""Items that failed which are told of one by one; all are in the run's record."""


class PipeReporter(Reporter):
    """Sends what a job tells through a pipe.

    Args:
        pipe: to the studio.
        run_id: of the run.
        view: makes what writes the run's view, when there is something to show.
        inputs: the folder where the run's pictures lie for its time, which nobody needs to read of.
    """

    def __init__(self, pipe: Connection, run_id: str, view: Callable[[], ViewWriter], inputs: str) -> None:
        super().__init__()
        self._pipe, self.run_id, self._inputs = pipe, run_id, inputs
        self._make_view, self._view = view, cast("ViewWriter | None", None)
        self._has_shown = False
        self._was_fetched = threading.Event()
        self.unchecked: list[str] = []
        """Items whose check came to no end, and why."""

    def send(self, event: str, **facts: Any) -> None:
        """An event of this run."""
        plain = {name: self._plain(value) for name, value in facts.items()}
        self._pipe.send({"run": self.run_id, "event": event, **plain})

    def progress(self, progress: Progress) -> None:
        self.send("progress", **asdict(progress))

    def message(self, text: str, kind: Kind = "note") -> None:
        self.send("message", text=text, kind=kind)

    def preview(self, facts: Mapping[str, Any], picture: Any, maps: Sequence[Any], lines: Sequence[str] = ()) -> None:
        self._writer().preview(facts, picture, maps, lines)
        self.send("shown", name=facts.get("name"))
        if not self._has_shown:  # the others are looked at later, if at all
            self._has_shown = True
            if self._was_fetched.wait(FETCH_S):
                self._cancelled.wait(DRAW_S)

    def looked(self) -> None:
        """Somebody has fetched a map; called by another thread than the job's."""
        self._was_fetched.set()

    def shown(self, facts: Mapping[str, Any], picture: Any, maps: Sequence[Any], lines: Sequence[str] = ()) -> None:
        self._writer().add(facts, picture, maps, lines)
        self.send("files", name=facts.get("name"))

    def judged(self, facts: Mapping[str, Any]) -> None:
        self._writer().judge(facts)
        if why := facts.get("unchecked"):
            self.unchecked.append(self._plain(f"{moment_words(str(facts['name']))}: not checked ({why})"))
        self.send("judged", name=facts.get("name"), verdicts=[one.get("verdict") for one in facts.get("maps", ())])

    def item(self, facts: Mapping[str, Any]) -> None:
        if facts.get("status") == "failed":
            self._writer().fail(moment_words(str(facts["name"])), self._plain(str(facts["reason"])))
        self.send("item", name=facts.get("name"), status=facts.get("status"), maps=len(facts.get("maps", ())))

    def _plain(self, value: Any) -> Any:
        """Text without the folder of the run's pictures."""
        if isinstance(value, list):
            return [self._plain(one) for one in value]
        return value.replace(self._inputs, "") if isinstance(value, str) else value

    def _writer(self) -> ViewWriter:
        if self._view is None:
            self._view = self._make_view()
        return self._view


def serve(pipe: Connection, jobs: Mapping[str, tuple[str, str]], most_bytes: int, heatmaps: Path | None = None) -> None:
    """Do jobs until the studio closes the pipe or ends.

    Args:
        pipe: orders come in: ``{"run", "job", "options", "out"}``, a question with ``ask``, ``{"cancel": run, "why"}``,
            or ``{"looked": run}`` when somebody has fetched a map of it; events go out, the last one of a run is
            ``finished`` or ``failed``. ``{"import": job}`` comes before there is anything to do, so that the first run
            does not wait for imports.
        jobs: as :data:`JOBS`.
        most_bytes: of open models together.
        heatmaps: the folder where every finished map is kept by its time as well.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C reaches the whole group; the studio decides what it means
    orders: SimpleQueue[dict[str, Any] | None] = SimpleQueue()
    current: dict[str, PipeReporter] = {}
    cancelled: dict[str, str] = {}

    def read() -> None:
        # beside the job, so that it can be cancelled while it runs
        try:
            while True:
                order = pipe.recv()
                if (run_id := order.get("cancel")) is not None:
                    cancelled[run_id] = order.get("why", "cancelled")
                    if (reporter := current.get(run_id)) is not None:
                        reporter.cancel(cancelled[run_id])
                elif "looked" in order:
                    if (reporter := current.get(order["looked"])) is not None:
                        reporter.looked()
                else:
                    orders.put(order)
        except (EOFError, OSError):
            if current:  # nobody is left to tell: a long job would go on for nothing
                os._exit(1)
            orders.put(None)

    threading.Thread(target=read, daemon=True).start()
    pictures = DecodedPictures()
    models = Models(_open_model, _size_of, most_bytes=most_bytes, at=_at_confidence)
    while (order := orders.get()) is not None:
        if "import" in order:
            _import(jobs[order["import"]])
            continue
        reporter = PipeReporter(pipe, order["run"], partial(_view_of, order, heatmaps), f"{order['out']}.in/")
        current[reporter.run_id] = reporter
        if reporter.run_id in cancelled:
            reporter.cancel(cancelled[reporter.run_id])
        try:
            _do(order, jobs, models, pictures, reporter)
        finally:
            current.pop(reporter.run_id)
            cancelled.pop(reporter.run_id, None)


def _import(places: Iterable[str]) -> None:
    for place in places:
        with suppress(Exception):  # the run that needs it says what is wrong
            _named(place)


def _do(
    order: Mapping[str, Any],
    jobs: Mapping[str, tuple[str, str]],
    models: Models[Any],
    pictures: DecodedPictures,
    reporter: PipeReporter,
) -> None:
    try:
        reporter.check()
        options_type, run = (_named(name) for name in jobs[order["job"]])
        options = options_type.from_json({**order["options"], "out": order["out"]})
        opened = _opened(options, models, reporter)
        if (question := order.get("ask")) is not None:
            reporter.send("finished", value=_named(QUESTIONS[question])(opened, **order.get("arguments", {})))
            return
        missing = tuple(order.get("missing", {}).items())
        summary = run(options, reporter, opened=opened, command=order["command"], read=pictures.read)
        for name, reason in missing:  # now that there is a folder
            reporter.item({"name": name, "status": "failed", "reason": reason})
        failed = [*missing, *summary.failed]
        failures = [f"{moment_words(name)}: {reason}" for name, reason in failed[:MOST_FAILURES]]
        ended = {"status": summary.status, "done": summary.done, "failed": len(failed), "failures": failures}
        reporter.send("finished", **ended, unchecked=reporter.unchecked[:MOST_FAILURES])
    except JobCancelled as stop:
        reporter.send("failed", status="cancelled", error=str(stop))
    except IsothermError as error:
        reporter.send("failed", status="failed", error=why_unkept(error) or str(error))
    except MemoryError:
        reporter.send("failed", status="failed", error="there is not enough memory for it")
    except Exception as error:  # a fault of ours or of a package: this job's end, not the studio's
        tell(error, f"run {reporter.run_id}")
        reason = why_unkept(error) or f"{type(error).__name__}: {error}"
        reporter.send("failed", status="failed", error=reason)


def _opened(options: Any, models: Models[Any], reporter: PipeReporter) -> Any:
    """The model that the options name, and the news that it is being opened where it is not open yet."""
    if not hasattr(options, "model"):
        return None
    if options not in models:
        reporter.progress(Progress(step=0, text=options.model, stage=OPENING))
    return models.get(options)


def _view_of(order: Mapping[str, Any], heatmaps: Path | None) -> ViewWriter:
    from isotherm.studio.heatmaps import HeatmapFolder
    from isotherm.studio.work.view import ViewWriter

    folder = None if heatmaps is None else HeatmapFolder(heatmaps)
    return ViewWriter(Path(order["out"]), command=shell_line(order["command"]), heatmaps=folder)


def _named(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)


def _open_model(options: Any) -> Any:
    from isotherm.jobs.open_model import open_model

    return open_model(options)


def _at_confidence(opened: Any, confidence: float) -> Any:
    from isotherm.cam.view import ThresholdView

    view = opened.view.with_confidence(confidence) if isinstance(opened.view, ThresholdView) else None
    return None if view is None else replace(opened, view=view)


def _size_of(opened: Any) -> int:
    from itertools import chain

    from torch import nn

    model = getattr(opened.view, "model", None)
    if not isinstance(model, nn.Module):
        return 0
    return sum(t.numel() * t.element_size() for t in chain(model.parameters(), model.buffers()))
