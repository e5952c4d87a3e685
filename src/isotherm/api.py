"""The front doors: what may be given to them, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from inspect import signature
from itertools import chain, islice
from pathlib import Path
from typing import Any

from isotherm.cam.attribute import Layers
from isotherm.cam.clips import ClipView
from isotherm.cam.explanation import Explanation
from isotherm.cam.view import View
from isotherm.errors import OptionError, TargetError
from isotherm.explaining import MAX_FINDINGS, ExplainOptions, Layering, Smooth, Target, TrustLevel, explain_pictures
from isotherm.feeding import Channels, is_batch
from isotherm.models.choose import OpenModel, open_as, open_view, open_with
from isotherm.models.own.family import FAMILY as OWN
from isotherm.progress import Say
from isotherm.relevance.alone import alone
from isotherm.relevance.method import Method
from isotherm.vlm.fills import Fill
from isotherm.vlm.view import LanguageView


def open_model(model: str | Path | Any, **options: Any) -> View | LanguageView:
    """A model by name, file or object, as a View that can be explained again and again.

    See :func:`isotherm.models.choose.open_view` for names and options.
    """
    return open_view(model, **options).view


def view_of(model: Any, **options: Any) -> View:
    """A view of a module of one's own, whatever package its class comes from, to be explained again and again.

    Args:
        model: a module.
        options: see :func:`isotherm.models.own.view.wrap`: preprocess, or size, mean and std; names; output;
            findings of a detector; forward; grid and prefix.

    Raises:
        AdapterError: it cannot be run, or is no module.
    """
    return open_as(OWN, model, options, also=FRONT)


def explain(
    model: str | Path | Any,
    image: Any,
    *,
    target: Target = None,
    method: str | Method | Sequence[str | Method] | None = None,
    layers: Layers = "auto",
    fuse: Layering = "mean",
    smooth: Smooth = "none",
    trust: TrustLevel = "fast",
    seed: int | None = None,
    name: str = "picture",
    prompt: str | None = None,
    answer: str | None = None,
    versus: str | None = None,
    mask: Any = None,
    fill: Fill | None = None,
    video_fps: float | None = None,
    like: Any = None,
    picture: Any = None,
    channels: Channels = None,
    max_findings: int | None = MAX_FINDINGS,
    progress: bool | Say = False,
    **options: Any,
) -> Explanation | Any:
    """Heatmaps of what speaks for what a model sees in a picture, or for what it answers to a question about it.

    Args:
        model: a name, a file, a module, a YOLO object, or a View from :func:`open_model`.
        image: a path, PIL picture, uint8 array (H, W, 3), or tensor; for a question also a list of them, in the
            prompt's order. For a model that sees several moments a clip: a video file, pictures or frames in order, an
            array (t, H, W, 3); each heatmap then holds a map per moment. A tensor or array (b, c, h, w) of real numbers
            is what the model eats already; a tuple is the inputs of a model of several; a list is several pictures.
        target: what to explain. None: a classifier's likeliest class, every finding of a detector. A class by
            name or number; several of them; a score from ``isotherm`` (ClassLogit, Contrast, TopK, Detection,
            ...); or a function of the prediction, or of what a module of one's own puts out, that returns one number
            per picture. Of a question: count, answer (a map
            per word), whole, token, next, word:WORD, a score of ``isotherm.vlm.scores``, or a function of the logits;
            None: count where the prompt asks how many, else whole. Of
            several pictures a list holds one target for each, and a tuple several for all of them.
        method: name or function from ``isotherm.cam.methods``, or several; None: the adapter's choice.
        layers: names of target layers, or ``auto``.
        fuse: how several layers become one map, mean or max; none: each layer has a map of its own.
        smooth: ``eigen`` projects weighted activations on their first principal direction, ``augment`` averages
            over mirrored and brightened copies.
        trust: how thoroughly ``.trust`` judges the maps, fast, full or off; it is computed when it is first looked at.
        seed: of everything random: the orders and weights that maps are judged by, the masks of random methods, and the
            weights of a model that is opened without its own. The same seed gives the same numbers; None: 0, and
            methods given as objects keep their own.
        name: of the picture.
        prompt: what a vision-language model is asked.
        answer: what it is made to say; None: what it says itself.
        versus: explain why it says ``answer`` rather than this.
        mask: (H, W) bool, the pixels that the answer should rest on, where they are known; how well the map fits is
            then a note.
        fill: what a vision token becomes where it is taken away for the trust line: mask (the default: nobody attends
            to it), the mean of its picture, or blur.
        video_fps: the pictures are a video of so many frames a second, for models that take videos.
        like: a picture: what is explained is how like it the model finds this one, by the cosine similarity of both
            embeddings. Of a YOLOE boxes by their names, which show what to look for.
        picture: what the maps of a tensor are drawn on: a picture, or a list with one for each of its rows.
        channels: which channel, or which three, of a tensor are drawn where there is no picture; its first three.
        max_findings: of a detector's findings, so many of the most confident are explained, where they are not named by
            their numbers or a box; None: all. A note says how many are left out.
        progress: whether methods that ask about many changed pictures (rise, occlusion) draw a bar, or a function
            that is told how far they are.
        options: for the model's family: weights, names (of classes), classes, confidence, size, device, allow_code (a
            weights file that may run code while it is opened), ... One that it does not know is an error.

    Returns:
        An Explanation: a sequence of Heatmaps that shows itself in a notebook. Of a tensor with several rows, or a list
        of several pictures, a list of them.

    Raises:
        NonFiniteError: NaN or infinity in the input, the answer, a score or a map; the message says at which layer it
            begins.

    Example:
        >>> import numpy as np
        >>> maps = explain("scenes", np.full((64, 96, 3), 128, np.uint8), trust="off")
        >>> maps[0].kind, len(maps)
        ('relevance', 1)
    """
    of_explaining = dict(
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
        like=like,
        picture=picture,
        channels=channels,
        max_findings=max_findings,
        progress=progress,
    )
    with alone(model):
        apart = _apart(image) if isinstance(target, list) else []
        if isinstance(target, list) and len(apart) > 1:
            explaining, left = ExplainOptions.split({**of_explaining, **options, "target": None})
            where_taken = {"seed": explaining.seed, "example": apart[0] if is_batch(image) else None}
            opened = open_with(model, left, where_taken=where_taken, also=FRONT)
            if not isinstance(
                opened.view, ClipView | LanguageView
            ):  # to which these pictures are one clip, or one question
                return list(_each(opened, apart, target, explaining, name))
            model = opened.view
            options = {}
        batch = min(len(image), 8) if is_batch(image) else 1
        made = list(explain_many(model, [image], batch=max(1, batch), titles=[name], **of_explaining, **options))
        return made[0] if len(made) == 1 else made


def _apart(image: Any) -> list[Any]:
    """The pictures of a list, or the rows of a tensor, one by one; nothing of anything else."""
    if is_batch(image):
        return [image[i : i + 1] for i in range(len(image))]
    return list(image) if isinstance(image, list) else []


def _each(
    opened: OpenModel, images: Sequence[Any], targets: list[Any], explaining: ExplainOptions, name: str
) -> Iterator[Explanation]:
    """Pictures that each have a target of their own: each goes through the model, and is judged, by itself."""
    drawn_on = explaining.picture
    if len(targets) != len(images):
        raise TargetError(
            f"target is a list of {len(targets)} for {len(images)} pictures; in a list there is one for each picture, and several for all of them are a tuple, such as {tuple(targets)!r}"
        )
    for i, (image, target) in enumerate(zip(images, targets, strict=True)):
        own = drawn_on[i] if isinstance(drawn_on, list | tuple) and len(drawn_on) == len(images) else drawn_on
        yield from explain_pictures(
            opened, [image], replace(explaining, target=target, picture=own), titles=[f"{name} {i}"]
        )


def explain_many(
    model: str | Path | Any,
    images: Iterable[Any],
    *,
    batch: int = 8,
    titles: Iterable[str] | None = None,
    **options: Any,
) -> Iterator[Explanation]:
    """:func:`explain` for many pictures, ``batch`` at a time, one Explanation each, in order. Questions are asked one
    by one.

    Args:
        images: as :func:`explain` takes them.
        batch: how many pictures go through the model together.
        titles: the pictures' names, one each.
        options: all those of :func:`explain`; ``names`` are a classifier's classes.

    Raises:
        NonFiniteError: NaN or infinity between a picture of a batch and its map; the message names the picture.
    """
    if batch < 1:
        raise OptionError(f"batch is {batch}; it is how many pictures go through the model together, at least 1")
    explaining, left = ExplainOptions.split(options)
    images = iter([images] if is_batch(images) else images)
    first = list(islice(images, 1))
    images = chain(first, images)
    # what a module eats already, or eats several of, is what it is tried with
    tried = next((one for one in first if is_batch(one) or isinstance(one, tuple)), None)
    opened = open_with(model, left, where_taken={"seed": explaining.seed, "example": tried}, also=FRONT)
    return explain_pictures(opened, images, explaining, batch=batch, titles=titles)


FRONT = (
    *(name for name, kind in signature(explain).parameters.items() if kind.kind is kind.KEYWORD_ONLY),
    "batch",
    "titles",
)
"""The front doors' own options, which a misspelt one may have meant."""
