"""Explanation: the maps of one picture, with what they are of, how they were made and whether to believe them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, overload

import torch

from isotherm.cam.attribute import Attribution
from isotherm.cam.clips import Clip, sampling
from isotherm.cam.premises import RANDOM, Premise
from isotherm.cam.same import is_first, told_apart
from isotherm.cam.view import Detections, Picture, Prediction, Segmentation, View
from isotherm.draw.notebook import gallery_html
from isotherm.errors import InputError
from isotherm.heatmap import Heatmap
from isotherm.metrics.trust import Trust
from isotherm.ops.percent import percent
from isotherm.relevance.judge import Check, Pause, go_on
from isotherm.relevance.method import Method

NOT_JUDGED = (
    'trust: not judged (the fast check looks at the two {} only; --trust full, in Python trust="full", looks at all)'
)


@dataclass(frozen=True)
class Finding:
    """One finding of a detector, in source pixels."""

    label: str
    confidence: float
    box: tuple[float, float, float, float]


@dataclass(frozen=True, eq=False)
class Explanation(Sequence[Heatmap]):
    """The maps of one picture: a sequence of Heatmaps, targets in order, each target's methods side by side.

    Args:
        maps: the heatmaps.
        picture: what they lie over.
        name: of the picture.
        findings: all that a detector found, whether explained or not; empty for classifiers.
        chosen: what was chosen automatically, and why, one line each.
        notes: what a person should know about how the maps came to be.
        assess: the check of the maps; made once, when :attr:`trust` is first asked for. None: there is none.
        unjudged: why a check that was wanted came to no end, in words such as "cancelled"; empty otherwise.
        premises: what is taken for granted of the model: its input, its class names, random weights.
        prompt: the question, where the model was asked one.
        answer: what the model itself says to it, at least the beginning.
        forced: the answer that the maps are of, where the model did not give it.
        clip: of a model that sees several moments: all frames. Each heatmap then holds a map per moment, and
            ``picture`` is the first frame that the model was fed.
    """

    maps: tuple[Heatmap, ...]
    picture: Picture = field(repr=False)
    name: str = "picture"
    findings: tuple[Finding, ...] = ()
    chosen: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    assess: Check | None = field(default=None, repr=False)
    premises: tuple[Premise, ...] = ()
    prompt: str | None = None
    answer: str | None = None
    forced: str | None = None
    clip: Clip | None = field(default=None, repr=False)
    unjudged: str = ""

    @overload
    def __getitem__(self, index: int) -> Heatmap: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Heatmap]: ...
    def __getitem__(self, index):
        return self.maps[index]

    def __len__(self) -> int:
        return len(self.maps)

    @cached_property
    def trust(self) -> tuple[Trust | None, ...]:
        """Whether to believe each map: deletion beside random, and the check with randomised weights.

        One entry per map, None for maps that the fast check leaves out; empty where judging is switched off.
        """
        judged = () if self.assess is None else self.assess()
        if not self.warnings:
            return judged
        return tuple(None if t is None else replace(t, untrained=True) for t in judged)

    def judged(self, pause: Pause = go_on) -> Explanation:
        """The same, with its verdicts found out.

        Args:
            pause: called between the steps of the check; what it raises ends the check.
        """
        if self.assess is None:
            return self
        verdicts = self.assess(pause)
        return replace(self, assess=replace(self.assess, judge=lambda _: verdicts))

    def without_verdict(self, why: str) -> Explanation:
        """The same, of which nobody will know a verdict, and why, in words such as "cancelled"."""
        return replace(self, assess=None, unjudged=why)

    @property
    def to_be_judged(self) -> tuple[bool, ...]:
        """Which of the maps a check is about, whether or not it was made by now."""
        return (False,) * len(self) if self.assess is None else self.assess.chosen

    @property
    def trust_lines(self) -> tuple[str, ...]:
        """:attr:`trust` in words, one line per map."""
        if self.unjudged:
            return (f"trust: not checked ({self.unjudged})",) * len(self)
        not_judged = NOT_JUDGED.format(
            "targets with the highest scores" if self.prompt is None else "first targets of an answer"
        )
        if self.warnings:
            not_judged += f" → not judged ({RANDOM})"
        return tuple(not_judged if t is None else t.line() for t in self.trust)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What nobody should look at the maps without knowing: that the weights are random."""
        return tuple(str(p) for p in self.premises if p.alarming)

    @property
    def question_lines(self) -> tuple[str, ...]:
        """The question, what the model answered, and what is explained instead of that; nothing where no question was
        asked.
        """
        if self.prompt is None:
            return ()
        lines = [f"question: {self.prompt!r}", f"answer: {self.answer!r}" if self.answer else "answer: nothing"]
        return (
            (*lines, f"explained: {self.forced!r}, which the model did not answer")
            if self.forced is not None
            else tuple(lines)
        )

    def save(self, fpath: str | Path) -> list[Path]:
        """Write every map to ``.npz`` or ``.safetensors``; with several maps, each gets its number in the name."""
        fpath = Path(fpath)
        if not self.maps:
            raise InputError(f"there is no map to save: {' '.join(self.notes) or 'nothing was explained'}")
        if len(self.maps) == 1:
            return [self.maps[0].save(fpath)]
        return [m.save(fpath.with_stem(f"{fpath.stem}-{i:03d}")) for i, m in enumerate(self.maps)]

    def __str__(self) -> str:
        lines = [f"{self.name}: {len(self.maps)} map(s)", *self.warnings]
        lines += [
            f"  {i}  {m.label}{score_words(m)}  [{m.meta.get('method')} at {m.meta.get('layer')}]"
            for i, m in enumerate(self.maps)
        ]
        lines[1:1] = [f"  {line}" for line in self.question_lines]
        return "\n".join([*lines, *(f"  {line}" for line in (*self.chosen, *self.notes) if line not in self.warnings)])

    def _repr_html_(self) -> str:
        trust = "\n".join(dict.fromkeys(self.trust_lines)) or None
        notes = [line for line in (*self.chosen, *self.notes) if line not in self.warnings]
        return gallery_html(
            [m for m in self.maps if is_first(m)],
            lines=self.question_lines,
            trust_line=trust,
            warnings=self.warnings,
            notes=notes,
        )


