"""The front doors: choose adapter, layers and defaults, and say what was chosen. Nothing else happens here."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from inspect import signature
from itertools import count, islice
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Bool
from torch import Tensor

from isotherm.cam import methods as methods_module
from isotherm.cam.attribute import Attribution, Layers, attribute, attribute_again
from isotherm.cam.augment import attribute_augmented, augment_again
from isotherm.cam.explanation import Explanation, explanations
from isotherm.cam.fuse import Fuse
from isotherm.cam.methods import eigen_smooth
from isotherm.cam.premises import premises_of
from isotherm.cam.scores import Function, Named
from isotherm.cam.scores.targets import Score
from isotherm.cam.trace import Method
from isotherm.cam.trust import assessor
from isotherm.cam.view import Prediction, View
from isotherm.data.pictures import as_picture
from isotherm.errors import NonFiniteError, OptionError, TargetError
from isotherm.models.choose import Opened, open_view, open_with
from isotherm.ops.names import check_seed, known_method, known_word, plain, seeded
from isotherm.vlm.choose import answer_score, method_names, token_methods
from isotherm.vlm.explain import explain_answer
from isotherm.vlm.fills import Fill
from isotherm.vlm.view import LanguageView

Target = Score | str | int | Callable[[Prediction], Tensor] | Sequence[str | int] | None
Smooth = Literal["none", "eigen", "augment", "both"]
TrustLevel = Literal["fast", "full", "off"]


@dataclass(frozen=True, kw_only=True)
class _Job:
    """What the front doors are asked for, checked before any model is opened.

    Args:
        options: for the model's family. Others: as of :func:`explain`.
    """

    target: Any
    method: Any
    layers: Layers
    fuse: Fuse
    smooth: Smooth
    trust: TrustLevel
    seed: int | None
    prompt: str | None
    answer: str | None
    versus: str | None
    mask: Any
    fill: Fill | None
    video_fps: float | None
    options: Mapping[str, Any]

    @classmethod
    def of(cls, options: dict[str, Any], **front: Any) -> _Job:
        """The job of a front door's arguments.

        Two words mean something to the front doors and something else to families of models: ``prompt`` a question or what a
        YOLOE looks for, ``fuse`` a word or whether a YOLO's batch norms are merged. The value tells which.
        """
        passed = dict(options)
        if isinstance(front["fuse"], bool):
            passed["fuse"], front["fuse"] = front["fuse"], "mean"
        if front["prompt"] is not None and not isinstance(front["prompt"], str):
            passed["prompt"], front["prompt"] = front["prompt"], None
        return cls(options=passed, **front)

    def __post_init__(self) -> None:
        known_word(self.fuse, get_args(Fuse), "fuse")
        known_word(self.smooth, get_args(Smooth), "smooth")
        _check_trust(self.trust)
        check_seed(self.seed)
        if self.prompt is None:
            for what in ("answer", "versus", "mask", "fill", "video_fps"):
                if getattr(self, what) is not None:
                    raise OptionError(f"{what} goes with prompt, the question that it is about")
            resolve_score(self.target)
        else:
            answer_score(self.target, self.prompt, answer=self.answer, versus=self.versus)
        if self.fill is not None:
            known_word(self.fill, get_args(Fill), "fill")
        several = (
            [self.method] if isinstance(self.method, str) else self.method if isinstance(self.method, Sequence) else ()
        )
        for name in several:
            # which of the two kinds it is turns out when the model is open
            if isinstance(name, str) and plain(name) not in {plain(known) for known in method_names()}:
                if self.prompt is None:
                    known_method(name, list(methods_module.ALL))
                else:
                    known_method(name, list(method_names()), of=" for language models")


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


def open_model(model: str | Path | Any, **options: Any) -> View | LanguageView:
    """A model by name, file or object, as a View that can be explained again and again.

    See :func:`isotherm.models.choose.open_view` for names and options.
    """
    return open_view(model, **options).view


def explain(
    model: str | Path | Any,
    image: Any,
    *,
    target: Target = None,
    method: str | Method | Sequence[str | Method] | None = None,
    layers: Layers = "auto",
    fuse: Fuse | bool = "mean",
    smooth: Smooth = "none",
    trust: TrustLevel = "fast",
    seed: int | None = None,
    name: str = "picture",
    prompt: Any = None,
    answer: str | None = None,
    versus: str | None = None,
    mask: Any = None,
    fill: Fill | None = None,
    video_fps: float | None = None,
    **options: Any,
) -> Explanation:
    """Heatmaps of what speaks for what a model sees in a picture, or for what it answers to a question about it.

    Args:
        model: a name, a file, a module, a YOLO object, or a View from :func:`open_model`.
        image: a path, PIL picture, uint8 array (H, W, 3), or tensor; for a question also a list of them, in the prompt's order.
        target: what to explain. None: a classifier's likeliest class, every finding of a detector. A class by
            name or number; several of them; a score from ``isotherm`` (ClassLogit, Contrast, TopK, Detection,
            ...); or a function of the prediction that returns one number per picture. Of a question: count, answer (a map per
            word), whole, token, next, word:WORD, a score of ``isotherm.vlm.scores``, or a function of the logits; None: count
            where the prompt asks how many, else whole.
        method: name or function from ``isotherm.cam.methods``, or several; None: the adapter's choice.
        layers: names of target layers, or ``auto``.
        fuse: how several layers become one map.
        smooth: ``eigen`` projects weighted activations on their first principal direction, ``augment`` averages
            over mirrored and brightened copies.
        trust: how thoroughly ``.trust`` judges the maps, fast, full or off; it is computed when it is first looked at.
        seed: of everything random: the orders and weights that maps are judged by, the masks of random methods, and the
            weights of a model that is opened without its own. The same seed gives the same numbers; None: 0, and methods
            given as objects keep their own.
        name: of the picture.
        prompt: what a vision-language model is asked; or what a YOLOE looks for, such as a TextPrompt. answer: what it is made to say; None: what it says itself. versus: explain why
            it says ``answer`` rather than this.
        mask: (H, W) bool, the pixels that the answer should rest on, where they are known; how well the map fits is then a note.
        fill: what a vision token becomes where it is taken away for the trust line: mask (the default: nobody attends to it), the mean of its picture, or blur.
        video_fps: the list of pictures is a video of so many frames a second, for models that take videos.
        options: for the model's family: weights, names (of classes), classes, confidence, size, device, allow_code (a weights
            file that may run code while it is opened), ... One that it does not know is an error.

    Returns:
        An Explanation: a sequence of Heatmaps that shows itself in a notebook.

    Raises:
        NonFiniteError: NaN or infinity in the input, the answer, a score or a map; the message says at which layer it begins.

    Example:
        >>> import numpy as np
        >>> maps = explain("scenes", np.full((64, 96, 3), 128, np.uint8), trust="off")
        >>> maps[0].kind, len(maps)
        ('relevance', 1)
    """
    job = _Job.of(
        options,
        target=target,
        method=method,
        layers=layers,
        fuse=fuse,
        smooth=smooth,
        trust=trust,
        seed=seed,
        prompt=prompt,
        answer=answer,
        versus=versus,
        mask=mask,
        fill=fill,
        video_fps=video_fps,
    )
    return next(_explained(model, [image], job, batch=1, titles=[name]))


def explain_many(
    model: str | Path | Any,
    images: Iterable[Any],
    *,
    target: Target = None,
    method: str | Method | Sequence[str | Method] | None = None,
    layers: Layers = "auto",
    fuse: Fuse | bool = "mean",
    smooth: Smooth = "none",
    trust: TrustLevel = "fast",
    seed: int | None = None,
    batch: int = 8,
    titles: Iterable[str] | None = None,
    prompt: Any = None,
    answer: str | None = None,
    versus: str | None = None,
    mask: Any = None,
    fill: Fill | None = None,
    video_fps: float | None = None,
    **options: Any,
) -> Iterator[Explanation]:
    """:func:`explain` for many pictures, ``batch`` at a time, one Explanation each, in order. Questions are asked one by one.

    Args:
        titles: the pictures' names, one each. Others: as of :func:`explain`; ``names`` are a classifier's classes.

    Raises:
        NonFiniteError: NaN or infinity between a picture of a batch and its map; the message names the picture.
    """
    if batch < 1:
        raise OptionError(f"batch is {batch}; it is how many pictures go through the model together, at least 1")
    job = _Job.of(
        options,
        target=target,
        method=method,
        layers=layers,
        fuse=fuse,
        smooth=smooth,
        trust=trust,
        seed=seed,
        prompt=prompt,
        answer=answer,
        versus=versus,
        mask=mask,
        fill=fill,
        video_fps=video_fps,
    )
    return _explained(model, images, job, batch=batch, titles=titles)


def _explained(
    model: Any, images: Iterable[Any], job: _Job, *, batch: int, titles: Iterable[str] | None
) -> Iterator[Explanation]:
    opened = open_with(model, job.options, where_taken={"seed": job.seed}, also=FRONT)
    named = iter(titles) if titles is not None else (f"picture {i}" for i in count())
    if isinstance(opened.view, LanguageView):
        if (job.layers, job.fuse, job.smooth) != ("auto", "mean", "none"):
            raise OptionError(
                f"layers, fuse and smooth are for models without words; {opened.view.name} is explained at its vision tokens, "
                "because in the last block of its vision tower gradient x activation sums to nothing"
            )
        yield from _questions(opened, images, named, job)
        return
    if job.prompt is not None:
        raise OptionError(f"{opened.view.name} answers no questions; leave the prompt out")
    view = opened.view
    premises = premises_of(view)
    chosen = [f"model: {opened.reason}", *(str(p) for p in premises if not p.alarming)]
    methods = resolve_methods(job.method, view)
    if job.method is None:
        chosen.append(f"method: {', '.join(m.name for m in methods)}, the default for this kind of model")
    if isinstance(job.layers, str) and job.layers == "auto":
        choice = view.auto_layers()
        named_already = all(
            re.search(rf"(?<![\w.]){re.escape(layer)}(?!\w|\.\w)", choice.reason) for layer in choice.layers
        )
        chosen.append(f"layers: {choice.reason if named_already else ', '.join(choice.layers) + ': ' + choice.reason}")
    if job.seed is not None:
        methods = [seeded(m, job.seed) for m in methods]
    if job.smooth in ("eigen", "both"):
        methods = [eigen_smooth(m) for m in methods]
    augmented = job.smooth in ("augment", "both")
    go, again = (attribute_augmented, augment_again) if augmented else (attribute, attribute_again)
    score, seed = resolve_score(job.target), job.seed or 0
    queue = iter(images)
    while group := list(islice(queue, batch)):
        pictures = [as_picture(image).array for image in group]
        inputs = view.prepare(pictures)
        called = list(islice(named, len(group)))
        try:
            attribution: Attribution = go(view, inputs, methods=methods, score=score, layers=job.layers, how=job.fuse)
        except NonFiniteError as error:
            raise error.of_pictures(called) from error.__cause__
        yield from explanations(
            view,
            attribution,
            pictures,
            methods,
            names=called,
            chosen=chosen,
            premises=premises,
            seed=seed,
            assess=None
            if job.trust == "off"
            else assessor(attribution, methods, job.layers, job.fuse, job.trust, again=again, seed=seed),
        )


def _questions(opened: Opened, images: Iterable[Any], titles: Iterator[str], job: _Job) -> Iterator[Explanation]:
    """One question about each picture, or about several together."""
    view = opened.view
    assert isinstance(view, LanguageView)
    if job.prompt is None:
        raise OptionError(f"{view.name} answers questions; give a prompt, such as 'How many peaches are there?'")
    score, why = answer_score(job.target, job.prompt, answer=job.answer, versus=job.versus)
    methods, which = token_methods(job.method)
    if job.seed is not None:
        methods = [seeded(m, job.seed) for m in methods]
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
            job.prompt,
            score=score,
            methods=methods,
            trust=job.trust,
            fill=job.fill or "mask",
            mask=None if job.mask is None else as_mask(job.mask),
            video_fps=job.video_fps,
            name=title,
            chosen=chosen,
            premises=premises,
            seed=job.seed or 0,
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
    given: Sequence[str | Method]
    if method is None:
        given = [view.default_method]
    elif isinstance(method, str) or not isinstance(method, Sequence):
        given = [method]
    else:
        given = method
    return [_method(m) if isinstance(m, str) else m for m in given]


def _method(name: str) -> Method:
    method: Method = getattr(methods_module, known_method(name, list(methods_module.ALL)))
    return method


def resolve_score(target: Target) -> Score | None:
    """A score from what a user may give."""
    if target is None or isinstance(target, Score):
        return target
    if isinstance(target, str | int):
        return Named((target,))
    if isinstance(target, Sequence):
        if not target:
            raise TargetError("the list of targets is empty; leave target out to explain what the model itself says")
        return Named(tuple(target))
    if callable(target):
        return Function(target)
    raise OptionError(
        f"target is a {type(target).__name__}; expected a class, a score such as Detection(2), or a function of the prediction"
    )


FRONT = tuple(
    name
    for front in (explain, explain_many)
    for name, kind in signature(front).parameters.items()
    if kind.kind is kind.KEYWORD_ONLY
)
"""The front doors' own options, which a misspelt one may have meant."""
