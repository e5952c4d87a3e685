"""From pictures and options to explanations: choose methods and layers, go through the pictures in batches, say what was chosen."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import count, islice
from typing import Any

import numpy as np
from jaxtyping import Bool

from isotherm.cam import methods as methods_module
from isotherm.cam.attribute import Attribution, attribute, attribute_again
from isotherm.cam.augment import attribute_augmented, augment_again
from isotherm.cam.clips import ClipView
from isotherm.cam.explanation import Explanation, explanations
from isotherm.cam.methods import eigen_smooth
from isotherm.cam.premises import premises_of
from isotherm.cam.trace import Method
from isotherm.cam.trust import assessor
from isotherm.cam.view import View
from isotherm.data.clips import as_clip
from isotherm.data.pictures import as_picture
from isotherm.errors import NonFiniteError, OptionError
from isotherm.explain_options import ExplainOptions, resolve_score
from isotherm.models.choose import OpenModel
from isotherm.ops.names import known_method, seeded
from isotherm.vlm.choose import answer_score, token_methods
from isotherm.vlm.explain import explain_answer
from isotherm.vlm.view import LanguageView


def explain_pictures(
    opened: OpenModel,
    images: Iterable[Any],
    options: ExplainOptions,
    *,
    batch: int = 1,
    titles: Iterable[str] | None = None,
) -> Iterator[Explanation]:
    """One Explanation a picture, in order, ``batch`` at a time; of a question one for each picture, or list of pictures.

    Args:
        opened: the model. images: paths, PIL pictures, arrays (H, W, 3), tensors; of a model that sees several moments clips, as
            :func:`isotherm.data.clips.as_clip` takes them. titles: the pictures' names, one each.

    Raises:
        OptionError: options that this kind of model does not take. NonFiniteError: of a picture, which is named.
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
    view = opened.view
    of_clips = isinstance(view, ClipView)
    if options.video_fps is not None and not of_clips:
        raise OptionError(
            f"video_fps is for models that see several moments, or are asked about them with prompt, but {view.name} sees one picture"
        )
    premises = premises_of(view)
    chosen = [f"model: {opened.reason}", *(str(p) for p in premises if not p.alarming)]
    methods = resolve_methods(options.method, view)
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
    augmented = options.smooth in ("augment", "both")
    go, again = (attribute_augmented, augment_again) if augmented else (attribute, attribute_again)
    score, seed = resolve_score(options.target), options.seed or 0
    queue = iter(images)
    while group := list(islice(queue, batch)):
        pictures: list[Any] = [
            as_clip(image, fps=options.video_fps) if of_clips else as_picture(image).array for image in group
        ]
        inputs = view.prepare(pictures)
        called = list(islice(named, len(group)))
        try:
            attribution: Attribution = go(
                view, inputs, methods=methods, score=score, layers=options.layers, how=options.fuse
            )
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
            if options.trust == "off"
            else assessor(attribution, methods, options.layers, options.fuse, options.trust, again=again, seed=seed),
        )


def _questions(
    opened: OpenModel, images: Iterable[Any], titles: Iterator[str], options: ExplainOptions
) -> Iterator[Explanation]:
    """One question about each picture, or about several together."""
    view = opened.view
    assert isinstance(view, LanguageView)
    if options.prompt is None:
        raise OptionError(f"{view.name} answers questions; give a prompt, such as 'How many peaches are there?'")
    score, why = answer_score(options.target, options.prompt, answer=options.answer, versus=options.versus)
    methods, which = token_methods(options.method)
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
