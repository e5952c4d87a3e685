"""From a view, pictures, a score and methods to maps: the one place where the parts of ``cam`` meet.

One forward pass and one backward pass serve every gradient method that is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from isotherm.cam.biases import bias_layers, bias_traces
from isotherm.cam.capture import Recording, record
from isotherm.cam.fuse import Fuse, fuse
from isotherm.cam.layers import LayerRef, resolve
from isotherm.cam.rerun import ViewRerun
from isotherm.cam.scores import ClassLogit, Detection, SegmentationMask
from isotherm.cam.scores.targets import Score, Targets
from isotherm.cam.trace import LayerMap, LayerTrace, Method, Trace
from isotherm.cam.view import Classification, Detections, Inputs, Prediction, View
from isotherm.errors import MethodError
from isotherm.frame import Frame

Layers = str | nn.Module | Sequence[str | nn.Module]

CHUNK = 1 << 27
"""Most values of one layer's gradients held at once; more targets than fit are explained in turns."""


@dataclass(frozen=True, eq=False)
class Attribution:
    """What was explained and the maps of it.

    Args:
        prediction: what the model said. targets: the scores explained.
        maps: per method, in the order asked for, one LayerMap of (t, h, w).
        layers: the target layers' names, in the order asked for.
        notes: what a person should know (layers where the gradient vanishes, slower ways taken).
        rerun: how to score changed pictures, for faithfulness.
    """

    prediction: Prediction
    targets: Targets
    maps: tuple[LayerMap, ...]
    layers: tuple[str, ...]
    notes: tuple[str, ...]
    rerun: ViewRerun


def default_score(prediction: Prediction) -> Score:
    """The likeliest class of a classifier, every finding of a detector, the largest class of a segmenter."""
    if isinstance(prediction, Classification):
        return ClassLogit()
    return Detection() if isinstance(prediction, Detections) else SegmentationMask()


def target_layers(view: View, layers: Layers) -> tuple[LayerRef, ...]:
    """The layers named, or the adapter's choice for ``auto``."""
    return resolve(view.model, list(view.auto_layers().layers) if isinstance(layers, str) and layers == "auto" else layers)


def attribute(
    view: View,
    inputs: Inputs,
    *,
    methods: Sequence[Method],
    score: Score | None = None,
    layers: Layers = "auto",
    how: Fuse = "mean",
) -> Attribution:
    """Explain a batch.

    Args:
        view: the model. inputs: from ``view.prepare``.
        methods: one or more; gradient methods share one forward and one backward pass.
        score: what to explain; :func:`default_score` of the prediction if None.
        layers: target layers, or ``auto`` for the adapter's choice.
        how: how several layers become one map.

    Raises:
        LayerError, TargetError, MethodError: see their places.
    """
    if not methods:
        raise MethodError("no method was given; pass at least one, such as hirescam")
    needs: frozenset[str] = frozenset().union(*(m.needs for m in methods))
    refs = target_layers(view, layers)
    gradient = bool(needs & {"gradient", "bias"})
    biases = bias_layers(view.model) if "bias" in needs else ()
    recording = record(view.model, partial(view.run, inputs), refs, every_call=biases, gradient=gradient)
    prediction = view.find(recording.raw, inputs)
    targets = (score or default_score(prediction))(prediction, inputs)
    layouts = tuple(view.layout(call.layer.name, call.output, inputs) for call in recording.calls)
    rerun = ViewRerun(view, inputs, targets, refs, layouts)
    names = tuple(map(str, recording.calls))

    maps, notes = method_maps(recording, rerun, methods, how, gradient=gradient)
    return Attribution(prediction, targets, maps, names, notes, rerun)


def method_maps(
    recording: Recording, rerun: ViewRerun, methods: Sequence[Method], how: Fuse, *, gradient: bool
) -> tuple[tuple[LayerMap, ...], tuple[str, ...]]:
    """Each method's fused map of every target, and what a person should know about them."""
    parts: list[tuple[LayerMap, ...]] = []
    notes: list[str] = []
    turns = _turns(recording, rerun.targets) if gradient else [torch.arange(len(rerun.targets))]
    for number, index in enumerate(turns):
        trace = _trace(recording, rerun.take(index), gradient=gradient, keep=number < len(turns) - 1)
        if gradient:
            notes += [n for n in _silent_layers(trace) if n not in notes]
        parts.append(tuple(fuse(list(method(trace)), how) for method in methods))
    return tuple(_join(turn) for turn in zip(*parts, strict=True)), tuple(notes)


def _turns(recording: Recording, targets: Targets) -> list[Int[Tensor, "n"]]:
    """The targets in groups whose gradients fit in memory together."""
    largest = max(call.output[0].numel() for call in recording.calls)
    return list(torch.arange(len(targets)).split(max(1, CHUNK // largest))) or [torch.arange(0)]


def _trace(recording: Recording, rerun: ViewRerun, *, gradient: bool, keep: bool) -> Trace:
    targets, inputs, layouts = rerun.targets, rerun.inputs, rerun.layouts
    picture = targets.picture.cpu()
    every = recording.every if gradient else ()
    grads: list[Tensor] = []
    if gradient and len(targets):
        grads = recording.gradients(targets.scores, picture, also=[c.output for c in every], keep_graph=keep)
    layers = []
    for i, (call, layout) in enumerate(zip(recording.calls, layouts, strict=True)):
        activation = rows_of(layout.to_grid(call.output.detach()), picture)
        grad = layout.to_grid(grads[i]) if grads else (torch.zeros_like(activation) if gradient else None)
        frame = layout.frame(inputs, (activation.shape[-2], activation.shape[-1]))[picture]
        layers.append(LayerTrace(str(call), activation, grad, frame))
    biases = bias_traces(every, grads[len(recording.calls) :], inputs, picture) if grads else ()
    return Trace(targets.scores.detach().float(), picture, inputs, tuple(layers), rerun=rerun, biases=biases)


def rows_of(values: Float[Tensor, "b c h w"], picture: Int[Tensor, "t"]) -> Float[Tensor, "t c h w"]:
    """``values[picture]`` without copying where every picture has one target or there is one picture."""
    if torch.equal(picture, torch.arange(len(values))):
        return values
    if len(values) == 1:
        return values.expand(len(picture), *values.shape[1:])
    return values[picture.to(values.device)]


def _silent_layers(trace: Trace) -> list[str]:
    """Layers at which every gradient is exactly 0: the score reads them through something else, or not at all."""
    silent = [
        layer.name for layer in trace.layers if layer.gradient is not None and len(trace) and not bool(layer.gradient.any())
    ]
    if len(silent) == len(trace.layers) and silent:
        raise MethodError(
            f"the gradient at {', '.join(silent)} is exactly 0 in every cell, so there is nothing to show: the score does not read "
            "these cells (behind the last attention a transformer reads only the class token); choose an earlier layer"
        )
    return [f"the gradient at {name} is exactly 0 for this score: the layer adds nothing to the map" for name in silent]


def _join(maps: Sequence[LayerMap]) -> LayerMap:
    if len(maps) == 1:
        return maps[0]
    return LayerMap(maps[0].name, torch.cat([m.values for m in maps]), Frame.cat([m.frame for m in maps]))
