"""From a view, pictures, a score and methods to maps: the one place where the parts of ``cam`` meet.

One forward pass and one backward pass serve every gradient method that is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from isotherm.cam.attention import (
    AttentionCall,
    attention_traces,
    global_attention,
    own_score_gradients,
    recorded_attention,
)
from isotherm.cam.biases import bias_layers, bias_traces
from isotherm.cam.capture import Recording, record
from isotherm.cam.fuse import Fuse, fuse
from isotherm.cam.layers import LayerRef, resolve
from isotherm.cam.nonfinite import check_answer, check_maps, check_scores, examined
from isotherm.cam.own_level import own_level_maps
from isotherm.cam.receptive import Field, following
from isotherm.cam.rerun import ViewRerun
from isotherm.cam.scores import ClassLogit, Detection, SegmentationMask
from isotherm.cam.scores.targets import Score, Targets
from isotherm.cam.trace import AttentionTrace, LayerMap, LayerTrace, Method, Trace
from isotherm.cam.view import Classification, Detections, Inputs, Layout, Prediction, TokenReader, View
from isotherm.errors import MethodError
from isotherm.frame import Frame

WITH_GRAPH = frozenset({"gradient", "bias", "attention_gradient", "attention_own_gradient"})
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
    return resolve(view.model, list(view.auto_layers().layers) if is_auto(layers) else layers)


def is_auto(layers: Layers) -> bool:
    """True where the choice of layers was left to the adapter."""
    return isinstance(layers, str) and layers == "auto"


@torch.inference_mode(False)  # whatever the caller has on, this has gradients
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
        NonFiniteError: the input, the answer, a score or a map holds NaN or infinity; the message says where that begins.
    """
    if not methods:
        raise MethodError("no method was given; pass at least one, such as hirescam")
    check_clips(inputs, methods)
    inputs, refs = _usual(inputs), target_layers(view, layers)
    with examined(view, inputs):
        kept = observe(view, inputs, methods, refs)
        prediction = view.find(kept.recording.raw, inputs)
        check_answer(view, inputs, kept.recording.raw, prediction)
        targets = (score or default_score(prediction))(prediction, inputs)
        check_scores(view, inputs, targets)
        rerun = ViewRerun(view, inputs, targets, kept.refs, kept.layouts)
        maps, notes = _maps(kept, rerun, prediction, methods, how, auto=is_auto(layers))
        check_maps(
            rerun,
            maps,
            methods,
            lambda other, method: method_maps(observe(view, inputs, [method], refs), other, [method], how),
        )
    return Attribution(prediction, targets, maps, tuple(map(str, kept.recording.calls)), notes, rerun)


@torch.inference_mode(False)
def attribute_again(
    view: View,
    inputs: Inputs,
    targets: Targets,
    *,
    methods: Sequence[Method],
    layers: Layers = "auto",
    how: Fuse = "mean",
) -> tuple[tuple[LayerMap, ...], tuple[str, ...]]:
    """Maps of the same targets on changed pictures or with changed weights, and notes.

    Args:
        inputs: one row per target, in the order of the targets. targets: what :func:`attribute` chose; findings are
            read again at their pins.
    """
    inputs = _usual(inputs)
    kept = observe(view, inputs, methods, target_layers(view, layers))
    raw = kept.recording.raw
    prediction = view.find(raw, inputs) if targets.pins is None else view.refind(raw, inputs, targets.pins)
    everyone = torch.arange(len(targets))
    again = replace(
        targets,
        scores=targets.read(prediction, everyone),
        picture=everyone,
        rows=None if targets.rows is None else everyone,
    )
    rerun = ViewRerun(view, inputs, again, kept.refs, kept.layouts)
    return _maps(kept, rerun, prediction, methods, how, auto=is_auto(layers))


def check_clips(inputs: Inputs, methods: Sequence[Method]) -> None:
    """Raises MethodError for methods of pictures where the inputs are clips."""
    unfit = [m.name for m in methods if not getattr(m, "clips", False)] if inputs.timelines else []
    if unfit:
        raise MethodError(
            f"{', '.join(unfit)} cannot explain clips: it looks at single pictures; choose a method of a layer's activations and "
            "gradients, such as hirescam, gradcam, gradcampp, layercam, eigencam or ablationcam"
        )


def _usual(inputs: Inputs) -> Inputs:
    """The inputs as tensors that a graph can use, and that a model's operations can be followed from, also where they were made under ``inference_mode``."""
    return inputs.with_tensor(inputs.tensor.clone()) if inputs.tensor.is_inference() else inputs


