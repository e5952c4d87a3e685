"""``isotherm explain``: one failing picture does not stop a folder, and what is finished is kept."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, replace
from itertools import groupby
from typing import Any, get_args

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from isotherm.api import explain_many
from isotherm.cam.explanation import Explanation
from isotherm.cam.premises import premises_of
from isotherm.cli.clip import write_clip
from isotherm.cli.job import layers_of, methods_of, question_of, score_of
from isotherm.cli.models import open_model, tell_warnings
from isotherm.cli.options import Explain
from isotherm.cli.outputs import entry_of, record_of, write_maps, write_panel
from isotherm.data.sources import Item, expand
from isotherm.draw import ReportEntry, shared_scale, write_report
from isotherm.errors import AdapterError, InputError, LayerError, MethodError, NonFiniteError, OptionError
from isotherm.explain_options import TrustLevel
from isotherm.explaining import resolve_methods
from isotherm.models.choose import Opened
from isotherm.ops.hashing import state_hash
from isotherm.ops.names import known_word
from isotherm.runs.record import Run
from isotherm.vlm.choose import token_methods
from isotherm.vlm.explain import by_picture
from isotherm.vlm.view import LanguageView

FATAL = (LayerError, MethodError, AdapterError, OptionError)
"""Mistakes that every picture would meet in the same way: the run stops at the first."""


def run(options: Explain, arguments: Sequence[str]) -> int:
    question = question_of(options)
    score = score_of(options)
    names = methods_of(options)
    level = known_word(options.trust, get_args(TrustLevel), "--trust")
    layers = layers_of(options)
    sources = expand(options.sources, recursive=options.recursive, every=options.every, max_frames=options.max_frames)
    opened = open_model(options)
    methods = _methods(names, opened, options)
    command = shlex.join(["isotherm", *arguments])
    console = Console(stderr=True, quiet=options.quiet, highlight=False)
    premises = premises_of(opened.view)
    alarms = tell_warnings(console, premises)
    job: dict[str, Any] = {
        "target": score,
        "method": names if question else methods,
        "layers": layers,
        "fuse": options.fuse,
        "smooth": options.smooth,
        "trust": level,
        "seed": options.seed,
        **question,
    }
    with Run(
        "explain",
        out=options.out,
        overwrite=options.overwrite,
        command=["isotherm", *arguments],
        model={
            "name": opened.view.name,
            "asked_for": options.model,
            "chosen": opened.reason,
            "premises": [asdict(p) for p in premises],
            "warnings": alarms,
            "hash": state_hash(opened.view.model),
        },
        method=[m.name for m in methods],
        target=repr(score),
        question={k: v for k, v in question.items() if k != "mask"} or None,
        layers=layers,
        fuse=options.fuse,
        smooth=options.smooth,
        seed=options.seed,
    ) as record:
        work = _Work(options, opened, job, record, command, console, len(methods))
        with _progress(console, sources.total) as tick:
            entries = work.entries(iter(sources), tick)
            write_report(
                entries,
                record.dpath / "report.html",
                title=f"isotherm explain: {opened.view.name}",
                command=command,
                facts={
                    "model": opened.view.name,
                    "methods": ", ".join(m.name for m in methods),
                    **({"warning": " ".join(alarms)} if alarms else {}),
                },
            )
        summary = record.finish("interrupted" if work.interrupted else "finished")
    if work.fatal is not None:
        raise work.fatal
    print("\n".join([*alarms, str(summary)]))
    print(f"look at {record.dpath / 'report.html'}")
    if work.interrupted:
        return 130
    if summary.done == 0:
        raise InputError(
            f"none of the {len(summary.failed)} input(s) could be explained; the reasons stand above and in {record.dpath / 'items.jsonl'}"
        )
    return 1 if summary.failed else 0


def _methods(names: list[str] | None, opened: Opened, options: Explain) -> list[Any]:
    """The methods asked for, or the default ones of the model and the question."""
    if not isinstance(opened.view, LanguageView):
        return list(resolve_methods(names, opened.view))
    if options.prompt is None:
        raise OptionError(
            f"{opened.view.name} answers questions; give one with --prompt, such as --prompt 'How many peaches are there?'"
        )
    return list(token_methods(names)[0])


class _Work:
    """The loop over items: explains, writes, and yields the report's entries as they come."""

    def __init__(
        self,
        options: Explain,
        opened: Opened,
        job: dict[str, Any],
        run: Run,
        command: str,
        console: Console,
        methods: int,
    ) -> None:
        self.options, self.opened, self.job, self.run = options, opened, job, run
        self.command, self.console, self.methods = command, console, methods
        self.interrupted = False
        self.fatal: Exception | None = None
        self._told: set[str] = set()

    def entries(self, items: Iterator[Item], tick) -> Iterator[ReportEntry]:
        try:
            if self.options.together:
                yield from self._pictures(self._explained(items, tick))
                return
            for source, group in groupby(items, key=lambda item: item.source if item.kind == "frame" else None):
                stream = self._explained(group, tick)
                if source is None:
                    yield from self._pictures(stream)
                else:
                    yield from write_clip(stream, self.run, source, self.options, self.command)
        except KeyboardInterrupt:
            self.interrupted = True
        except FATAL as error:
            self.fatal = error

    def _explained(self, items: Iterator[Item], tick) -> Iterator[tuple[Item, Explanation]]:
        """Items with their explanations, ``--batch`` at a time; a batch that fails is tried one by one."""
        group: list[tuple[Item, Any]] = []
        for item in items:
            try:
                picture = item.load()
            except InputError as error:
                self._fail(item, error, tick)
                continue
            for note in picture.notes:
                self._say(f"{item.name}: {note}")
            group.append((item, picture))
            if len(group) == self.options.batch and not self.options.together:
                yield from self._together(group, tick)
                group = []
        yield from self._together(group, tick)

    def _together(self, group: list[tuple[Item, Any]], tick) -> Iterator[tuple[Item, Explanation]]:
        if not group:
            return
        if self.options.together:
            yield from self._one_question(group)
            tick()
            return
        try:
            found = list(
                explain_many(
                    self.opened, [p for _, p in group], titles=[i.name for i, _ in group], batch=len(group), **self.job
                )
            )
        except FATAL:
            raise
        except Exception as error:
            if len(group) > 1:
                for one in group:
                    yield from self._together([one], tick)
            else:
                self._fail(group[0][0], error, tick)
            return
        for (item, _), explanation in zip(group, found, strict=True):
            try:
                _ = explanation.trust  # judged before anything is written, so that a picture that fails leaves no files
            except FATAL:
                raise
            except Exception as error:
                self._fail(item, error, tick)
                continue
            self._tell_choices(explanation)
            yield item, explanation
            tick()

    def _one_question(self, group: list[tuple[Item, Any]]) -> Iterator[tuple[Item, Explanation]]:
        """All pictures, or a video's frames, in one prompt."""
        name = " + ".join(dict.fromkeys(item.name.partition("#")[0] for item, _ in group))
        fps = _rate([item for item, _ in group])
        try:
            (explanation,) = explain_many(
                self.opened, [[p for _, p in group]], titles=[name], video_fps=fps, **self.job
            )
            if fps is None and any(item.kind == "frame" for item, _ in group):
                line = f"asked about {len(group)} pictures and not about a video, which is two or more frames of one source and nothing else"
                explanation = replace(explanation, chosen=(*explanation.chosen, line))
            _ = explanation.trust
        except NonFiniteError as error:
            self._record_failure(name, group[0][0].source, error)
            return
        self._tell_choices(explanation)
        parts = by_picture(explanation)
        for i, part in enumerate(parts):
            yield group[i * len(group) // len(parts)][0], part

    def _pictures(self, stream: Iterator[tuple[Item, Explanation]]) -> Iterator[ReportEntry]:
        held = list(stream) if self.options.shared_scale else stream
        scale = (
            shared_scale([m for _, e in held for m in e])
            if isinstance(held, list) and any(len(e) for _, e in held)
            else None
        )
        for item, explanation in held:
            files = write_maps(explanation, self.run, item.name, self.options, self.command, scale)
            panel = write_panel(explanation, self.run, item.name, self.methods, self.command, self.options)
            self.run.done(item.name, source=item.source, **record_of(explanation, files + ([panel] if panel else [])))
            self._tell_maps(explanation)
            yield entry_of(explanation, item.source, self.command)

    def _fail(self, item: Item, error: Exception, tick) -> None:
        self._record_failure(item.name, item.source, error)
        tick()

    def _record_failure(self, name: str, source: str, error: Exception) -> None:
        said = error.on_command_line() if isinstance(error, NonFiniteError) else error
        self.run.failed(name, said, source=source)
        print(f"isotherm: {name}: {said}", file=sys.stderr)
        if self.options.debug:
            self.console.print_exception()

    def _say(self, line: str) -> None:
        if line not in self._told:
            self._told.add(line)
            self.console.print(line, markup=False)

    def _tell_choices(self, explanation: Explanation) -> None:
        for line in explanation.chosen:
            self._say(line)

    def _tell_maps(self, explanation: Explanation) -> None:
        if self.options.quiet:
            return
        self.console.print(f"\n{explanation.name}", markup=False, style="bold")
        for line in explanation.question_lines:
            self.console.print(f"  {line}", markup=False, soft_wrap=True)
        lines = list(explanation.trust_lines)
        for i, heatmap in enumerate(explanation):
            self.console.print(f"  {i:2d}  {heatmap.label}  ({heatmap.meta['method']})", markup=False)
            if lines:
                self.console.print(f"      {lines[i]}", markup=False)
        for note in explanation.notes:
            self.console.print(f"  note: {note}", markup=False)


def _rate(items: Sequence[Item]) -> float | None:
    """Frames a second, where the items are the frames of one video and not of several."""
    times = [item.time_s for item in items if item.kind == "frame" and item.time_s is not None]
    if len(times) < max(2, len(items)) or len({item.source for item in items}) > 1 or times[-1] <= times[0]:
        return None
    return (len(times) - 1) / (times[-1] - times[0])


def _progress(console: Console, total: int | None):
    """A context whose value is called once per finished item; silent for a single picture."""
    if console.quiet or total == 1 or not console.is_terminal:
        return nullcontext(lambda: None)
    progress = Progress(
        TextColumn("explaining"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )

    class _Ticking:
        def __enter__(self):
            progress.start()
            task = progress.add_task("explaining", total=total)
            return lambda: progress.advance(task)

        def __exit__(self, *_: object) -> None:
            progress.stop()

    return _Ticking()
