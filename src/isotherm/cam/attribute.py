"""From a view, pictures, a score and methods to maps: the one place where the parts of ``cam`` meet.

One forward pass and one backward pass serve every gradient method. All findings of a detector that were each made on
one level of features come from one batch of patches, where that is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Int
from torch import Tensor, nn

from isotherm.cam.locality import Refused
from isotherm.cam.maps import Maps
from isotherm.cam.nonfinite import check_answer, check_maps, check_scores, examined
from isotherm.cam.observation import Observation, observe, trace_of
from isotherm.cam.outputs import how_to_read, words_of
from isotherm.cam.patches import PatchPlan, join_maps, level_map, patch_gradients
from isotherm.cam.reading import read_prediction
from isotherm.cam.rerun import ViewRerun
from isotherm.cam.scores import ClassLogit, Detection, MapValue, SegmentationMask
from isotherm.cam.scores.most import most_confident
from isotherm.cam.trace import Fuse, LayerMap, Targets, Trace, fuse
from isotherm.cam.view import Classification, Detections, Inputs, Prediction, RawOutput, View
from isotherm.errors import MethodError, TargetError
from isotherm.frame import Frame
from isotherm.relevance.alone import alone
from isotherm.relevance.method import LayerMethod, Method, check_explains, needs_of
from isotherm.relevance.modules import LayerRef, resolve
from isotherm.relevance.score import Score

Layers = str | nn.Module | Sequence[str | nn.Module]

CHUNK = 1 << 27
"""Most values of one layer's gradients held at once; more targets than fit are explained in turns."""


@dataclass(frozen=True, eq=False)
class Attribution:
    """What was explained and the maps of it.

    Args:
        prediction: what the model said.
        targets: the scores explained.
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


Early = Callable[[Attribution, Sequence[int]], None]
"""Is given the maps of some methods while others are still at work, and the places of these methods among all."""


def default_score(prediction: Prediction) -> Score:
    """The likeliest class of a classifier, every finding of a detector, the largest class of a segmenter, every map of
    a model that puts out maps.

    Raises:
        TargetError: nobody knows what a model's output means; the message says what it looks like.
    """
    if isinstance(prediction, RawOutput):
        raise TargetError(f"{prediction.model} put out {words_of(prediction.raw)}; {how_to_read(prediction.raw)}")
    if isinstance(prediction, Classification):
        return ClassLogit()
    if isinstance(prediction, Maps):
        return MapValue()
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
    most: int | None = None,
    early: Early | None = None,
) -> Attribution:
    """Explain a batch.

    Args:
        view: the model.
        inputs: from ``view.prepare``.
        methods: one or more; gradient methods share one forward and one backward pass.
        score: what to explain; :func:`default_score` of the prediction if None.
        layers: target layers, or ``auto`` for the adapter's choice.
        how: how several layers become one map.
        most: of a detector's findings, the most confident of each picture; None for all.
        early: called whenever a further method is done and others are not, with the finite maps that there are by then;
            never where there are too many targets for one pass. What it raises ends the explanation.

    Raises:
        LayerError, TargetError, MethodError: see their places.
        NonFiniteError: the input, the answer, a score or a map holds NaN or infinity; the message says where that
            begins.
    """
    if not methods:
        raise MethodError("no method was given; pass at least one, such as hirescam")
    check_methods(inputs, methods)
    inputs, refs = _usual(inputs), target_layers(view, layers)
    with alone(view.model), examined(view, inputs):
        kept = observe(view, inputs, needs_of(methods), refs)
        prediction = read_prediction(view, kept.recording.raw, inputs)
        check_answer(view, inputs, kept.recording.raw, prediction)
        chosen = score or default_score(prediction)
        targets = chosen(prediction, inputs)
        if not isinstance(targets, Targets):
            raise TargetError(
                f"the score {type(chosen).__name__} gave a {type(targets).__name__}; expected isotherm.cam.scores.Targets"
            )
        targets, fewer = most_confident(targets, chosen, most)
        check_scores(view, inputs, targets)
        rerun = ViewRerun(view, inputs, targets, kept.refs, kept.layouts)

        def tell(done: Mapping[int, LayerMap]) -> None:
            if early is not None and len(targets) and all(bool(m.values.isfinite().all()) for m in done.values()):
                places = sorted(done)
                maps = tuple(done[i] for i in places)
                early(Attribution(prediction, targets, maps, kept.layers, (), rerun), places)

        maps, notes = _maps(kept, rerun, prediction, methods, how, auto=is_auto(layers), tell=tell)
        check_maps(
            rerun,
            maps,
            methods,
            lambda other, method: method_maps(observe(view, inputs, method.needs, refs), other, [method], how),
        )
    return Attribution(prediction, targets, maps, kept.layers, notes if fewer is None else (fewer, *notes), rerun)


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
        inputs: one row per target, in the order of the targets.
        targets: what :func:`attribute` chose; findings are read again at their pins.
    """
    if targets.alone and len(targets) > 1:
        rows = [torch.tensor([i]) for i in range(len(targets))]
        parts = [
            attribute_again(view, inputs.take(row), targets.take(row), methods=methods, layers=layers, how=how)
            for row in rows
        ]
        everyone, notes = torch.arange(len(targets)), (note for _, some in parts for note in some)
        maps = zip(*(some for some, _ in parts), strict=True)
        return tuple(_join(same, everyone) for same in maps), tuple(dict.fromkeys(notes))
    inputs = _usual(inputs)
    kept = observe(view, inputs, needs_of(methods), target_layers(view, layers))
    raw = kept.recording.raw
    prediction = read_prediction(view, raw, inputs, targets.pins)
    everyone = torch.arange(len(targets))
    again = replace(
        targets,
        scores=targets.read(prediction, everyone),
        picture=everyone,
        rows=None if targets.rows is None else everyone,
    )
    rerun = ViewRerun(view, inputs, again, kept.refs, kept.layouts)
    return _maps(kept, rerun, prediction, methods, how, auto=is_auto(layers))


