"""An explain job's words -> scores, methods, layers, style: all checked before the model is loaded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from isotherm.cam.scores import Contrast, Detection, MapValue, TopK
from isotherm.cam.scores.detections import Part
from isotherm.cam.scores.named import Boxed
from isotherm.data.pictures import read_picture
from isotherm.data.sources import Sources
from isotherm.draw import STYLES, Style
from isotherm.draw.style import as_style
from isotherm.errors import OptionError, UnfitTargetError
from isotherm.explaining import ExplainOptions, resolve_methods, resolve_score
from isotherm.jobs.explain.like import picture_of_like
from isotherm.jobs.explain.options import ExplainJob
from isotherm.jobs.options import finite, split
from isotherm.models.choose import OpenModel
from isotherm.ops.names import plain
from isotherm.runs.record import check_free
from isotherm.vlm.choose import answer_score, token_methods
from isotherm.vlm.view import LanguageView


def explain_options(options: ExplainJob) -> ExplainOptions:
    """What to explain and how, as Python's front door takes it.

    Raises:
        OptionError, TargetError, MethodError: words that are not known, or options that do not go together, in the
            command line's words; or the folder for the results is taken.
    """
    if options.out is not None:
        check_free(options.out, options.overwrite)
    question, target = question_of(options), score_of(options)
    like = None if options.like is None else picture_of_like(options.like)
    if like is not None and target is not None:
        raise OptionError(
            f"--like {like} says what is explained, the likeness to a picture; leave --class, --top, --box, --versus and --target out"
        )
    return ExplainOptions(
        like=like,
        target=target,
        method=methods_of(options),
        layers=layers_of(options),
        fuse=options.fuse,
        smooth=options.smooth,
        trust=options.trust,
        seed=options.seed,
        max_findings=options.max_findings,
        **question,
    )


def methods_of(options: ExplainJob) -> list[str] | None:
    """Names of the methods asked for; None leaves the choice to the adapter."""
    if options.method and options.compare:
        raise OptionError("--method is one method and --compare several; give one of the two")
    if options.compare:
        names = split(options.compare, "--compare")
        twice = sorted({name for name in names if list(map(plain, names)).count(plain(name)) > 1})
        if twice:
            raise OptionError(
                f"--compare {options.compare}: {' and '.join(twice)} would stand beside itself; name each once"
            )
        return list(names)
    return None if options.method is None else [options.method]


def layers_of(options: ExplainJob) -> Any:
    """Names of the target layers, or auto."""
    names = split(options.layer, "--layer")
    return "auto" if names == ("auto",) else list(names)


def question_of(options: ExplainJob) -> dict[str, Any]:
    """What is asked of a vision-language model, as :func:`isotherm.api.explain_many` takes it; empty where nothing
    is.
    """
    if options.prompt is None:
        for name, value in {
            "--answer": options.answer,
            "--together": options.together or None,
            "--mask": options.mask,
            "--fill": options.fill,
        }.items():
            if value is not None:
                raise OptionError(f"{name} goes with --prompt, the question that it is about")
        return {}
    unfit = {
        "--class": options.cls,
        "--top": options.top,
        "--box": options.box,
        "--point": options.point,
        "--classes": options.classes,
        "--like": options.like,
        "--confidence": options.confidence,
    }
    options_of_classes = [name for name, value in unfit.items() if value is not None]
    if options_of_classes:
        raise OptionError(
            f"{', '.join(options_of_classes)} and --prompt do not go together: a question is about an answer, not about classes or boxes"
        )
    if options.versus is not None and options.answer is None:
        raise OptionError("--versus contrasts two answers; give the first as --answer")
    if not options.prompt.strip():
        raise OptionError("--prompt is empty; ask something, such as 'How many peaches are there?'")
    question = {"prompt": options.prompt, "answer": options.answer, "versus": options.versus, "fill": options.fill}
    return question if options.mask is None else question | {"mask": read_mask(options.mask)}


def read_mask(fpath: Path) -> Any:
    """(h, w) bool: where a picture is more white than black."""
    picture = read_picture(fpath).array
    return picture.mean(-1) >= 128


def score_of(options: ExplainJob) -> Any:
    """What to explain; None leaves it to the kind of prediction, or to the prompt."""
    if options.prompt is not None:
        target = None if options.target == "class" else options.target
        answer_score(
            target, options.prompt, answer=options.answer, versus=options.versus
        )  # mistakes are found before the model is opened
        return target
    parts = _parts(options.target)
    if options.point is not None:
        return _point(options)
    choices = {"--class": options.cls, "--box": options.box, "--top": options.top}
    chosen = [name for name, value in choices.items() if value is not None]
    if len(chosen) > 1:
        raise OptionError(f"{' and '.join(chosen)} both say what to explain; give one of them")
    of, keypoint = parts
    if options.versus is not None:
        if options.box is not None or options.top is not None or of != "class":
            raise OptionError("--versus contrasts two classes of a classifier; it goes with --class alone")
        return Contrast(options.cls, options.versus)
    if options.top is not None:
        return TopK(options.top)
    if options.box is not None:
        return _box(options.box, of, keypoint)
    if of != "class":
        which = None if options.cls is None else tuple(split(options.cls, "--class"))
        return Detection(which, of=of, keypoint=keypoint)
    if options.cls is None:
        return None
    names = split(options.cls, "--class")
    return resolve_score(list(names)) if len(names) > 1 else resolve_score(names[0])


def style_of(options: ExplainJob) -> Style:
    """How the maps are drawn.

    Raises:
        OptionError: no such style or colour map.
    """
    try:
        style = as_style(options.style)
        return replace(
            style, colormap=options.colormap, opacity=style.opacity if options.opacity is None else options.opacity
        )
    except OptionError as error:
        what = "--style" if options.style not in STYLES else "--colormap"
        raise OptionError(f"{what}: {error}") from error


def unfit(error: UnfitTargetError, options: ExplainJob, model: str) -> OptionError:
    """The same error in the command line's words: which option asks for what no picture of this model can have."""
    asks = {
        f"--box {options.box}": options.box is not None,
        f"--point {options.point}": options.point is not None,
        f"--top {options.top}": options.top is not None,
        f"--versus {options.versus}": options.versus is not None,
        f"--target {options.target}": options.target != "class",
        f"--class {options.cls}": options.cls is not None,
    }
    option = next((words for words, is_given in asks.items() if is_given), "--target")
    if not error.gives:
        return OptionError(f"{option}: {error}")
    kind = "classifiers" if options.top is not None or options.versus is not None else "detectors"
    kind = kind if options.point is None else "models of depth and of keypoints"
    return OptionError(
        f"{option} is for {kind}, and this model ({model}) is {error.gives}; leave it out, or name another model with --model"
    )


