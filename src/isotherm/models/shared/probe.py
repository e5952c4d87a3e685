"""What running a model shows of its layers: where their cells lie, and which one to explain where nobody described the
architecture.

The layer wanted is the last one that still has one cell per image region *and* whose every cell the answer
depends on. The second half is what peers leave out: behind the last block of a transformer that reads its class
token, the patches' gradient is exactly zero, and a map of it is noise. Whether an output's positions are regions at
all is proved and not read off its shape (:mod:`isotherm.models.shared.squares`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from isotherm.cam.capture import evaluating, record, replaced
from isotherm.cam.receptive import Follower, followed_dims
from isotherm.cam.view import Inputs, LayerChoice, Layout
from isotherm.errors import LayerError, ShapeError
from isotherm.frame import Size
from isotherm.models.shared.cancelling import cancels
from isotherm.models.shared.grid_choice import LastGrid, choice_of
from isotherm.models.shared.grids import NotDeclaredError, followed_layout
from isotherm.models.shared.idle import why_idle
from isotherm.models.shared.noise import noise_inputs
from isotherm.models.shared.squares import Run, moved, readings
from isotherm.relevance.grad_mode import differentiate
from isotherm.relevance.modules import LayerRef, resolve

TRIED = 12
"""How many layers from the end are tried; behind the last grid there are rarely more than two without gradient."""

Answer = Callable[[Any], Tensor]
Declare = Callable[[str, Tensor, Inputs], Layout]
Candidate = tuple[LayerRef, tuple[int, int]]
"""A layer and the (h, w) of its grid."""
Among = Callable[[Sequence[Candidate]], Sequence[Candidate]]

_proved: WeakKeyDictionary[nn.Module, dict[tuple[str, Size | None], Layout]] = WeakKeyDictionary()


class Places:
    """The layouts of one model's layers, each declared, followed or proved, and proved once.

    Args:
        model: whose layers are asked about.
        run: its forward pass.
        declare: what modules and arithmetic say of a layer's output; raises LayerError where it is no grid or not
            declared.
    """

    def __init__(self, model: nn.Module, run: Run, declare: Declare) -> None:
        self.model, self.run, self.declare = model, run, declare
        self.trusted: frozenset[str] = frozenset()
        """Layers of families that are known, whose declared layout needs no proof."""
        self._known = _proved.setdefault(model, {})

    def remember(self, name: str, layout: Layout, size: Size) -> None:
        """Keep a layout that was proved; the order of a map's dimensions holds for inputs of any size."""
        self._known[name, size if layout.order == "tokens" else None] = layout

    def layout(self, name: str, output: Tensor, inputs: Inputs) -> Layout:
        """How the output of a layer lies over the input.

        Declared tokens are taken as declared. The dimensions of a map are known where its cells were followed from the
        input; otherwise the square decides, once per layer.

        Raises:
            LayerError: no reading of the output as rows and columns is right.
        """
        size = (int(inputs.tensor.shape[-2]), int(inputs.tensor.shape[-1]))
        try:
            declared = self.declare(name, output, inputs)
        except NotDeclaredError:
            if output.shape[0] != len(inputs) or not any(True for _ in readings(output, size)):
                raise
            if (name, size) not in self._known:
                self._prove(name, inputs, [])
            proved = self._known.get((name, size))
            if (
                proved is None
                or proved.grid is None
                or proved.prefix + proved.grid[0] * proved.grid[1] != output.shape[1]
            ):
                raise
            return proved
        if name in self.trusted or declared.declared or declared.order == "tokens":
            return declared
        if (name, None) in self._known:
            return self._known[name, None]
        dims = followed_dims(self.model, name, size)
        if dims in ((1, 2), (2, 3)):
            return replace(declared, order="nchw" if dims == (2, 3) else "nhwc")
        self._prove(name, inputs, [declared])
        if (name, None) not in self._known:
            raise no_places(name, output, declared)
        return self._known[name, None]

    def _prove(self, name: str, inputs: Inputs, tried: list[Layout]) -> None:
        """Remember the reading that the square proves, if there is one."""
        reading = moved(self.model, self.run, inputs, {name: tried}).get(name)
        if reading is not None and reading.proved:
            self.remember(name, reading.layout, (int(inputs.tensor.shape[-2]), int(inputs.tensor.shape[-1])))