def _maps(
    kept: Observation, rerun: ViewRerun, prediction: Prediction, methods: Sequence[Method], how: Fuse, *, auto: bool
) -> tuple[tuple[LayerMap, ...], tuple[str, ...]]:
    """Each method's map, by patches where that is exact and the layers were left to the adapter."""
    quick, notes = own_level_maps(rerun, kept.recording.raw, prediction, methods) if auto else ({}, ())
    rest = [m for i, m in enumerate(methods) if i not in quick]
    slow, more = method_maps(kept, rerun, rest, how) if rest else ((), ())
    remaining = iter(slow)
    maps = tuple(quick[i] if i in quick else next(remaining) for i in range(len(methods)))
    return maps, tuple(dict.fromkeys((*notes, *more, *kept.recording.notes, *rerun.notes)))


@dataclass(frozen=True, eq=False)
class Observation:
    """One forward pass with everything that the methods need from it, graph attached.

    Args:
        recording: the target layers, the biases. attention: every self-attention, if any method reads it.
        refs, layouts: of the target layers. needs: of all methods together.
        fields: where the cells of the recording's ``calls``, and then of its ``every``, lie.
    """

    recording: Recording
    attention: tuple[AttentionCall, ...]
    refs: tuple[LayerRef, ...]
    layouts: tuple[Layout, ...]
    fields: tuple[Field | None, ...]
    needs: frozenset[str]

    @property
    def has_graph(self) -> bool:
        return bool(self.needs & WITH_GRAPH)


def observe(view: View, inputs: Inputs, methods: Sequence[Method], refs: tuple[LayerRef, ...]) -> Observation:
    """Run the model once and keep what the methods need."""
    needs: frozenset[str] = frozenset().union(*(m.needs for m in methods))
    graph = bool(needs & WITH_GRAPH)
    every = bias_layers(view.model) if "bias" in needs else ()
    if "attention_own_gradient" in needs:
        every = (*every, *resolve(view.model, list(token_reader(view).blocks)))
    listening = any(need.startswith("attention") for need in needs)
    listener: AbstractContextManager[list[AttentionCall]] = (
        recorded_attention(view.model, gradient=graph) if listening else nullcontext([])
    )
    with (
        listener as attention,
        following(view.model, inputs.tensor, [f"{ref.name}@{ref.call or 0}" for ref in (*refs, *every)]) as place,
    ):
        recording = record(view.model, partial(view.run, inputs), refs, every_call=every, gradient=graph)
    for call in recording.calls:
        place(f"{call.layer.name}@{call.index}", call.output)  # before the layouts, which ask what was followed
    layouts = tuple(view.layout(call.layer.name, call.output, inputs) for call in recording.calls)
    lying = (*layouts, *(Layout() for _ in recording.every))
    fields = tuple(
        place(f"{call.layer.name}@{call.index}", call.output, dims=layout.cell_dims, grid=layout.cells)
        for call, layout in zip((*recording.calls, *recording.every), lying, strict=True)
    )
    calls = tuple(global_attention(attention, layouts[-1], inputs)) if listening else ()
    return Observation(recording, calls, refs, layouts, fields, needs)


def token_reader(view: View) -> TokenReader:
    """The view, if it can read a score from the tokens behind any block."""
    if not isinstance(view, TokenReader):
        raise MethodError(
            f"LeGrad asks every block for its own score, and the adapter of {view.name} cannot read a score from the tokens "
            "behind a block; use legrad_final, which takes the model's score for all blocks"
        )
    return view


def method_maps(
    kept: Observation, rerun: ViewRerun, methods: Sequence[Method], how: Fuse
) -> tuple[tuple[LayerMap, ...], tuple[str, ...]]:
    """Each method's fused map of every target, and what a person should know about them."""
    parts: list[tuple[LayerMap, ...]] = []
    notes: list[str] = []
    turns = _turns(kept, rerun.targets)
    for number, index in enumerate(turns):
        trace = _trace(kept, rerun.take(index), keep=number < len(turns) - 1)
        if "gradient" in kept.needs:
            notes += [n for n in _silent_layers(trace) if n not in notes]
        parts.append(tuple(_none_or(method, trace, how) for method in methods))
    order = torch.argsort(torch.cat(turns))
    return tuple(_join(turn, order) for turn in zip(*parts, strict=True)), (*_lost_layers(kept), *notes)


def _none_or(method: Method, trace: Trace, how: Fuse) -> LayerMap:
    """The method's map; where there is no target, no map on the last layer's grid, and the method is not asked."""
    if len(trace):
        return fuse(list(method(trace)), how)
    last = trace.layers[-1]
    return last.map_of(last.activation[:, 0])


