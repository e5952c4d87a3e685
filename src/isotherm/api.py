"""The front doors: choose adapter, layers and defaults, and say what was chosen. Nothing else happens here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool
from torch import Tensor

from isotherm.adapters.choose import Opened, open_view
from isotherm.cam import methods as methods_module
from isotherm.cam.attribute import Attribution, Layers, attribute, attribute_again
from isotherm.cam.augment import attribute_augmented, augment_again
from isotherm.cam.explanation import Explanation, explanations
from isotherm.cam.fuse import Fuse
from isotherm.cam.methods import eigen_smooth
from isotherm.cam.scores import Function, Named
from isotherm.cam.scores.targets import Score
from isotherm.cam.trace import Method
from isotherm.cam.trust import assessor
from isotherm.cam.view import Prediction, View
from isotherm.data.pictures import as_picture
from isotherm.errors import OptionError, TargetError
from isotherm.ops.names import known_method
from isotherm.vlm.choose import answer_score, token_methods
from isotherm.vlm.explain import explain_answer
from isotherm.vlm.fills import Fill
from isotherm.vlm.view import LanguageView

Target = Score | str | int | Callable[[Prediction], Tensor] | Sequence[str | int] | None
Smooth = Literal["none", "eigen", "augment", "both"]
Trusting = Literal["fast", "full", "off"]


def open_model(model: str | Path | Any, **options: Any) -> View | LanguageView:
    """A model by name, file or object, as a View that can be explained again and again.

    See :func:`isotherm.adapters.choose.open_view` for names and options.
    """
    return open_view(model, **options).view


def explain(
    model: str | Path | Any,
    image: Any,
    *,
    target: Target = None,
    method: str | Method | Sequence[str | Method] | None = None,
    layers: Layers = "auto",
    fuse: Fuse = "mean",
    smooth: Smooth = "none",
    trust: Trusting = "fast",
    name: str = "picture",
    prompt: str | None = None,
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
        trust: how thoroughly ``.trust`` judges the maps; it is computed when it is first looked at.
        prompt: what a vision-language model is asked. answer: what it is made to say; None: what it says itself. versus: explain why
            it says ``answer`` rather than this.
        mask: (H, W) bool, the pixels that the answer should rest on, where they are known; how well the map fits is then a note.
        fill: what a vision token becomes where it is taken away for the trust line: mask (the default: nobody attends to it), the mean of its picture, or blur.
        video_fps: the list of pictures is a video of so many frames a second, for models that take videos.
        options: for the adapter: weights, trust file, classes, confidence, size, device, ...

    Returns:
        An Explanation: a sequence of Heatmaps that shows itself in a notebook.

    Example:
        >>> import numpy as np
        >>> maps = explain("scenes", np.full((64, 96, 3), 128, np.uint8), trust="off")
        >>> maps[0].kind, len(maps)
        ('relevance', 1)
    """
    if prompt is not None:
        several = list(image) if isinstance(image, list | tuple) else [image]
        return next(
            explain_many(
                model, [several], target=target, method=method, layers=layers, fuse=fuse, smooth=smooth, trust=trust, names=[name],
                prompt=prompt, answer=answer, versus=versus, mask=mask, fill=fill, video_fps=video_fps, **options,
            )
        )  # fmt: skip
    for what, value in {"answer": answer, "versus": versus, "mask": mask, "fill": fill, "video_fps": video_fps}.items():
        if value is not None:
            raise OptionError(f"{what} goes with prompt, the question that it is about")
    return next(
        explain_many(
            model, [image], target=target, method=method, layers=layers, fuse=fuse, smooth=smooth, trust=trust,
            names=[name], **options,
        )
    )