def check_methods(inputs: Inputs, methods: Sequence[Method]) -> None:
    """Raises MethodError for methods that do not explain what the inputs are, pictures or clips."""
    if inputs.timelines:
        advice = (
            "it looks at single pictures; choose a method of a layer's activations and "
            "gradients, such as hirescam, gradcam, gradcampp, layercam, eigencam or ablationcam"
        )
        check_explains(methods, "clips", advice)
    else:
        check_explains(
            methods, "pictures", "choose a method of isotherm.methods that explains pictures, such as hirescam"
        )


def _usual(inputs: Inputs) -> Inputs:
    """The inputs as tensors that a graph can use, and that a model's operations can be followed from, also where they
    were made under ``inference_mode``.
    """
    return inputs.with_tensor(inputs.tensor.clone()) if inputs.tensor.is_inference() else inputs


def _maps(
    kept: Observation,
    rerun: ViewRerun,
    prediction: Prediction,
    methods: Sequence[Method],
    how: Fuse,
    *,
    auto: bool,
    tell: Callable[[Mapping[int, LayerMap]], None] | None = None,
) -> tuple[tuple[LayerMap, ...], tuple[str, ...]]:
    """Each method's map, by patches where that is exact and the layers were left to the adapter."""
    quick, notes = own_level_maps(rerun, kept.recording.raw, prediction, methods) if auto else ({}, ())
    slower = [i for i in range(len(methods)) if i not in quick]
    rest = [methods[i] for i in slower]

    def some(done: Sequence[LayerMap]) -> None:
        if tell is not None:
            tell({**quick, **dict(zip(slower, done, strict=False))})

    if quick and rest:
        some(())
    slow, more = method_maps(kept, rerun, rest, how, some) if rest else ((), ())
    remaining = iter(slow)
    maps = tuple(quick[i] if i in quick else next(remaining) for i in range(len(methods)))
    return maps, tuple(dict.fromkeys((*notes, *more, *kept.recording.notes, *rerun.notes)))


def method_maps(
    kept: Observation,
    rerun: ViewRerun,
    methods: Sequence[Method],
    how: Fuse,
    some: Callable[[Sequence[LayerMap]], None] | None = None,
) -> tuple[tuple[LayerMap, ...], tuple[str, ...]]:
    """Each method's fused map of every target, and what a person should know about them.

    Args:
        some: is given the first maps, whenever there is another one and it is not the last; where one turn does.
    """
    parts: list[tuple[LayerMap, ...]] = []
    notes: list[str] = []
    turns = _turns(kept, rerun.targets)
    for number, index in enumerate(turns):
        everyone = len(turns) == 1 and torch.equal(index, torch.arange(len(index)))
        trace = trace_of(kept, rerun if everyone else rerun.take(index), keep=number < len(turns) - 1)
        if "gradient" in kept.needs:
            notes += [n for n in _silent_layers(trace) if n not in notes]
        part: list[LayerMap] = []
        for method in methods:
            part.append(_none_or(method, trace, how))
            if some is not None and len(turns) == 1 and len(part) < len(methods):
                some([_join([one], torch.argsort(index)) for one in part])
        parts.append(tuple(part))
    order = torch.argsort(torch.cat(turns))
    return tuple(_join(turn, order) for turn in zip(*parts, strict=True)), (*_lost_layers(kept), *kept.moved, *notes)