def _turns(kept: Observation, targets: Targets) -> list[Int[Tensor, " n"]]:
    """The targets in groups whose gradients fit in memory together.

    Methods that compare the targets of a picture see all of them, unless one picture's alone are too many.
    """
    if not kept.has_graph:
        return [torch.arange(len(targets))]
    tensors = [c.output for c in (*kept.recording.calls, *kept.recording.every)] + [
        a.probabilities for a in kept.attention
    ]
    largest = sum(t[0].numel() for t in tensors)
    most = max(1, CHUNK // largest)
    turns: list[list[Tensor]] = [[]]
    for picture in targets.picture.unique().tolist():
        for part in torch.nonzero(targets.picture == picture).flatten().split(most):
            if turns[-1] and sum(map(len, turns[-1])) + len(part) > most:
                turns.append([])
            turns[-1].append(part)
    return [torch.cat(turn) if turn else torch.arange(0) for turn in turns]


def _trace(kept: Observation, rerun: ViewRerun, *, keep: bool) -> Trace:
    targets, inputs, recording = rerun.targets, rerun.inputs, kept.recording
    picture = targets.picture.cpu()
    n_layers, n_every = len(recording.calls), len(recording.every)
    own = "attention_own_gradient" in kept.needs
    grads: list[Tensor] = []
    if kept.has_graph and len(targets):
        also = [*(c.output for c in recording.every), *(a.probabilities for a in kept.attention)]
        grads = recording.gradients(targets.scores, picture, also=also, keep_graph=keep or own)
    layers = []
    for i, (call, layout) in enumerate(zip(recording.calls, kept.layouts, strict=True)):
        activation = rows_of(layout.to_grid(call.output.detach()), picture)
        grad = layout.to_grid(grads[i]) if grads else None
        frame = layout.frame(inputs, (activation.shape[-2], activation.shape[-1]), kept.fields[i])[picture]
        time = layout.time_axis(inputs, activation.shape[2], kept.fields[i])
        layers.append(LayerTrace(str(call), activation, grad, frame, time))
    every = slice(n_layers, n_layers + n_every)
    biases = bias_traces(recording.every, grads[every], kept.fields[every], inputs, picture) if grads else ()
    attention: tuple[AttentionTrace, ...] = ()
    if kept.attention:
        attention = attention_traces(
            kept.attention,
            kept.layouts[-1],
            inputs,
            picture,
            field=kept.fields[n_layers - 1],
            gradients=grads[n_layers + n_every :] if grads else None,
            own_gradients=_own_gradients(kept, rerun) if own and len(targets) else None,
        )
    return Trace(
        targets.scores.detach().float(), picture, inputs, tuple(layers), attention=attention, rerun=rerun, biases=biases
    )


def _own_gradients(kept: Observation, rerun: ViewRerun) -> list[Float[Tensor, "t a n n"]]:
    reader, targets = token_reader(rerun.view), rerun.targets
    behind = {call.layer.name: call.output for call in kept.recording.every}
    rows = targets.picture.cpu()

    def read(tokens: Float[Tensor, "b n d"]) -> Float[Tensor, " t"]:
        inputs = rerun.inputs.take(rows)
        prediction = reader.read_tokens(tokens[rows.to(tokens.device)], inputs)
        return targets.read(prediction, torch.arange(len(targets)))

    return own_score_gradients(kept.attention, [behind[name] for name in reader.blocks], read, rows)


def rows_of(values: Float[Tensor, "b c *m h w"], picture: Int[Tensor, " t"]) -> Float[Tensor, "t c *m h w"]:
    """``values[picture]`` without copying where every picture has one target or there is one picture."""
    if torch.equal(picture, torch.arange(len(values))):
        return values
    if len(values) == 1:
        return values.expand(len(picture), *values.shape[1:])
    return values[picture.to(values.device)]


def _lost_layers(kept: Observation) -> list[str]:
    """Layers whose cells could be somewhat beside where they are drawn."""
    lost = [
        str(c)
        for c, layout, field in zip(kept.recording.calls, kept.layouts, kept.fields, strict=False)
        if field is None and not layout.declared
    ]
    said = "where the cells of {} lie could not be followed through the network's operations; they are taken to be spread evenly over the input"
    return [said.format(", ".join(lost))] if lost else []


def _silent_layers(trace: Trace) -> list[str]:
    """Layers at which every gradient is exactly 0: the score reads them through something else, or not at all."""
    silent = [
        layer.name
        for layer in trace.layers
        if layer.gradient is not None and len(trace) and not bool(layer.gradient.any())
    ]
    if len(silent) == len(trace.layers) and silent:
        raise MethodError(
            f"the gradient at {', '.join(silent)} is exactly 0 in every cell, so there is nothing to show: the score does not read "
            "these cells (behind the last attention a transformer reads only the class token); choose an earlier layer"
        )
    return [f"the gradient at {name} is exactly 0 for this score: the layer adds nothing to the map" for name in silent]


def _join(maps: Sequence[LayerMap], order: Tensor) -> LayerMap:
    """The turns' maps as one batch, its rows in the ``order`` of the targets."""
    if len(maps) == 1 and torch.equal(order, torch.arange(len(order))):
        return maps[0]
    values = torch.cat([m.values for m in maps])
    frame = Frame.cat([m.frame for m in maps])[order]
    return LayerMap(maps[0].name, values[order.to(values.device)], frame, time=maps[0].time)