def no_places(name: str, output: Tensor, layout: Layout) -> LayerError:
    """The error of an output whose dimensions, read as rows and columns, are no places."""
    h, w = (output.shape[d] for d in layout.cell_dims)
    around = name.rpartition(".")[0]
    return LayerError(
        f"layer {name} puts out {tuple(output.shape)}: read as a map of {h} x {w} cells, what changes in it does not move along with a square that is "
        "moved over the input, so these are no places (heads x tokens, or channels); choose the block around it"
        + (f", such as {around}" if around else "")
    )


@dataclass(frozen=True, eq=False)
class _Output:
    """What a layer put out, which may be a grid.

    Args:
        layouts: ways to read it.
        sure: the first of them needs no proof.
        rank: of the layer in the order of execution.
    """

    ref: LayerRef
    shape: tuple[int, ...]
    layouts: list[Layout]
    sure: bool
    rank: int

    def grid(self, layout: Layout) -> tuple[int, int]:
        """(h, w) by one of its layouts."""
        y, x = layout.cell_dims
        return layout.grid or (self.shape[y], self.shape[x])


@torch.inference_mode(False)  # whatever the caller has on, this has gradients
def last_grid(
    places: Places, answer: Answer, inputs: Inputs, *, among: Among = lambda candidates: candidates
) -> LastGrid:
    """The last layer in order of execution with a grid of cells that all carry gradient.

    Args:
        places: the model and what is known of its layouts; what is proved on the way is remembered there.
        answer: raw output -> (b, ...) whose largest value per picture is explained.
        inputs: one picture.
        among: which of the grids, the last first, may be chosen; all unless given.

    Raises:
        LayerError: no layer of this model puts out a grid.
    """
    kind = type(places.model).__name__
    outputs, count = _outputs(places, inputs)
    if not outputs:
        raise LayerError(f"no layer of this {kind} puts out one cell per image region; name a layer yourself")
    unsure = {o.ref.name: o.layouts for o in outputs if not o.sure}
    proofs = moved(places.model, places.run, inputs, unsure) if unsure else {}
    right = [(o, o.layouts[0]) for o in outputs if o.sure or (o.ref.name in proofs and proofs[o.ref.name].proved)]
    right = [(o, layout if o.sure else proofs[o.ref.name].layout) for o, layout in right]
    # where nothing can be proved, what modules and arithmetic say is better than nothing, and is said to be no more
    # than that
    guessed = [(o, o.layouts[0]) for o in outputs if o.layouts[0].order != "tokens"]
    best: tuple[LastGrid, str, Layout] | None = None
    weak: tuple[LastGrid, str, Layout] | None = None
    cancelled: tuple[str, str] | None = None
    spoilt: LayerError | None = None
    most, passed_for_norms = 0.0, 0
    for proved, chosen in ((True, right), (False, guessed)):
        allowed = [str(ref) for ref, _ in among([(o.ref, o.grid(layout)) for o, layout in chosen])] if chosen else []
        for passed, (o, layout) in enumerate([pair for pair in chosen if str(pair[0].ref) in allowed][:TRIED]):
            try:
                alive, why = _alive(places, answer, inputs, o.ref, layout)
            except LayerError as error:  # the model writes over what the gradient needs
                spoilt = error
                continue
            without = passed - passed_for_norms
            grid = LastGrid(str(o.ref), o.grid(layout), without, not o.sure, proved, o.rank / count, alive, cancelled)
            if why:
                cancelled, passed_for_norms = (grid.name, why), passed_for_norms + 1
                weak = weak or (replace(grid, cancelled=cancelled), o.ref.name, layout)
            elif alive > most:
                most, best = alive, (grid, o.ref.name, layout)
            if alive == 1.0 and not why:
                break
        chosen_grid = best or weak
        if chosen_grid is not None:
            grid, name, layout = chosen_grid
            places.remember(name, layout, (int(inputs.tensor.shape[-2]), int(inputs.tensor.shape[-1])))
            return grid
    if spoilt is not None:
        raise LayerError(f"{spoilt}; name the layer too, as choosing one needs gradients") from spoilt
    none = (
        f"none of the last {TRIED} grids of this {kind} carries gradient of its answer; name an earlier layer yourself"
    )
    raise LayerError(why_idle(places.model, places.run, answer, inputs) or none)


