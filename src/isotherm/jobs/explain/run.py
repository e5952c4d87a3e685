"""The job behind ``isotherm explain``: one failing picture does not stop a folder, and what is finished is kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

from isotherm.cam.apart import apart
from isotherm.cam.clips import ClipView
from isotherm.cam.explanation import Explanation
from isotherm.cam.view import View
from isotherm.data.clips import clip_of
from isotherm.data.pictures import read_picture
from isotherm.data.sources import Item, ReadPicture, expand
from isotherm.draw import ReportEntry, shared_scale, write_report
from isotherm.errors import (
    AdapterError,
    InputError,
    IsothermError,
    JobCancelled,
    LayerError,
    MethodError,
    NonFiniteError,
    OptionError,
    UnfitTargetError,
)
from isotherm.explaining import ExplainOptions, explain_pictures
from isotherm.gaze.view import compared_with_gaze, gaze_remarks
from isotherm.jobs.explain.check import checked
from isotherm.jobs.explain.choices import explain_options, idle_options, methods_for, question_facts, style_of, unfit
from isotherm.jobs.explain.clip import asked_about, rate_of, write_clip
from isotherm.jobs.explain.moments import entries_of_moments, write_moments
from isotherm.jobs.explain.options import ExplainJob
from isotherm.jobs.explain.outputs import (
    Outputs,
    entry_of,
    lines_of,
    missing_lines,
    model_facts,
    note_lines,
    record_of,
    time_of,
    write_maps,
    write_panel,
)
from isotherm.jobs.explain.shown import made_alike
from isotherm.jobs.open_model import opened_model
from isotherm.jobs.reporter import Reporter
from isotherm.models.choose import OpenModel
from isotherm.ops.hashing import state_hash
from isotherm.ops.shell import shell_line
from isotherm.progress import Progress
from isotherm.runs.file import ending, to_json
from isotherm.runs.record import Run, Summary, failure_line
from isotherm.vlm.explain import by_picture
from isotherm.vlm.view import LanguageView

FATAL = (LayerError, MethodError, AdapterError, OptionError, UnfitTargetError)
"""Mistakes that every picture would meet in the same way: the run stops at the first."""


def run(
    options: ExplainJob,
    reporter: Reporter | None = None,
    *,
    opened: OpenModel | View | LanguageView | None = None,
    command: Sequence[str] | None = None,
    read: ReadPicture = read_picture,
) -> Summary:
    """Explain every source, and write maps, overlays, panels, clips, a report and a record.

    Args:
        options: what and how.
        reporter: takes what is told on the way, and may cancel; silent where None.
        opened: the model, where it is open already; ``options.model`` is then not looked at.
        command: the words that ask for this again, printed under every picture; by default those of the options.
        read: reads a picture's file; a process that does many runs may have its pixels still.

    Returns:
        The record's summary, also of a run that was interrupted or cancelled: its ``status`` says so.

    Raises:
        OptionError, AdapterError, LayerError, MethodError: what every picture would meet; what was finished before is
            kept.
    """
    reporter = Reporter() if reporter is None else reporter
    words = options.command_line() if command is None else list(command)
    explaining = replace(explain_options(options), progress=reporter.say)
    if read is read_picture:
        read = partial(read_picture, max_pixels=options.max_pixels)
    style = style_of(options)
    sources = expand(
        options.sources,
        recursive=options.recursive,
        every=options.every,
        max_frames=options.max_frames,
        start_s=options.start_s,
        end_s=options.end_s,
        max_pixels=options.max_pixels,
    )
    if (idle := idle_options(options, sources)) is not None:
        reporter.message(idle)
    opened, items = opened_model(options, opened), iter(sources)
    if options.like is not None:
        explaining, opened, items = made_alike(options.like, explaining, opened, items, read)
    methods = methods_for(explaining, opened)
    columns = methods
    if options.fuse == "none" and not isinstance(opened.view, LanguageView):
        columns = apart(opened.view, methods, explaining.layers)
    about = model_facts(opened, options.model)
    for line in about["warnings"]:
        reporter.message(line, "alarm")
    chosen = explaining.method is None and explaining.prompt is None  # by us
    first = [f"method: {', '.join(m.name for m in methods)}, the default for this kind of model"] if chosen else []
    with Run(
        "explain",
        out=options.out,
        overwrite=options.overwrite,
        command=words,
        # several pictures or frames may be one question or one clip
        total=None if options.together or isinstance(opened.view, ClipView) else sources.total,
        options=options.to_json(),
        model=about,
        method=[m.name for m in methods],
        target=repr(explaining.target),
        question=question_facts(explaining),
        layers=explaining.layers,
        fuse=options.fuse,
        smooth=options.smooth,
        seed=options.seed,
    ) as record:
        # methods by name are resolved once, so that what is random in them goes on from picture to picture
        if explaining.prompt is None:
            explaining = replace(explaining, method=methods)
        outputs = Outputs(
            run=record,
            style=style,
            raw=options.raw,
            command=shell_line(words),
            methods=len(columns),
            layers_apart=options.fuse == "none",
            renormalise=options.renormalise,
            show_boxes=options.show_boxes,
        )
        work = _Work(options, explaining, opened, outputs, reporter, sources.total, read, first)
        write_report(
            work.entries(items),
            record.dpath / "report.html",
            title=f"isotherm explain: {opened.view.name}",
            command=outputs.command,
            facts={
                "model": opened.view.name,
                "methods": ", ".join(m.name for m in methods),
                **({"warning": " ".join(about["warnings"])} if about["warnings"] else {}),
            },
            remarks=lambda: missing_lines(replace(record.summary(), status=work.status)),
        )
        record.note(model={**about, "hash": state_hash(opened.view.model)})  # last: somebody may wait for a map
        summary = record.finish(work.status)
    if work.fatal is not None:
        record.withdraw()
        raise work.fatal
    return summary


class _Work:
    """The loop over items: explains, writes, and yields the report's entries as they come."""

    def __init__(
        self,
        options: ExplainJob,
        explaining: ExplainOptions,
        opened: OpenModel,
        outputs: Outputs,
        reporter: Reporter,
        total: int | None,
        read: ReadPicture,
        first: Sequence[str],
    ) -> None:
        self.options, self.explaining, self.opened = options, explaining, opened
        self.outputs, self.reporter, self.total, self.read, self._first = outputs, reporter, total, read, first
        self.status = "finished"
        self.fatal: Exception | None = None
        self._items = 0
        self._stop: BaseException | None = None
        self._shown: set[str] = set()
        self._answer: list[str] = []

    def entries(self, items: Iterator[Item]) -> Iterator[ReportEntry]:
        try:
            if self.options.together:
                yield from self._pictures(self._explained(items))
                return
            for source, group in groupby(items, key=lambda item: item.source if item.kind == "frame" else None):
                if isinstance(self.opened.view, ClipView):
                    yield from self._moments(source, group)
                    continue
                stream = self._explained(group)
                if source is None:
                    yield from self._pictures(stream)
                else:
                    yield from write_clip(stream, source, self.outputs, self._frame)
        except KeyboardInterrupt:
            self.status = "interrupted"
        except JobCancelled:
            self.status = "cancelled"
        except FATAL as error:
            name = self.opened.view.name
            self.fatal = unfit(error, self.options, name) if isinstance(error, UnfitTargetError) else error
            self.status = ending(type(self.fatal), self.fatal)

    def _explained(self, items: Iterator[Item]) -> Iterator[tuple[Item, Explanation]]:
        """Items with their explanations, ``batch`` at a time; a batch that fails is tried one by one."""
        group: list[tuple[Item, Any]] = []
        for item in items:
            self.reporter.check()
            try:
                picture = item.load(self.read)
            except InputError as error:
                self._fail(item.name, item.source, error)
                continue
            for note in picture.notes:
                self._once(f"{item.name}: {note}")
            group.append((item, picture))
            if len(group) == self.options.batch and not self.options.together:
                yield from self._together(group)
                group = []
        yield from self._together(group)

    def _together(self, group: list[tuple[Item, Any]]) -> Iterator[tuple[Item, Explanation]]:
        if not group:
            return
        if self.options.together:
            yield from self._one_question(group)
            return
        pictures, titles = [picture for _, picture in group], [item.name for item, _ in group]
        some: list[Explanation] = []

        def early(explanations: list[Explanation]) -> None:
            some[:] = explanations
            for (item, _), explanation in zip(group, explanations, strict=True):
                self._preview(item, explanation, more=True)
            self.reporter.check()

        try:
            explanations = list(
                explain_pictures(self.opened, pictures, self.explaining, batch=len(group), titles=titles, early=early)
            )
        except JobCancelled:
            yield from zip((item for item, _ in group), some, strict=False)  # what was done until then is kept
            raise
        except FATAL:
            raise
        except Exception as error:
            if len(group) > 1:
                for one in group:
                    yield from self._together([one])
            else:
                self._fail(group[0][0].name, group[0][0].source, error)
            return
        for (item, _), explanation in zip(group, explanations, strict=True):
            self._preview(item, explanation)
        for (item, _), explanation in zip(group, explanations, strict=True):
            self.reporter.check()
            for line in (*self._first, *explanation.chosen):
                self._once(line)
            yield item, explanation
            self._go_on()

    def _one_question(self, group: list[tuple[Item, Any]]) -> Iterator[tuple[Item, Explanation]]:
        """All pictures, or a video's frames, in one prompt."""
        name = " + ".join(dict.fromkeys(item.name.partition("#")[0] for item, _ in group))
        fps = rate_of([item for item, _ in group])
        try:
            (explanation,) = explain_pictures(
                self.opened, [[picture for _, picture in group]], replace(self.explaining, video_fps=fps), titles=[name]
            )
            remarks = asked_about([item for item, _ in group], fps, failed=self._items)  # all others failed
            explanation = replace(explanation, chosen=(*explanation.chosen, *remarks))
        except (InputError, NonFiniteError) as error:
            self._fail(name, group[0][0].source, error)
            return
        for line in explanation.chosen:
            self._once(line)
        parts = by_picture(explanation)
        places = [group[i * len(group) // len(parts)][0] for i in range(len(parts))]
        for item, part in zip(places, parts, strict=True):
            self._preview(item, part)
        for item, part in zip(places, parts, strict=True):
            yield item, part
            self._go_on()

    def _pictures(self, stream: Iterator[tuple[Item, Explanation]]) -> Iterator[ReportEntry]:
        held = list(stream) if self.options.shared_scale else stream
        scale = (
            shared_scale([m for _, e in held for m in e])
            if isinstance(held, list) and any(len(e) for _, e in held)
            else None
        )
        for item, explanation in held:
            files = write_maps(explanation, item.name, self.outputs, scale)
            panel = write_panel(explanation, item.name, self.outputs)
            judged = self._done(item, explanation, files + ([panel] if panel else []))
            for line in lines_of(judged):
                self.reporter.message(line, "result")
            yield entry_of(judged, item.source, self.outputs.command)
            self._go_on()

    def _moments(self, source: str | None, items: Iterator[Item]) -> Iterator[ReportEntry]:
        """One explanation of all frames of a source together, by a model that sees several moments."""
        if source is None:
            for item in items:
                kind = "this model sees several moments, and this is one picture; give a video"
                self._fail(item.name, item.source, InputError(kind))
            return
        seen: list[Item] = []

        def frames() -> Iterator[tuple[Any, float | None]]:
            for item in items:
                self.reporter.check()
                if seen:
                    self._tick(seen[-1].name)
                seen.append(item)
                yield item.load(self.read), item.time_s

        name = Path(source).name
        try:
            clip = clip_of(frames(), name, video=source)
            (explanation,) = explain_pictures(self.opened, [clip], self.explaining, titles=[name])
        except (*FATAL, JobCancelled):
            raise
        except Exception as error:
            self._fail(name, source, error)
            return
        for line in [*self._first, *explanation.chosen, *gaze_remarks(self.opened.view, clip, name)]:
            self._once(line)
        item = replace(seen[0], name=name, time_s=None)
        self._preview(item, explanation)
        beside = [compared_with_gaze(self.opened.view, clip, heatmap) for heatmap in explanation]
        compared = [one for one in beside if one is not None]
        facts = {"gaze": [one.to_json() for one in compared]} if compared else {}
        explanation = self._done(item, explanation, write_moments(explanation, self.outputs), **facts)
        for line in [*lines_of(explanation), *(line for one in compared for line in one.table().splitlines())]:
            self.reporter.message(line, "result")
        yield from entries_of_moments(explanation, source, self.outputs.command)
        self._go_on()

    def _preview(self, item: Item, explanation: Explanation, *, more: bool = False) -> None:
        """The news that there are maps, for those who look at them at once; more: of other methods, which follow."""
        facts = to_json({"name": item.name, **time_of(item), **record_of(explanation, [], checking=True)})
        if more and self.explaining.trust != "off":
            facts["maps"] = [one | {"checking": True} for one in facts["maps"]]
        self.reporter.preview(facts, explanation.picture, explanation, explanation.question_lines)

    def _done(self, item: Item, explanation: Explanation, files: list[str], **more: Any) -> Explanation:
        """The news of an item's files, its check, and its line in the record; the explanation with its verdicts."""
        facts = {"name": item.name, "source": item.source, **time_of(item), **more}
        early = to_json({**facts, **record_of(explanation, files, checking=True)})
        self.reporter.shown(early, explanation.picture, explanation, explanation.question_lines)
        judged, self._stop = checked(explanation, item.name, self.reporter, step=self._items, total=self.total)
        line = self.outputs.run.done(**facts, **record_of(judged, files))
        if explanation.assess is not None:
            self.reporter.judged(line)
        self.reporter.item(line)
        self._tick(item.name)
        return judged

    def _frame(self, item: Item, explanation: Explanation, files: list[str]) -> Explanation:
        """:meth:`_done` for a frame of a film: what was answered is told where it is another answer than before."""
        judged = self._done(item, explanation, files)
        answer = [*(f"  {line}" for line in judged.question_lines), *note_lines(judged)]
        if judged.question_lines and answer != self._answer:
            self._answer = answer
            self.reporter.message("\n".join([item.name, *answer]), "result")
        return judged

    def _go_on(self) -> None:
        """Raises what a check was ended by, now that its item is taken down."""
        if self._stop is not None:
            raise self._stop

    def _fail(self, name: str, source: str, error: Exception) -> None:
        reason = error.on_command_line() if isinstance(error, IsothermError) else error
        self.reporter.item(self.outputs.run.failed(name, reason, source=source))
        self.reporter.message(failure_line(name, reason), "failure")
        self.reporter.error(error)
        self._tick(name)

    def _tick(self, name: str) -> None:
        self._items += 1
        self.reporter.progress(Progress(step=self._items, total=self.total, text=name, stage="explaining"))

    def _once(self, line: str) -> None:
        if line not in self._shown:
            self._shown.add(line)
            self.reporter.message(line)