def explanations(
    view: View,
    attribution: Attribution,
    pictures: Sequence[Any],
    methods: Sequence[Method],
    *,
    names: Sequence[str],
    chosen: Sequence[str] = (),
    premises: Sequence[Premise] = (),
    seed: int = 0,
    assess: Callable[[int], Check] | None = None,
) -> list[Explanation]:
    """One Explanation per picture, or per clip, from the maps of a batch.

    Args:
        pictures: as they were given to the view: pictures, or clips.
        seed: of everything random; it goes into the maps' facts.
        assess: picture's row -> the check of that picture's maps.
    """
    findings = _findings(attribution, len(pictures))
    targets = attribution.targets
    out = []
    for row, picture in enumerate(pictures):
        made = [
            marked(_heatmap(view, attribution, t, m, method, picture, seed), premises)
            for t in torch.nonzero(targets.picture == row).flatten().tolist()
            for m, method in zip(attribution.maps, methods, strict=True)
        ]
        maps, same = told_apart(made, len(attribution.maps))
        notes = [*(str(p) for p in premises if p.alarming), *attribution.notes, *same]
        if not maps:
            notes.append(_nothing(attribution.prediction))
        silent = [m.label for m in maps if not m.has_evidence]
        if silent:
            notes.append(
                f"no positive evidence for {', '.join(dict.fromkeys(silent))}: no cell speaks for it, so nothing is drawn"
            )
        out.append(
            Explanation(
                maps,
                picture.frames[attribution.rerun.inputs.timelines[row].fed[0]]
                if isinstance(picture, Clip)
                else picture,
                names[row],
                tuple(findings[row]),
                (*chosen, *(sampling(t) for t in attribution.rerun.inputs.timelines[row : row + 1])),
                tuple(notes),
                None if assess is None or not maps else assess(row),
                tuple(premises),
                clip=picture if isinstance(picture, Clip) else None,
            )
        )
    return out