def idle_options(options: ExplainJob, sources: Sources) -> str | None:
    """A line about options that change nothing here; None where there are none."""
    of_videos = {"every": 1, "max_frames": None, "start_s": 0.0, "end_s": None}
    idle = [options.flag(name) for name, default in of_videos.items() if getattr(options, name) != default]
    if not (idle and sources.all_pictures):
        return None
    return f"{', '.join(idle)}: for videos alone, and only pictures were given, so nothing changes"


def _parts(text: str) -> tuple[Any, int | str | None]:
    names = split(text, "--target")
    keypoint: int | str | None = None
    parts: list[str] = []
    for name in names:
        head, colon, number = name.partition(":")
        if colon and (head != "keypoint" or not number.strip()):
            raise OptionError(
                f"--target {name}: only keypoint takes a number or a name, such as keypoint:3 or keypoint:left_wrist"
            )
        if head not in (*get_args(Part), "all"):
            raise OptionError(f"--target {name}: expected {', '.join(get_args(Part))} (as keypoint:3) or all")
        if head == "keypoint":
            if not colon:
                raise OptionError("--target keypoint: say which one, such as keypoint:3")
            keypoint = int(number) if number.isdigit() else number.strip()
        parts.append(head)
    if "all" in parts and len(parts) > 1:
        raise OptionError("--target all already has every part; give it alone")
    return (parts[0] if len(parts) == 1 else tuple(parts)), keypoint


def _box(text: str, of: Any, keypoint: int | str | None) -> Detection | Boxed:
    numbers = split(text, "--box")
    try:
        if len(numbers) == 1:
            index = int(numbers[0])
            if index < 0:
                raise ValueError
            return Detection(index, of=of, keypoint=keypoint)
        x0, y0, x1, y1 = finite(numbers)
    except ValueError as error:
        raise OptionError(
            f"--box {text}: expected a finding's number from 0, or four numbers x0,y0,x1,y1 in picture pixels"
        ) from error
    if not (x0 < x1 and y0 < y1):
        raise OptionError(f"--box {text}: x0 must be less than x1 and y0 less than y1")
    finding = Detection(box=(x0, y0, x1, y1), of=of, keypoint=keypoint)
    return finding if of != "class" else Boxed(finding)


def _point(options: ExplainJob) -> MapValue:
    assert options.point is not None
    for name, value in {"--box": options.box, "--top": options.top, "--versus": options.versus}.items():
        if value is not None:
            raise OptionError(f"--point and {name} both say what to explain; give one of them")
    if options.target != "class":
        raise OptionError(f"--point reads a map, which has no part {options.target!r}; leave --target out")
    try:
        x, y = finite(split(options.point, "--point"))
    except ValueError as error:
        raise OptionError(f"--point {options.point}: expected two numbers x,y in picture pixels") from error
    return MapValue(None if options.cls is None else tuple(split(options.cls, "--class")), point=(x, y))


def question_facts(explaining: ExplainOptions) -> dict[str, Any] | None:
    """What is asked of a vision-language model, for the record; None where nothing is asked."""
    if explaining.prompt is None:
        return None
    return {name: getattr(explaining, name) for name in ("prompt", "answer", "versus", "fill")}


def methods_for(explaining: ExplainOptions, opened: OpenModel) -> list[Any]:
    """The methods asked for, or the default ones of the model and the question."""
    if not isinstance(opened.view, LanguageView):
        return list(resolve_methods(explaining.method, opened.view))
    if explaining.prompt is None:
        raise OptionError(
            f"{opened.view.name} answers questions; give one with --prompt, such as --prompt 'How many peaches are there?'"
        )
    return list(token_methods(explaining.method, opened.view)[0])
