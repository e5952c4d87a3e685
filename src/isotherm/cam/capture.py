"""Capture: one forward pass -> a frozen Recording of what the target layers put out, call by call.

Peers pair activations with gradients by the order in which hooks happen to fire, so a module that runs
twice, or a layer off the path to the score, silently shifts gradients to other layers. Here every call is
kept by its identity, its output tensor, and gradients are asked for that very tensor.

The graph starts at the first target layer: before it the model runs without gradients, behind it they stay on, whatever
blocks of ``no_grad`` or ``inference_mode`` the model itself opens and closes (``grad_mode.py``). Gradients come from
``torch.autograd.grad`` for the recorded tensors only, so no parameter's ``.grad`` is touched and no weight
gradient is computed, which is where two thirds of the usual time goes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from isotherm.cam.outputs import tensors_by_path
from isotherm.errors import AdapterError, LayerError
from isotherm.relevance.breaks import Break, layer_advice
from isotherm.relevance.grad_mode import GradientKeeper, differentiate, gradients_kept, resting
from isotherm.relevance.modules import LayerRef, exact_batch_norm, modules_of


@dataclass(frozen=True, eq=False)
class Call:
    """One call of one target layer: its raw output, the node of the graph that gradients are taken at."""

    layer: LayerRef
    index: int
    output: Tensor

    def __str__(self) -> str:
        return str(self.layer)


@dataclass(frozen=True, eq=False)
class Recording:
    """What one forward pass left: the model's raw output and the chosen calls, in the order of the layers asked for.

    ``every`` holds all calls of the modules that were recorded without choosing among their calls, ``breaks`` the steps
    at which the graph ended, ``notes`` what a person should know of the forward pass.
    """

    raw: Any
    calls: tuple[Call, ...]
    every: tuple[Call, ...] = ()
    breaks: tuple[Break, ...] = ()
    notes: tuple[str, ...] = ()

    def gradients(
        self,
        scores: Float[Tensor, " t"],
        picture: Int[Tensor, " t"],
        *,
        also: Sequence[Tensor] = (),
        keep_graph: bool = False,
        rows: Sequence[int] = (),
    ) -> list[Float[Tensor, "..."]]:
        """Gradient of each score at each call's output, row ``picture[i]`` for score i.

        Scores of different pictures do not mix (eval mode), so one backward pass serves one score per
        picture; several scores of one picture take as many passes over the retained graph.

        Args:
            scores: (t,) differentiable.
            picture: (t,) row of the batch that each score is about.
            also: further tensors of the graph (attention, outputs of ``every``); a tensor off the path gets zeros.
            keep_graph: keep it for another call.
            rows: how many rows of each call's output belong to a picture; one each unless given.

        Returns:
            One tensor per call and then one per tensor of ``also``, each with a leading dimension t, or
            t times the call's rows.

        Raises:
            LayerError: a layer has no path to the scores; the message names it.
        """
        if not scores.requires_grad:
            outputs = [call.output for call in self.calls]
            raise LayerError(
                f"the score has no gradient at layer {', '.join(map(str, self.calls))}: {layer_advice(self.breaks, outputs)}"
            )
        outputs = [*(call.output for call in self.calls), *also]
        each = [*(rows or [1] * len(self.calls)), *[1] * len(also)]
        rounds = _rounds(picture)
        parts: list[list[Tensor | None]] = []
        for number, members in enumerate(rounds):
            last = number == len(rounds) - 1
            grads = differentiate(
                scores[members.to(scores.device)].sum(), outputs, retain_graph=keep_graph or not last, allow_unused=True
            )
            parts.append(
                [None if g is None else _of_pictures(g, picture[members], n) for g, n in zip(grads, each, strict=True)]
            )
        off_path = [c for i, c in enumerate(self.calls) if all(p[i] is None for p in parts)]
        if off_path:
            why = layer_advice(self.breaks, [c.output for c in off_path])
            raise LayerError(f"layer {', '.join(map(str, off_path))} has no path to what is explained: {why}")
        order = torch.argsort(torch.cat(list(rounds)))
        gathered = []
        for i, output in enumerate(outputs):
            rows_of = [
                output.new_zeros(len(m) * each[i], *output.shape[1:]) if g is None else g
                for m, g in ((m, p[i]) for m, p in zip(rounds, parts, strict=True))
            ]
            gathered.append(rows_of[0] if len(rows_of) == 1 else _of_pictures(torch.cat(rows_of), order, each[i]))
        return gathered


def _of_pictures(values: Tensor, picture: Tensor, rows: int) -> Tensor:
    """The rows of some pictures, each of which has ``rows`` of them, one after another."""
    picture = picture.to(values.device)
    return values[picture] if rows == 1 else values.unflatten(0, (-1, rows))[picture].flatten(0, 1)


def _rounds(picture: Tensor) -> list[Tensor]:
    """Indices of the scores, in groups that hold each picture at most once."""
    picture = picture.cpu()
    rank = torch.zeros_like(picture)
    seen: dict[int, int] = {}
    for i, p in enumerate(picture.tolist()):
        rank[i] = seen.get(p, 0)
        seen[p] = seen.get(p, 0) + 1
    return [torch.nonzero(rank == r).flatten() for r in range(int(rank.max()) + 1)] if len(picture) else []


def original_module(model: nn.Module) -> nn.Module:
    """The eager module inside compiled and data-parallel wrappers; hooks on the wrapper would not fire.

    Raises AdapterError for models whose layers cannot be explained: traced or quantised ones.
    """
    while True:
        if isinstance(model, torch.jit.ScriptModule):
            raise AdapterError("a TorchScript model has no Python modules to look into; load the original nn.Module")
        if hasattr(model, "_orig_mod"):
            model = model._orig_mod  # type: ignore[assignment]
        elif isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
            model = model.module
        else:
            break
    for name, module in model.named_modules():
        if "quantized" in type(module).__module__:
            raise AdapterError(
                f"layer {name or type(module).__name__} is quantised ({type(module).__name__}), and integer arithmetic has no gradient; "
                "explain the float model it was made from"
            )
    return model


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """The model in eval mode; afterwards every module has the train/eval flag that it had, also after an exception."""
    flags = [(module, module.training) for module in modules_of(model)]
    if not any(flag for _, flag in flags):
        yield
        return
    try:
        model.eval()
        yield
    finally:
        for module, flag in flags:
            module.training = flag


@contextmanager
def replaced(
    refs: Sequence[LayerRef],
    replace: Callable[[int, int, Tensor], Tensor | None],
    *,
    partly: dict[str, None] | None = None,
) -> Iterator[None]:
    """Hooks on the layers' outputs: ``replace(layer, call, output)`` sees each and may put another in its place.

    A layer that returns several tensors is seen by the first of them, or where that is no grid by the first that may
    be.

    Args:
        partly: takes a line for each layer of which that is not all.
    """
    counts = [0] * len(refs)

    def make(i: int):
        def hook(_module, _args, output):
            call, counts[i] = counts[i], counts[i] + 1
            first, rebuild = _first_tensor(output, refs[i])
            if partly is not None and len(maps := maps_in(output)) > 1:
                line = f"layer {refs[i].name} puts out {len(maps)} maps, and what is explained is the first; choose a layer inside that puts out another one"
                partly[line] = None
            elif partly is not None and (line := _passed_over(output, first, refs[i].name)):
                partly[line] = None
            new = replace(i, call, first)
            return None if new is None else rebuild(new)

        return hook

    with ExitStack() as stack:
        for i, ref in enumerate(refs):
            # in front of hooks that hand the output on by another way, as transformers' backbones collect their stages
            stack.callback(ref.module.register_forward_hook(make(i), prepend=True).remove)
        yield


def record(
    model: nn.Module,
    run: Callable[[], Any],
    layers: Sequence[LayerRef],
    *,
    every_call: Sequence[LayerRef] = (),
    gradient: bool = True,
) -> Recording:
    """Run the model once and keep what the target layers put out.

    Args:
        model: the module that is put in eval mode meanwhile.
        run: the forward pass, without arguments.
        layers: what to record, one call each.
        every_call: layers all of whose calls are kept as well.
        gradient: keep the graph from the first of them on.

    Raises:
        LayerError: a layer did not run, or ran several times and none was chosen, or no graph can begin at it.
    """
    refs = [*layers, *every_call]
    partly: dict[str, None] = {}
    raw, outputs, keeper = _run(model, run, refs, gradients_kept(model) if gradient else nullcontext(), partly)
    if keeper is not None and keeper.missed:
        raw, outputs, keeper = _run(model, run, refs, gradients_kept(model, early=True), partly)
    chosen = tuple(_choose(ref, outs) for ref, outs in zip(layers, outputs[: len(layers)], strict=True))
    every = tuple(
        Call(ref, i, out)
        for ref, outs in zip(every_call, outputs[len(layers) :], strict=True)
        for i, out in enumerate(outs)
    )
    if keeper is None:
        return Recording(raw, chosen, every, notes=tuple(partly))
    return Recording(raw, chosen, every, keeper.breaks, (*keeper.notes, *partly))


def _run(
    model: nn.Module,
    run: Callable[[], Any],
    refs: Sequence[LayerRef],
    kept: AbstractContextManager[GradientKeeper | None],
    partly: dict[str, None],
) -> tuple[Any, list[list[Tensor]], GradientKeeper | None]:
    """The raw output of one forward pass and what each layer put out, call by call."""
    outputs: list[list[Tensor]] = [[] for _ in refs]

    def keep(i: int, call: int, output: Tensor) -> Tensor | None:
        if keeper is None:
            outputs[i].append(_usual(output.detach()))
            return None
        keeper.begin(str(refs[i]))
        output = _usual(output)
        if not output.requires_grad:
            with resting(keeper):  # a step of ours, not of the model
                output = output.detach().requires_grad_()
        outputs[i].append(output)
        # what follows gets a copy: an in-place ReLU or residual sum must not rewrite the record
        return output.clone()

    exact = nullcontext() if isinstance(kept, nullcontext) else exact_batch_norm(model)
    hooks = replaced(refs, keep, partly=partly)
    with torch.inference_mode(False), torch.no_grad(), evaluating(model), exact, kept as keeper, hooks:
        raw = run()
    return raw, outputs, keeper


def _usual(output: Tensor) -> Tensor:
    """A tensor that a graph can use, also where the model made it under ``inference_mode``."""
    if not output.is_inference():
        return output
    with torch.inference_mode(False):
        return output.clone()


def _choose(ref: LayerRef, outputs: list[Tensor]) -> Call:
    if not outputs:
        raise LayerError(f"layer {ref.name} did not run in this forward pass; choose a layer that does")
    if ref.call is None:
        if len(outputs) > 1:
            names = ", ".join(f"{ref.name}@{i}" for i in range(len(outputs)))
            raise LayerError(f"layer {ref.name} ran {len(outputs)} times in one forward pass; choose one call: {names}")
        return Call(ref, 0, outputs[0])
    if ref.call >= len(outputs):
        raise LayerError(f"layer {ref} does not exist: {ref.name} ran {len(outputs)} time(s), numbered from 0")
    return Call(ref, ref.call, outputs[ref.call])


def maps_in(output: Any) -> list[Tensor]:
    """The tensors of four dimensions that a layer puts out beside each other; none of one that puts out one tensor."""
    if isinstance(output, Tensor):
        return []
    return [t for _, t in tensors_by_path(output) if t.ndim == 4 and t.is_floating_point()]


def _place(parts: Mapping[Any, Any]) -> Any:
    """Which of several outputs is looked at: the first tensor if it may be a grid, else the first that may be; None
    where there is no tensor.
    """
    tensors = {key: value for key, value in parts.items() if isinstance(value, Tensor)}
    first = next(iter(tensors), None)
    grids = (key for key, value in tensors.items() if value.ndim >= 3 and value.is_floating_point())
    return next(grids, first)


def _passed_over(output: Any, explained: Tensor, name: str) -> str:
    """That a layer's first output is no grid and another one is explained, in words; nothing where it is the first."""
    tensors = [] if isinstance(output, Tensor) else [t for _, t in tensors_by_path(output)]
    if not tensors or tensors[0] is explained:
        return ""
    place = next(i for i, t in enumerate(tensors) if t is explained)
    return f"layer {name} puts out {len(tensors)} tensors, and what is explained is number {place + 1}, the first that may be a grid"


def _first_tensor(output: Any, ref: LayerRef) -> tuple[Tensor, Callable[[Tensor], Any]]:
    if isinstance(output, Tensor):
        return output, lambda new: new
    if isinstance(output, tuple | list) and (at := _place(dict(enumerate(output)))) is not None:

        def rebuild_list(new: Tensor) -> Any:
            parts = [*output[:at], new, *output[at + 1 :]]
            return type(output)(*parts) if hasattr(output, "_fields") else type(output)(parts)

        return output[at], rebuild_list
    if isinstance(output, dict) and (key := _place(output)) is not None:

        def rebuild(new: Tensor) -> Any:
            copy = output.copy()
            copy[key] = new
            return copy

        return output[key], rebuild
    raise LayerError(
        f"layer {ref.name} puts out a {type(output).__name__}, not a tensor; choose one of its inner layers"
    )