def _none_or(method: Method, trace: Trace, how: Fuse) -> LayerMap:
    """The method's map; where there is no target, no map on the last layer's grid, and the method is not asked."""
    if len(trace):
        return fuse(_maps_of(method, trace), how)
    last = trace.layers[-1]
    return last.map_of(last.activation[:, 0])


def _maps_of(method: Method, trace: Trace) -> list[LayerMap]:
    """What a method gives, if it is maps; somebody's own method may give anything."""
    maps = method(trace)
    expected = "expected a list with a map for each layer, as layer.map_of(values) makes them"
    if not isinstance(maps, Sequence) or not maps or not all(isinstance(one, LayerMap) for one in maps):
        what = "an empty list" if isinstance(maps, Sequence) and not maps else f"a {type(maps).__name__}"
        raise MethodError(f"the method {method.name} gave {what}; {expected}")
    for one in maps:
        if not isinstance(one.values, Tensor) or not one.values.is_floating_point():
            kind = one.values.dtype if isinstance(one.values, Tensor) else type(one.values).__name__
            raise MethodError(f"the values of the method {method.name} at {one.name} are {kind}; expected real numbers")
        moments = 0 if one.time is None else 1
        if one.values.ndim != 3 + moments or len(one.values) != len(trace):
            raise MethodError(
                f"the values of the method {method.name} at {one.name} have shape {tuple(one.values.shape)}; expected "
                f"({len(trace)}, {'moments, ' * moments}h, w): a map for each target, without channels"
            )
    return list(maps)


def _turns(kept: Observation, targets: Targets) -> list[Int[Tensor, " n"]]:
    """The targets in groups whose gradients fit in memory together.

    Methods that compare the targets of a picture see all of them, unless one picture's alone are too many.
    """
    if not kept.has_graph or len(targets) < 2:
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


def _lost_layers(kept: Observation) -> list[str]:
    """Layers whose cells could be somewhat beside where they are drawn."""
    lost = [
        str(c)
        for c, layout, field in zip(kept.recording.calls, kept.layouts, kept.fields, strict=False)
        if field is None and not layout.declared
    ]
    note = "where the cells of {} lie could not be followed through the network's operations; they are taken to be spread evenly over the input"
    return [note.format(", ".join(lost))] if lost else []


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


@runtime_checkable
class PatchedView(Protocol):
    """A view of a detector whose findings are each made on one level of features, from a few cells."""

    def patch_plan(self, raw: Any, prediction: Prediction, targets: Targets) -> PatchPlan | Refused:
        """How to explain targets of a prediction by patches, or why that is not exact."""
        ...


def own_level_maps(
    rerun: ViewRerun, raw: Any, prediction: Prediction, methods: Sequence[Method]
) -> tuple[dict[int, LayerMap], tuple[str, ...]]:
    """Maps of all findings from one batch of patches through the head, by position in ``methods``.

    Serves gradient methods of views whose findings are each made on one level of features; each finding is explained
    at that level. Where that is not exact nothing comes back but a note that says why.
    """
    view, targets, inputs = rerun.view, rerun.targets, rerun.inputs
    local: dict[int, LayerMethod] = {
        i: m for i, m in enumerate(methods) if isinstance(m, LayerMethod) and m.uses_gradient
    }
    if not isinstance(view, PatchedView) or not local or not len(targets):
        return {}, ()
    plan = view.patch_plan(raw, prediction, targets)
    gradients = plan if isinstance(plan, Refused) else patch_gradients(plan)
    if isinstance(plan, Refused) or isinstance(gradients, Refused):
        reason = gradients.reason if isinstance(gradients, Refused) else ""
        return {}, (f"explained one finding at a time, through all layers at once, because {reason}",)
    members = [g.group.targets for g in gradients]
    maps = {i: join_maps([level_map(g, m, inputs) for g in gradients], members, plan.count) for i, m in local.items()}
    named = {i: replace(m, name=f"own level of {m.name}") for i, m in maps.items()}
    return named, ("each finding is explained at the level of features that it was made on, all of them in one pass",)
