"""From pictures and options to explanations.

The options, what to explain and how, are the same for Python, the command line and jobs, and are checked before any
model is opened. The way: choose methods and layers, go through the pictures in batches, say what was chosen.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from itertools import count, islice
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Bool
from torch import Tensor

from isotherm.cam import methods as methods_module
from isotherm.cam.apart import apart
from isotherm.cam.attribute import Attribution, Early, Layers, attribute, attribute_again
from isotherm.cam.augmented import attribute_augmented, augment_again
from isotherm.cam.clips import ClipView
from isotherm.cam.explanation import Explanation, explanations
from isotherm.cam.methods import eigen_smooth
from isotherm.cam.premises import of_given, premises_of
from isotherm.cam.reading import ChoosesByScore, check_gradients
from isotherm.cam.scores import Function, Named
from isotherm.cam.trace import Fuse
from isotherm.cam.trust import assessor
from isotherm.cam.view import View
from isotherm.data.clips import as_clip
from isotherm.data.pictures import as_picture
from isotherm.errors import MethodError, NonFiniteError, OptionError, TargetError
from isotherm.feeding import Channels, fed_with, given_items
from isotherm.likeness import likeness
from isotherm.models.choose import OpenModel
from isotherm.ops.names import check_most, check_seed, known_method, known_word, plain, seeded
from isotherm.progress import Say, bar, listening, silent
from isotherm.relevance.method import Method, checked_method
from isotherm.relevance.score import Score, check_score
from isotherm.vlm.choose import answer_methods, answer_score, token_methods
from isotherm.vlm.explain import explain_answer
from isotherm.vlm.fills import Fill
from isotherm.vlm.view import LanguageView

Target = Score | str | int | Callable[..., Tensor] | Sequence[str | int | Score | Callable[..., Tensor]] | None
Smooth = Literal["none", "eigen", "augment", "both"]
TrustLevel = Literal["fast", "full", "off"]
Layering = Fuse | Literal["none"]
"""How several layers become one map, or that each has a map of its own."""
MAX_FINDINGS = 20
"""Findings of a picture that are explained unless more are asked for; a detector without training has hundreds."""
LAYERINGS: tuple[str, ...] = (*get_args(Fuse), "none")


@dataclass(frozen=True, kw_only=True)
class ExplainOptions:
    """What to explain and how.

    Args:
        target: a class by name or number, several of them, a score, or a function of the prediction; of a question
            count, answer, whole, token, next, word:WORD, or a score of answers. None: what the model itself says.
        method: name or function, or several; None: the view's choice.
        layers: names of target layers, or ``auto``.
        fuse: how several layers become one map, mean or max; none: each layer has a map of its own.
        smooth: none, eigen, augment or both.
        trust: how thoroughly maps are judged, fast, full or off.
        seed: of everything random, from 0; None: 0, and methods given as objects keep their own.
        prompt: what a vision-language model is asked. The rest goes with it, but for the last:
        answer, versus: explain why it says ``answer`` (None: what it says itself) rather than ``versus``.
        mask: (H, W) bool, the pixels that the answer should rest on.
        fill: what a vision token becomes where it is taken away for the trust line: mask, mean or blur; None: mask.
        video_fps: the pictures are frames of a video, so many a second; also of a clip, for models that see several
            moments.
        like: a picture: what is explained is how like it the model finds the one that is explained, the cosine
            similarity of both embeddings. (Boxes by their names are what a YOLOE is shown, and go to the family.)
        picture: what maps are drawn on where a tensor is explained: a picture, or a list with one for each row.
        channels: which channel, or which three, of a tensor are drawn where there is no picture.
        max_findings: of a detector's findings, so many of the most confident in each picture are explained where they
            are not named by their numbers or a box; None: all.
        progress: whether methods that ask about many changed pictures draw a bar, or who is told instead.

    Raises:
        OptionError, TargetError, MethodError: a word that is not known, with the nearest ones; options that do not go
            together.
    """

    target: Target = None
    method: str | Method | Sequence[str | Method] | None = None
    layers: Layers = "auto"
    fuse: Layering = "mean"
    smooth: Smooth = "none"
    trust: TrustLevel = "fast"
    seed: int | None = None
    prompt: str | None = None
    answer: str | None = None
    versus: str | None = None
    mask: Any = None
    fill: Fill | None = None
    video_fps: float | None = None
    like: Any = None
    picture: Any = None
    channels: Channels = None
    max_findings: int | None = MAX_FINDINGS
    progress: bool | Say = False

    @classmethod
    def split(cls, options: Mapping[str, Any]) -> tuple[ExplainOptions, dict[str, Any]]:
        """The options of explaining out of all that a front door was given, and those that are left for the model's
        family.
        """
        names = {field.name for field in fields(cls)}
        if isinstance(options.get("like"), Mapping):
            names.remove("like")
        own = {name: value for name, value in options.items() if name in names}
        left = {name: value for name, value in options.items() if name not in names}
        return cls(**own), left

    def __post_init__(self) -> None:
        if isinstance(self.fuse, bool):
            raise OptionError(
                f"fuse is how several layers become one map ({', '.join(LAYERINGS)}), not {self.fuse}; "
                f"whether a YOLO's batch norms are merged is fuse_batchnorm={self.fuse}"
            )
        if self.prompt is not None and not isinstance(self.prompt, str):
            raise OptionError(
                f"prompt is a question in words, not a {type(self.prompt).__name__}; what a YOLOE looks for is given with class_prompt="
            )
        known_word(self.fuse, LAYERINGS, "fuse")
        known_word(self.smooth, get_args(Smooth), "smooth")
        _check_trust(self.trust)
        check_seed(self.seed)
        check_most(self.max_findings, "max_findings")
        if self.prompt is None:
            for what in ("answer", "versus", "mask", "fill"):
                if getattr(self, what) is not None:
                    raise OptionError(f"{what} goes with prompt, the question that it is about")
            resolve_score(self.target)
        else:
            answer_score(self.target, self.prompt, answer=self.answer, versus=self.versus)
        if self.like is not None and (self.target is not None or self.prompt is not None):
            raise OptionError(
                "like says what is explained, the likeness to a picture; leave target and prompt out, or leave like out"
            )
        if self.fill is not None:
            known_word(self.fill, get_args(Fill), "fill")
        _check_methods(self.method, question=self.prompt is not None)


def _check_methods(method: Any, *, question: bool) -> None:
    several = [method] if isinstance(method, str) else method if isinstance(method, Sequence) else ()
    for name in several:
        # which of the two kinds it is turns out when the model is open
        if isinstance(name, str) and plain(name) not in {plain(known) for known in answer_methods()}:
            if question:
                known_method(name, list(answer_methods()), of=" for language models")
            else:
                known_method(name, list(methods_module.ALL))


def _check_trust(trust: Any) -> None:
    """Raises OptionError for anything but a level; a file is told how files are allowed to run code."""
    if isinstance(trust, str) and trust in get_args(TrustLevel):
        return
    if isinstance(trust, os.PathLike) or (isinstance(trust, str) and Path(trust).expanduser().is_file()):
        raise OptionError(
            f"trust is how thoroughly maps are judged ({', '.join(get_args(TrustLevel))}), not {os.fspath(trust)}; "
            "a file that may run code while it is opened is named with allow_code="
        )
    known_word(trust, get_args(TrustLevel), "trust")


def resolve_score(target: Target) -> Score | None:
    """A score from what a user may give."""
    if isinstance(target, Score):
        check_score(target, "pictures")
    if target is None or isinstance(target, Score):
        return target
    if isinstance(target, str | int):
        return Named((target,))
    if isinstance(target, Sequence):
        if not target:
            raise TargetError("the list of targets is empty; leave target out to explain what the model itself says")
        classes = tuple(one for one in target if isinstance(one, str | int))
        if len(classes) < len(target):
            raise OptionError(
                "target is a list of scores or functions, which is one for each of several pictures; give one"
            )
        return Named(classes)
    if callable(target):
        return Function(target)
    raise OptionError(
        f"target is a {type(target).__name__}; expected a class, a score such as Detection(2), or a function of the prediction or of what the model puts out"
    )


def score_for(view: View, target: Target) -> Score | None:
    """A score from what a user may give for a view: a bare function of a module of one's own is given what that puts
    out.
    """
    score = resolve_score(target)
    if isinstance(score, Function) and not isinstance(target, Score):
        return replace(score, of=getattr(view, "function_of", score.of))
    return score


def explain_pictures(
    opened: OpenModel,
    images: Iterable[Any],
    options: ExplainOptions,
    *,
    batch: int = 1,
    titles: Iterable[str] | None = None,
    early: Callable[[list[Explanation]], None] | None = None,
) -> Iterator[Explanation]:
    """One Explanation a picture, in order, ``batch`` at a time; of a question one for each picture, or list of
    pictures.

    Args:
        opened: the model.
        images: paths, PIL pictures, arrays (H, W, 3), tensors; of a model that sees several moments clips, as
            :func:`isotherm.data.clips.as_clip` takes them.
        titles: the pictures' names, one each.
        early: is given the explanations of a batch with the maps of the methods that are done, while others are still
            at work, as far as :func:`isotherm.cam.attribute.attribute` tells of them.

    Raises:
        OptionError: options that this kind of model does not take.
        NonFiniteError: of a picture, which is named.
    """
    named = iter(titles) if titles is not None else (f"picture {i}" for i in count())
    if isinstance(opened.view, LanguageView):
        if (options.layers, options.fuse, options.smooth) != ("auto", "mean", "none"):
            raise OptionError(
                f"layers, fuse and smooth are for models without words; {opened.view.name} is explained at its vision tokens, "
                "because in the last block of its vision tower gradient x activation sums to nothing"
            )
        yield from _questions(opened, images, named, options)
        return
    if options.prompt is not None:
        raise OptionError(f"{opened.view.name} answers no questions; leave the prompt out")
    score = score_for(opened.view, options.target)
    view = opened.view.of_score(score) if isinstance(opened.view, ChoosesByScore) else opened.view
    of_clips = isinstance(view, ClipView)
    if options.like is not None:
        score = likeness(view, options.like, fps=options.video_fps)
    if options.video_fps is not None and not of_clips:
        raise OptionError(
            f"video_fps is for models that see several moments, or are asked about them with prompt, but {view.name} sees one picture"
        )
    premises = premises_of(view)
    chosen = [f"model: {opened.reason}", *(str(p) for p in premises if not p.alarming)]
    methods = resolve_methods(options.method, view)
    check_gradients(view, methods)
    if options.method is None:
        chosen.append(f"method: {', '.join(m.name for m in methods)}, the default for this kind of model")
    if isinstance(options.layers, str) and options.layers == "auto":
        choice = view.auto_layers()
        named_already = all(
            re.search(rf"(?<![\w.]){re.escape(layer)}(?!\w|\.\w)", choice.reason) for layer in choice.layers
        )
        chosen.append(f"layers: {choice.reason if named_already else ', '.join(choice.layers) + ': ' + choice.reason}")
    if options.seed is not None:
        methods = [seeded(m, options.seed) for m in methods]
    if options.smooth in ("eigen", "both"):
        methods = [eigen_smooth(m) for m in methods]
    how: Fuse = "mean" if options.fuse == "none" else options.fuse
    if options.fuse == "none":
        methods = apart(view, methods, options.layers)
    augmented = options.smooth in ("augment", "both")
    go, again = (attribute_augmented, augment_again) if augmented else (attribute, attribute_again)
    seed = options.seed or 0
    say = options.progress if callable(options.progress) else bar if options.progress else silent
    queue: Iterator[tuple[str, Any]] = (
        ((title, as_clip(image, fps=options.video_fps)) for image, title in zip(images, named, strict=False))
        if of_clips
        else given_items(view, images, named, picture=options.picture, channels=options.channels)
    )
    while group := list(islice(queue, batch)):
        called = [title for title, _ in group]
        inputs, pictures, rows = fed_with(view, [one for _, one in group])
        fed = [row.words for row in rows if row.words][:1]
        facts: dict[str, Any] = {
            "names": called,
            "chosen": [line for line in chosen if not (fed and line.startswith("input: "))]
            + [f"input: {words}, as given" for words in fed],
            "premises": of_given(premises, fed),
            "seed": seed,
        }
        way = (
            go
            if early is None or augmented
            else partial(attribute, early=_teller(early, view, pictures, methods, facts))
        )
        try:
            with listening(say):
                how_many: dict[str, Any] = {"how": how, "most": options.max_findings}
                attribution: Attribution = way(
                    view, inputs, methods=methods, score=score, layers=options.layers, **how_many
                )
        except NonFiniteError as error:
            raise error.of_pictures(called) from error.__cause__
        made = explanations(
            view,
            attribution,
            pictures,
            methods,
            **facts,
            assess=None
            if options.trust == "off"
            else assessor(attribution, methods, options.layers, how, options.trust, again=again, seed=seed),
        )
        for i, one in enumerate(made):
            yield replace(one, notes=(*one.notes, *rows[i].notes)) if rows else one


def _teller(
    early: Callable[[list[Explanation]], None],
    view: View,
    pictures: Sequence[Any],
    methods: Sequence[Method],
    facts: Mapping[str, Any],
) -> Early:
    """Makes explanations of the methods that are done, and hands them on."""

    def tell(part: Attribution, places: Sequence[int]) -> None:
        early(explanations(view, part, pictures, [methods[i] for i in places], **facts))

    return tell


def _questions(
    opened: OpenModel, images: Iterable[Any], titles: Iterator[str], options: ExplainOptions
) -> Iterator[Explanation]:
    """One question about each picture, or about several together."""
    view = opened.view
    assert isinstance(view, LanguageView)
    if options.prompt is None:
        raise OptionError(f"{view.name} answers questions; give a prompt, such as 'How many peaches are there?'")
    score, why = answer_score(options.target, options.prompt, answer=options.answer, versus=options.versus)
    methods, which = token_methods(options.method, view)
    if options.seed is not None:
        methods = [seeded(m, options.seed) for m in methods]
    premises = premises_of(view)
    chosen = [
        f"model: {opened.reason}",
        *(str(p) for p in premises if not p.alarming),
        *(line for line in (which, why) if line),
    ]
    for image, title in zip(images, titles, strict=False):
        pictures = [as_picture(one).array for one in (image if isinstance(image, list | tuple) else [image])]
        yield explain_answer(
            view,
            pictures,
            options.prompt,
            score=score,
            methods=methods,
            trust=options.trust,
            fill=options.fill or "mask",
            mask=None if options.mask is None else as_mask(options.mask),
            video_fps=options.video_fps,
            name=title,
            chosen=chosen,
            premises=premises,
            seed=options.seed or 0,
        )


def as_mask(mask: Any) -> Bool[np.ndarray, "h w"]:
    """A mask as an array of pixels that count.

    Raises:
        OptionError: not two-dimensional.
    """
    array = np.asarray(mask)
    if array.ndim != 2:
        raise OptionError(f"the mask has shape {array.shape}; expected (h, w), true where the answer should rest")
    return array.astype(bool)


def resolve_methods(method: str | Method | Sequence[str | Method] | None, view: View) -> list[Method]:
    """Methods by name or as they are; the view's default for None."""
    method = view.default_method if method is None else method
    several = [method] if isinstance(method, str) or not isinstance(method, Sequence) else method
    return [_method(m) if isinstance(m, str) else checked_method(m) for m in several]


def _method(name: str) -> Method:
    if plain(name) not in map(plain, methods_module.ALL) and plain(name) in map(plain, answer_methods()):
        raise MethodError(
            f"the method {name!r} explains answers; ask a question with prompt (--prompt), or take another"
        )
    method: Method = getattr(methods_module, known_method(name, list(methods_module.ALL)))
    return method