def _nothing(prediction: Prediction) -> str:
    """Why a picture has no map."""
    if isinstance(prediction, Segmentation):
        return f"the mask of {', '.join(prediction.names)} is empty: no pixel's logit is above 0, so there is nothing to explain; give a mask of your own with SegmentationMask"
    return "the model found nothing in this picture, so there is nothing to explain; lower the confidence threshold to see what it nearly found"


def score_words(heatmap: Heatmap) -> str:
    """What stands behind a map's label: the logit that it is of, and whether a softmax or a sigmoid makes the class's
    probability of it; the value where it is of another number, such as a likeness; nothing where neither is known.

    A share of one softmax, and a finding's confidence, stand in the label already.
    """
    meta = heatmap.meta
    if "score_of" in meta:
        return f", {meta['score_of']} {meta['score']:.4g}"
    if "activation" not in meta:
        return ""
    chance = f", {percent(meta['probability'])}" if meta["activation"] == "sigmoid" and "probability" in meta else ""
    return f"{chance} by {meta['activation']}, logit {meta['score']:.2f}"


def marked(heatmap: Heatmap, premises: Sequence[Premise]) -> Heatmap:
    """The map with ``meta["weights"] = "random"`` where they are, so that a saved map says it by itself."""
    return heatmap.with_(meta={**heatmap.meta, "weights": "random"}) if any(p.alarming for p in premises) else heatmap


def _findings(attribution: Attribution, pictures: int) -> list[list[Finding]]:
    p, inputs = attribution.prediction, attribution.rerun.inputs
    findings: list[list[Finding]] = [[] for _ in range(pictures)]
    if isinstance(p, Detections):
        for i in range(len(p)):
            row = int(p.picture[i])
            box = inputs.frame[row].boxes_to_source(p.boxes[i : i + 1].detach().cpu().double())[0]
            findings[row].append(Finding(p.names[int(p.classes[i])], float(p.confidence[i]), tuple(box.tolist())))
    return findings


def _heatmap(view: View, a: Attribution, t: int, m, method: Method, source: Picture | Clip, seed: int) -> Heatmap:
    targets = a.targets
    meta = {
        "model": view.name,
        "method": method.name,
        "layer": m.name,
        "score": float(targets.scores[t].detach()),
        "seed": seed,
    }
    if targets.boxes is not None and targets.finding is not None:
        frame = a.rerun.inputs.frame[int(targets.picture[t])]
        meta["box"] = [round(v, 3) for v in frame.boxes_to_source(targets.boxes[t : t + 1].cpu().double())[0].tolist()]
        meta["finding"] = int(targets.finding[t])
        meta["part"] = targets.part[t] if targets.part else "class"
    if targets.confidence is not None:
        meta["confidence"] = float(targets.confidence[t])
    if targets.probability is not None:
        meta["probability"] = float(targets.probability[t])
    if targets.of not in (None, "logit"):
        meta["score_of"] = targets.of
    if targets.activation is not None and meta.get("part", "class") == "class":
        meta["activation"] = targets.activation
    values = m.values[t].detach().to("cpu", torch.float32)
    made = Heatmap(values, m.frame[t], "relevance", signed=method.signed, label=targets.labels[t], meta=meta)
    if not isinstance(source, Clip):
        return made.with_(picture=source)
    moments = a.rerun.inputs.timelines[int(targets.picture[t])].moments(m.time.first, m.time.stride, len(values))
    return made.with_(picture=source.frames[list(moments.shown)], moments=moments)