def _alive(places: Places, answer: Answer, inputs: Inputs, ref: LayerRef, layout: Layout) -> tuple[float, str]:
    """The share of the layer's cells with gradient of the answer's largest value, and why its maps would be zero all
    the same.
    """
    recording = record(places.model, lambda: places.run(inputs), [ref])
    output = answer(recording.raw)
    if not output.requires_grad:
        return 0.0, ""
    scores = output.flatten(1).float().amax(1)
    activation = recording.calls[0].output
    (gradient,) = differentiate(scores.sum(), [activation], allow_unused=True)
    if gradient is None:
        return 0.0, ""
    cells = layout.to_grid(gradient)
    alive = float((cells != 0).any(1).float().mean())
    return alive, cancels(layout.to_grid(activation), cells) if alive else ""


def _outputs(places: Places, inputs: Inputs) -> tuple[list[_Output], int]:
    """Every module that ran once and may have put out a grid larger than one cell, the last first; and how many ran
    with more than one place.

    Of modules that put out the very same tensor (a stage and its last block) the outermost stands for all. Where every
    one ran several times, their calls on cells of this input are taken.
    """
    model, size = places.model, (int(inputs.tensor.shape[-2]), int(inputs.tensor.shape[-1]))
    ran: list[tuple[str, int, nn.Module, Tensor]] = []
    times: dict[str, int] = {}
    handles = []

    def hook_of(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, _args: Any, output: Any) -> None:
            times[name] = times.get(name, 0) + 1
            if (
                isinstance(output, Tensor)
                and output.ndim > 2
                and output[0].numel() > max(output.shape[1], output.shape[-1])
            ):
                ran.append((name, times[name] - 1, module, output))

        return hook

    follower = Follower(inputs.tensor)
    try:
        for name, module in model.named_modules():
            if name:
                handles.append(module.register_forward_hook(hook_of(name)))
        with torch.no_grad(), evaluating(model), follower:
            places.run(inputs)
    finally:
        for handle in handles:
            handle.remove()
    outputs: list[_Output] = []
    seen: set[int] = set()
    again: list[_Output] = []
    for rank, (name, call, module, output) in reversed(list(enumerate(ran, 1))):
        if id(output) in seen or output.shape[0] != len(inputs):
            continue
        layouts, sure = _ways(places, name, output, inputs, size, follower)
        if layouts and times[name] == 1:
            seen.add(id(output))
            outputs.append(_Output(LayerRef(name, module), tuple(output.shape), layouts, sure, rank))
        elif layouts and sure:
            again.append(_Output(LayerRef(name, module, call), tuple(output.shape), layouts, sure, rank))
    if again and not outputs:
        outputs = _of_this_input(places, inputs, again, {(n, call): out for n, call, _, out in ran})
    return outputs, len(ran)


def _of_this_input(
    places: Places, inputs: Inputs, calls: list[_Output], before: dict[tuple[str, int], Tensor]
) -> list[_Output]:
    """The calls whose output, which was another ``before``, changes with the input that is explained: a module may look
    at several inputs in turn.
    """
    other = inputs.with_tensor(noise_inputs(inputs, seed=1).tensor)
    changed: set[tuple[str, int]] = set()

    def see(i: int, call: int, output: Tensor) -> None:
        key = (refs[i].name, call)
        if key in before and not torch.equal(before[key], output):
            changed.add(key)

    refs = [LayerRef(o.ref.name, o.ref.module) for o in calls]
    with torch.no_grad(), evaluating(places.model), replaced(refs, see):
        places.run(other)
    return [o for o in calls if (o.ref.name, o.ref.call or 0) in changed]