def explain_many(
    model: str | Path | Any,
    images: Iterable[Any],
    *,
    target: Target = None,
    method: str | Method | Sequence[str | Method] | None = None,
    layers: Layers = "auto",
    fuse: Fuse = "mean",
    smooth: Smooth = "none",
    trust: Trusting = "fast",
    batch: int = 8,
    names: Iterable[str] | None = None,
    prompt: str | None = None,
    answer: str | None = None,
    versus: str | None = None,
    mask: Any = None,
    fill: Fill | None = None,
    video_fps: float | None = None,
    **options: Any,
) -> Iterator[Explanation]:
    """:func:`explain` for many pictures, ``batch`` at a time, one Explanation each, in order. Questions are asked one by one."""
    opened = _opened(model, options)
    if isinstance(opened.view, LanguageView):
        if (layers, fuse, smooth) != ("auto", "mean", "none"):
            raise OptionError(
                f"layers, fuse and smooth are for models without words; {opened.view.name} is explained at its vision tokens, "
                "because in the last block of its vision tower gradient x activation sums to nothing"
            )
        question = {"prompt": prompt, "answer": answer, "versus": versus, "mask": mask, "fill": fill, "video_fps": video_fps}
        yield from _questions(opened, images, names, target=target, method=method, trust=trust, **question)
        return
    if prompt is not None:
        raise OptionError(f"{opened.view.name} answers no questions; leave the prompt out")
    view = opened.view
    chosen = [f"model: {opened.reason}"]
    chosen_methods = resolve_methods(method, view)
    if method is None:
        chosen.append(f"method: {', '.join(m.name for m in chosen_methods)}, the default for this kind of model")
    if isinstance(layers, str) and layers == "auto":
        choice = view.auto_layers()
        named = all(layer in choice.reason for layer in choice.layers)
        chosen.append(f"layers: {choice.reason if named else ', '.join(choice.layers) + ': ' + choice.reason}")
    if smooth in ("eigen", "both"):
        chosen_methods = [eigen_smooth(m) for m in chosen_methods]
    augmented = smooth in ("augment", "both")
    go, again = (attribute_augmented, augment_again) if augmented else (attribute, attribute_again)
    queue = iter(images)
    titles = iter(names) if names is not None else (f"picture {i}" for i in range(1 << 62))
    while group := list(islice(queue, batch)):
        pictures = [as_picture(image).array for image in group]
        inputs = view.prepare(pictures)
        attribution: Attribution = go(
            view, inputs, methods=chosen_methods, score=resolve_score(target), layers=layers, how=fuse
        )
        yield from explanations(
            view, attribution, pictures, chosen_methods,
            names=[next(titles) for _ in group], chosen=chosen,
            assess=None if trust == "off" else assessor(attribution, chosen_methods, layers, fuse, trust, again=again),
        )  # fmt: skip


def _questions(
    opened: Opened, images: Iterable[Any], names: Iterable[str] | None, *, target: Any, method: Any, trust: Trusting,
    prompt: str | None, answer: str | None, versus: str | None, mask: Any, fill: Fill | None, video_fps: float | None,
) -> Iterator[Explanation]:  # fmt: skip
    """One question about each picture, or about several together."""
    view = opened.view
    assert isinstance(view, LanguageView)
    if prompt is None:
        raise OptionError(f"{view.name} answers questions; give a prompt, such as 'How many peaches are there?'")
    score, why = answer_score(target, prompt, answer=answer, versus=versus)
    methods, which = token_methods(method)
    chosen = [f"model: {opened.reason}", *(line for line in (which, why) if line)]
    titles = iter(names) if names is not None else (f"picture {i}" for i in range(1 << 62))
    for image, title in zip(images, titles, strict=False):
        pictures = [as_picture(one).array for one in (image if isinstance(image, list | tuple) else [image])]
        yield explain_answer(
            view, pictures, prompt, score=score, methods=methods, trust=trust, fill=fill or "mask", mask=None if mask is None else as_mask(mask),
            video_fps=video_fps, name=title, chosen=chosen,
        )  # fmt: skip


def as_mask(mask: Any) -> Bool[np.ndarray, "h w"]:
    """A mask as an array of pixels that count.

    Raises:
        OptionError: not two-dimensional.
    """
    array = np.asarray(mask)
    if array.ndim != 2:
        raise OptionError(f"the mask has shape {array.shape}; expected (h, w), true where the answer should rest")
    return array.astype(bool)


def _opened(model: Any, options: dict[str, Any]) -> Opened:
    return model if isinstance(model, Opened) else open_view(model, **options)


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
    raise OptionError(f"target is a {type(target).__name__}; expected a class, a score such as Detection(2), or a function of the prediction")
