"""Modules of one's own as views: read as a classifier or a segmenter where their output has the shape of it, and
otherwise explained by a function of what they put out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar, get_args

import torch
from torch import nn

from isotherm.cam.activation import Activation
from isotherm.cam.capture import evaluating, original_module
from isotherm.cam.outputs import words_of
from isotherm.cam.premises import Premise, Source
from isotherm.cam.view import Inputs, View
from isotherm.errors import AdapterError, IsothermError, OptionError
from isotherm.frame import Size
from isotherm.models.family import takes_options_of
from isotherm.models.own.answer import Answer, Output, answer_of
from isotherm.models.own.black_box import INPUT, BlackBox, Takes, black_box, check_batches, is_black_box
from isotherm.models.own.clip_trial import Arranged, begins_with_clips, clip_trial
from isotherm.models.own.clip_view import OfClips, OwnClipClassifier, OwnClipOutput, check_clip_options
from isotherm.models.own.detector import OwnDetectorView
from isotherm.models.own.raw_view import RawView
from isotherm.models.own.trial import black, trial_of
from isotherm.models.shared.as_it_is import AsItIs
from isotherm.models.shared.calling import PLAIN, Calling
from isotherm.models.shared.classifier import ClassifierView, numbered
from isotherm.models.shared.declaring_part import DeclaringPart, declaring_part
from isotherm.models.shared.dense import DenseView
from isotherm.models.shared.grids import Tokens
from isotherm.models.shared.input_options import InputOptions
from isotherm.models.shared.module_view import no_tokens, put_out
from isotherm.models.shared.own_transform import Preparation
from isotherm.models.shared.premises import names_premise
from isotherm.models.shared.preprocess import CAN_BE_GIVEN, Geometry, Preprocess, fed_as_imagenet, size_of
from isotherm.ops.names import known_word

IMAGENET_CLASSES = 1000
CLIP_FRAMES = Preprocess(size=(112, 112), resize=(128, 128))
"""What the frames of clips are fed as of which nobody says it: half of what pictures are, as most networks of clips
are.
"""
OTHERWISE = (
    "in Python, output= names the part with the logits, and target= takes a function of all that the model puts out"
)


def wrap(
    model: Any,
    *,
    names: Sequence[str] | None = None,
    size: int | Sequence[int] | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    geometry: Geometry | None = None,
    preprocess: Any = None,
    output: Output = None,
    grid: Sequence[int] | None = None,
    prefix: int | None = None,
    forward: Any = None,
    over: int = 0,
    example: Any = None,
    findings: Any = None,
    confidence: float | None = None,
    overlap: float | None = None,
    takes: Any = "tensors",
    frames: int | None = None,
    axes: str | None = None,
    activation: Activation | None = None,
) -> View:
    """A view of any module that takes pictures (b, c, h, w), or clips.

    What it puts out is read as a logit for each class where it has the shape (b, k), (b, k, 1, 1) or (b,), and as
    logits for every pixel where it has the shape (b, k, h, w) with at least a quarter of the input's rows and
    columns; so is a part that is called ``logits`` or ``out``. Anything else is explained by a function of it.

    Args:
        model: eager, compiled or data-parallel; on any device, in any floating-point type. Nothing in it changes. Or a
            model that cannot be looked into: see :mod:`isotherm.models.own.black_box`.
        names: class names, one per logit. Without: ImageNet's for 1000 classes of a module that is fed as ImageNet's
            networks are, which is an assumption and called one; otherwise "class 0", ...
        size: one side or (h, w) of the input; 224 unless given.
        mean, std: of pixels in [0, 1]; ImageNet's unless given. What of the input nobody says is an assumption, and is
            called one in the view's ``premises``.
        geometry: how a picture of another aspect ratio is fitted, see
            :data:`isotherm.models.shared.preprocess.Geometry`.
        preprocess: a callable from a picture to the model's input, in place of size, mean, std and geometry:
            torchvision's or timm's transforms, an image processor, albumentations, a function. Where its pixels come
            from is measured.
        output: which part of the output holds the logits: a key or an attribute's name, an index, or a function.
        grid: (h, w) of the cells that a layer's tokens are, row by row, where the module does not say it.
        prefix: how many tokens stand in front of them; 0 unless given.
        forward: (module, input, ...) -> what it puts out, for modules that are called otherwise or with several inputs.
        over: which of several inputs the map lies over, from 0.
        example: what the module is tried with in place of a black picture: a tensor (1, c, h, w) as it eats them, or
            several inputs in a tuple; :func:`isotherm.explain` gives what it explains.
        findings: of a detector: what it puts out -> its candidates, a dict with ``boxes`` (b, n, 4), x0, y0, x1, y1 in
            pixels of the input, and ``logits`` (b, n, k); ``classes``, ``confidence`` and ``objectness`` (b, n) where
            it has them. Or a list of b dicts without the first dimension, of what the model itself has chosen.
        confidence: least confidence of a finding; 0.25 unless given.
        overlap: IoU beyond which two findings of a class are one; 0.5 unless given.
        takes: what a plain function is given, ``tensors`` (b, c, h, w) or ``pictures``, a list of arrays (h, w, 3) of
            bytes, of 224 pixels on the shorter side unless ``size`` says another.
        frames: of a module that takes clips: how many frames it is fed. A module whose first convolution goes over time
            is tried with 16, 8 and 32 unless given.
        axes: of such a module: the form that it takes, ``b c t h w`` or ``b t c h w``, or one picture with the frames
            as channels: ``b (t c) h w`` where the channels of a frame stand together, ``b (c t) h w`` where the frames
            of a channel do. Found by trying unless given.
        activation: what makes a class's probability of its logit, ``softmax`` or ``sigmoid``, where the model was
            trained so and does not say it: the probability then stands beside the logit.

    Raises:
        AdapterError: the module cannot be run on such an input.
        OptionError: options that do not go together.
    """
    known_word(takes, get_args(Takes), "takes")
    options = InputOptions(
        names=names, size=size, mean=mean, std=std, geometry=geometry, transform=preprocess, activation=activation
    )
    box = black_box(model, takes) if is_black_box(model) else None
    model = original_module(model) if box is None else box
    part = declaring_part(model) if box is None else None
    usual = own_preprocess(box) if part is None else part.preprocess
    as_they_are = preprocess is None and mean is None and std is None and box is not None and box.kind == "a function"
    if takes == "pictures" and not as_they_are:
        raise OptionError(
            "takes='pictures' is of functions that take pictures as they are; leave preprocess, mean and std out"
        )
    tokens, detector = token_rule(grid, prefix), detector_options(findings, confidence, overlap)
    of_clips = frames is not None or axes is not None
    if of_clips or (box is None and forward is None and begins_with_clips(model)):
        of_frames = options.preprocess(CLIP_FRAMES if part is None else usual)
        try:
            tried = clip_trial(model, of_frames, frames=frames, axes=axes, forward=forward)
        except AdapterError:
            if of_clips:
                raise  # what only looks as if it took clips may take pictures
        else:
            check_clip_options(detector, over, takes)
            source, why = _source_of_input(box.kind if box else f"this {type(model).__name__}", part)
            return view_of_module(
                model,
                options,
                of_frames,
                premises=(*options.premises(of_frames, source=source, why=why), *tried.premises),
                output=output,
                tokens=tokens,
                calling=tried.calling,
                trial=tried.inputs,
            )
    prepared = options.preprocess(usual)
    source, why = _source_of_input(box.kind if box else f"this {type(model).__name__}", part)
    if takes == "pictures":
        source, why = "default", "size and geometry can be given"
    trial, calling, tensors = trial_of(model, prepared, forward=forward, over=over, example=example)
    if tensors:
        prepared = AsItIs(trial.tensor.shape[1:])
    return view_of_module(
        model,
        options,
        prepared,
        premises=options.premises(prepared, source=source, why=why),
        output=output,
        tokens=tokens,
        calling=calling,
        trial=trial,
        detector=detector,
    )


def view_of_module(
    model: nn.Module,
    options: InputOptions,
    prepared: Preparation,
    *,
    premises: tuple[Premise, ...],
    output: Output = None,
    tokens: Any = no_tokens,
    names: Any = None,
    calling: Calling = PLAIN,
    trial: Inputs | None = None,
    detector: Mapping[str, Any] | None = None,
) -> View:
    """The view of a module by what it puts out for one black picture.

    Args:
        model: eager module.
        options: what the user says.
        prepared: how pictures are prepared.
        premises: of the input.
        output, tokens: see :func:`wrap` and :class:`isotherm.models.shared.module_view.ModuleView`.
        names: (number of classes, preparation) -> their names and premises, where the user gives none.
        calling: how the module is called.
        trial: what it is tried with; a black picture unless given.
        detector: how findings are read, of a detector.
    """
    name = name_of(model)
    trial = trial or black(model, prepared)
    raw, fed = run_once(model, trial, name, calling)
    arguments: dict[str, Any] = dict(name=name, preprocess=prepared, tokens=tokens, trial=trial, calling=calling)
    if isinstance(model, BlackBox):
        arguments |= dict(known=INPUT)
    if detector is not None:
        options.refuse_activation(name)
        return without_gradients_by_default(
            OwnDetectorView(model, names=options.names or (), premises=premises, example=raw, **detector, **arguments)
        )
    answer = answer_of(raw, fed, output)
    of_clips = bool(trial.timelines)
    if answer.kind != "classes":
        options.refuse_activation(name)
    if answer.kind == "raw" or (of_clips and answer.kind == "pixels"):
        if options.names is not None:
            raise OptionError(
                f"{name} put out {words_of(raw)}, in which isotherm sees no classes, but names were given; say with output= which part of it are the "
                "logits, or leave names out"
            )
        of_raw = OwnClipOutput if of_clips else RawView
        return without_gradients_by_default(of_raw(model, names=(), premises=premises, example=raw, **arguments))
    count = int(answer.logits(raw).shape[1])
    classes: Sequence[str] | None = options.names
    whose: tuple[Premise, ...] = ()
    if classes is None:
        classes, whose = (names or _names)(count, prepared) if answer.kind == "classes" else (numbered(count), ())
    premises += (*whose, _premise(answer, output))
    arguments |= dict(names=classes, premises=premises, calling=replace(calling, logits=answer.logits))
    view: DenseView | ClassifierView
    if answer.kind == "pixels":
        view = DenseView(model, **arguments)
    else:
        options.check_names(count, what=f"logits of this {name}", one="logit")
        linear = [module for module in model.modules() if isinstance(module, nn.Linear)]
        of_classes = OwnClipClassifier if of_clips else ClassifierView
        view = of_classes(model, heads=linear[-1:], **options.trained(count), **arguments)
    view.function_of = "output"
    return without_gradients_by_default(view)


@takes_options_of(wrap, but=("takes",))
def load(name: str, **options: Any) -> View:
    """A view of an ONNX file.

    Args:
        name: its path.
        options: see :func:`wrap`.
    """
    from isotherm.models.own.onnxruntime_session import open_session

    view = wrap(open_session(Path(name).expanduser()), **options)
    view.name = Path(name).name
    return view


def own_preprocess(box: BlackBox | None) -> Preprocess:
    """What a model is fed of which nobody says it: as most networks of ImageNet are, or as an ONNX file's input
    wants it; of a function of pictures, the pictures.
    """
    if box is None:
        return Preprocess(size=(224, 224), resize=(256, 256))
    if box.takes == "pictures":
        return Preprocess(size=(224, 224), geometry="shorter", mean=(0.0,) * 3, std=(1.0,) * 3)
    size = getattr(box, "size", None) or getattr(box.model, "size", None)
    return Preprocess(size=(224, 224), resize=(256, 256)).with_size(size)


def name_of(model: nn.Module) -> str:
    """What a model is called in messages: its class, or of one that cannot be looked into its function or class."""
    inner = model.model if isinstance(model, BlackBox) else model
    return getattr(inner, "__name__", None) or type(inner).__name__


AnyView = TypeVar("AnyView", bound=Any)


def without_gradients_by_default(view: AnyView) -> AnyView:
    """The view, with a method that needs no layers and no gradients where its model has none."""
    if isinstance(view.model, BlackBox):
        view.default_method = "occlusion" if isinstance(view, OfClips) else "rise"
    return view


def detector_options(findings: Any, confidence: float | None, overlap: float | None) -> dict[str, Any] | None:
    """How findings are read; None of what is no detector.

    Raises:
        OptionError: a threshold without findings, or findings that are no function.
    """
    if findings is None:
        for option, value in (("confidence", confidence), ("overlap", overlap)):
            if value is not None:
                raise OptionError(
                    f"{option}= is of a detector's findings; give findings=, a function from what the model puts out to them, or leave it out"
                )
        return None
    if not callable(findings):
        raise OptionError(f"findings is {findings!r}; expected a function of what the model puts out")
    return dict(
        findings=findings,
        confidence=0.25 if confidence is None else confidence,
        overlap=0.5 if overlap is None else overlap,
    )


def token_rule(grid: Sequence[int] | None, prefix: int | None) -> Any:
    """Input size -> the tokens that the user describes.

    Raises:
        OptionError: numbers that are no grid, or a prefix without one.
    """
    if grid is None:
        if prefix is not None:
            raise OptionError(
                "prefix= is how many tokens stand in front of a grid; give grid=, the (h, w) of its cells, too"
            )
        return no_tokens
    cells = size_of(list(grid) if not isinstance(grid, int) else grid)
    front = 0 if prefix is None else prefix
    if not isinstance(front, int) or isinstance(front, bool) or front < 0:
        raise OptionError(f"prefix is {prefix!r}; expected how many tokens stand in front of the grid, 0 or more")
    return lambda size: Tokens(front, None, cells)


def run_once(model: nn.Module, trial: Inputs, name: str, calling: Calling = PLAIN) -> tuple[Any, Size]:
    """What a module puts out for one input, and the (h, w) of that.

    Args:
        trial: one row.
        name: of the module.

    Raises:
        AdapterError: it cannot be run.
    """
    tensor = trial.tensor
    try:
        with torch.no_grad(), evaluating(model):
            if isinstance(model, BlackBox):
                arranged = calling.forward.of(tensor) if isinstance(calling.forward, Arranged) else tensor
                check_batches(model, arranged, [v for _, v in sorted(trial.extra.items())], name)
            return put_out(model, calling, trial, name), (int(tensor.shape[-2]), int(tensor.shape[-1]))
    except (IsothermError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # a module of one's own raises anything at all
        first = (str(error).strip().splitlines() or [""])[0][:200]
        a_function = isinstance(model, BlackBox) and model.kind == "a function"
        made = "; of a function that makes models give what it returns" if a_function else ""
        what = (
            f"{name} cannot be run on an input of {tuple(tensor.shape)} ({type(error).__name__}: {first}); expected a module that maps "
            "(pictures, channels, rows, columns) to anything"
        )
        if any(isinstance(module, nn.Conv3d) for module in model.modules()):
            raise AdapterError(
                f"{what}: its convolutions are 3-D, so it takes clips; give frames=, how many it takes, and size=, and explain a video or pictures in "
                "order; forward= is a function of the module and the clip where it is called otherwise"
            ) from error
        raise AdapterError(
            f"{what}: give size= if it takes another size, forward= if it is called otherwise, or wrap it in a module that takes pictures alone{made}",
            command_line=f"{what}: give --size if it takes another size, --preprocess package.module:name if it is fed otherwise, or name a function that "
            "wraps it in a module that takes pictures alone, as --model package.module:factory",
        ) from error


def _premise(answer: Answer, output: Output) -> Premise:
    if output is not None:
        return Premise(about="output", value=answer.words, source="given")
    return Premise(about="output", value=answer.words, source="assumed", why=f"it has the shape of it; {OTHERWISE}")


def _source_of_input(kind: str, part: DeclaringPart | None) -> tuple[Source, str]:
    """Where the input of a module comes from, and why so: modules do not say what they are fed."""
    if part is not None and not part.name:
        return "declared", f"its own configuration, {part.label}"
    if part is not None:
        return (
            "assumed",
            f"{kind} does not say it, but its part {part.name} ({part.label}) declares it for itself; {CAN_BE_GIVEN}",
        )
    return (
        "assumed",
        f"{kind} does not say what it was trained on; it is what most networks of ImageNet are fed; {CAN_BE_GIVEN}",
    )


def _names(count: int, prepared: Preparation) -> tuple[list[str], tuple[Premise, ...]]:
    """ImageNet's names for a thousand classes of what is fed as its networks are; otherwise numbers."""
    # a network that is fed otherwise is hardly one of ImageNet, whatever the number of its classes
    if count == IMAGENET_CLASSES and fed_as_imagenet(prepared.mean, prepared.std) and find_spec("torchvision"):
        from isotherm.models.torchvision.premises import imagenet_names

        return imagenet_names(), (names_premise("ImageNet-1k", count),)
    return (["output"] if count == 1 else numbered(count)), ()