def _ways(
    places: Places, name: str, output: Tensor, inputs: Inputs, size: tuple[int, int], follower: Follower
) -> tuple[list[Layout], bool]:
    """The layouts that an output may have, what is declared first; and whether that one is sure, since its cells were
    followed from the input.
    """
    try:
        declared = places.declare(name, output, inputs)
        if min(declared.to_grid(output).shape[2:]) == 1:
            return [], False
    except (LayerError, ShapeError):
        # what is refused as a map is none; tokens whose grid nobody declared may have one
        return (list(readings(output, size)), False) if output.ndim == 3 else ([], False)
    module = places.model.get_submodule(name)
    layout = followed_layout(module, output, follower) if output.ndim == 4 else None
    return ([declared], False) if layout is None else ([layout], True)


def refusal(places: Places, answer: Answer, inputs: Inputs, layers: Sequence[str]) -> str | None:
    """Why layers that were chosen by what is known of a family cannot be explained; None where they can.

    One forward and one backward pass: each must have a layout, and gradient must reach one of them.
    """
    try:
        recording = record(places.model, lambda: places.run(inputs), resolve(places.model, list(layers)))
        layouts = [places.layout(call.layer.name, call.output, inputs) for call in recording.calls]
        for call, layout in zip(recording.calls, layouts, strict=True):
            rows, columns = layout.to_grid(call.output).shape[2:]
            layout.frame(inputs, (int(rows), int(columns)))
    except (LayerError, ShapeError) as error:
        return str(error)
    output = answer(recording.raw)
    scores = output.flatten(1).float().amax(1)  # not the sum, which a last normalisation makes constant
    gradients = (
        differentiate(scores.sum(), [c.output for c in recording.calls], allow_unused=True)
        if output.requires_grad
        else ()
    )
    cells = [layout.to_grid(g) for layout, g in zip(layouts, gradients, strict=False) if g is not None]
    return None if any(bool(c.any()) for c in cells) else "no gradient of the answer reaches its cells"


_chosen: WeakKeyDictionary[nn.Module, dict[object, LayerChoice]] = WeakKeyDictionary()


def settled(
    places: Places,
    answer: Answer,
    make_inputs: Callable[[], Inputs],
    known: LayerChoice | None,
    *,
    key: object,
    check: bool = True,
    among: Among = lambda candidates: candidates,
) -> LayerChoice:
    """The layers to explain: the known ones if they can be explained, else what running the model shows.

    Args:
        make_inputs: one picture of noise.
        known: the choice of the family, None where it is not known.
        key: what beside the model the choice depends on; it is made once for each.
        check: try the known choice first; otherwise it is trusted.
        among: which grids may be chosen, as in :func:`last_grid`.

    Raises:
        LayerError: no layer of this model puts out a grid.
    """
    choices = _chosen.setdefault(places.model, {})
    key = (
        key,
        hash(tuple(name for name, _ in places.model.named_modules())),
    )  # a model that was rebuilt meanwhile is looked at anew
    if key not in choices:
        why_not = refusal(places, answer, make_inputs(), known.layers) if known is not None and check else None
        if known is not None and why_not is None:
            choices[key] = known
        else:
            choice = choice_of(last_grid(places, answer, make_inputs(), among=among), type(places.model).__name__)
            if known is not None:
                choice = LayerChoice(
                    choice.layers,
                    f"{choice.reason}; the usual choice, {', '.join(known.layers)}, was passed over: {why_not}",
                )
            choices[key] = choice
    trusted = known is not None and choices[key].layers == known.layers
    places.trusted = (
        frozenset(ref.name for ref in resolve(places.model, list(choices[key].layers))) if trusted else frozenset()
    )
    return choices[key]
