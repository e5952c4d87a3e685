"""Which layer of a model of clips to explain, where nobody described it: as running it shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from isotherm.cam.capture import evaluating, record
from isotherm.cam.receptive import following
from isotherm.cam.view import Inputs, LayerChoice
from isotherm.errors import LayerError, ShapeError
from isotherm.models.shared.cancelling import cancels
from isotherm.models.shared.clip_places import ClipPlaces
from isotherm.relevance.grad_mode import differentiate
from isotherm.relevance.modules import LayerRef

TRIED = 12
"""How many layers from the end are tried."""


@dataclass(frozen=True)
class ClipGrid:
    """A layer with cells over a clip.

    Args:
        ref: the layer.
        cells: (moments, h, w).
        alive: share of its cells that carry gradient.
    """

    ref: LayerRef
    cells: tuple[int, int, int]
    alive: float = 0.0


@torch.inference_mode(False)  # whatever the caller has on, this has gradients
def clip_choice(
    places: ClipPlaces, answer: Callable[[Any], Tensor], inputs: Inputs, *, coarsest: bool = False
) -> LayerChoice:
    """The last layer with several moments, if there is one, whose cells all carry gradient of the answer.

    Args:
        places: the model, and where its layers lie.
        answer: raw output -> (b, ...) whose largest value per clip is explained.
        inputs: one clip of noise.
        coarsest: of the layers with the fewest cells alone, as what is explained is read at single places of the
            output.

    Raises:
        LayerError: no layer puts out a grid over a clip, or none carries gradient.
    """
    kind = type(places.model).__name__
    refused: list[str] = []
    grids = _grids(places, inputs, refused)
    if not grids:
        raise LayerError(
            f"no layer of this {kind} puts out one cell per image region of a clip; name a layer yourself"
            + (f" (the last one that was looked at: {refused[0]})" if refused else "")
        )
    if coarsest:
        least = min(h * w for _, h, w in (grid.cells for grid in grids))
        grids = [grid for grid in grids if grid.cells[1] * grid.cells[2] == least]
    several = [grid for grid in grids if grid.cells[0] > 1]
    best: ClipGrid | None = None
    for grid in (several or grids)[:TRIED]:
        try:
            alive, why = _alive(places, answer, inputs, grid.ref)
        except LayerError as error:  # its cells are no places
            refused.append(str(error))
            continue
        if why:  # a normalisation behind it makes its maps zero
            refused.append(f"at {grid.ref} {why}")
            continue
        if alive > (best.alive if best else 0.0):
            best = ClipGrid(grid.ref, grid.cells, alive)
        if alive == 1.0:
            break
    if best is None:
        raise LayerError(
            f"none of the last {TRIED} layers of this {kind} with cells over a clip carries gradient of its answer; name an earlier layer yourself"
            + (f" (of one it is said: {refused[-1]})" if refused else "")
        )
    moments, h, w = best.cells
    share = "every cell carries" if best.alive == 1 else f"{best.alive:.0%} of the cells carry"
    why = (
        f"the last layer of this {kind} {'with several moments ' if several else ''}that still has one cell per image region and moment "
        f"({moments} x {h} x {w}) and of which {share} gradient, found by running the model once"
    )
    if not several:
        why += "; CAUTION: no layer keeps the moments of a clip apart, so there is one map for all of it; occlusion gives one for each part of it"
    return LayerChoice((str(best.ref),), why)


def _grids(places: ClipPlaces, inputs: Inputs, refused: list[str]) -> list[ClipGrid]:
    """Every module that ran once and whose output has several cells of a clip, the last first."""
    ran: list[tuple[str, nn.Module, Tensor]] = []
    times: dict[str, int] = {}

    def hook_of(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, _args: Any, output: Any) -> None:
            times[name] = times.get(name, 0) + 1
            if isinstance(output, Tensor) and output.ndim in (3, 4, 5) and output.is_floating_point():
                ran.append((name, module, output))

        return hook

    handles = [m.register_forward_hook(hook_of(name)) for name, m in places.model.named_modules() if name]
    names = [f"{name}@0" for name, _ in places.model.named_modules() if name]
    try:
        with torch.no_grad(), evaluating(places.model), following(places.model, inputs.tensor, names) as place:
            places.run(inputs)
    finally:
        for handle in handles:
            handle.remove()
    grids: list[ClipGrid] = []
    seen: set[int] = set()
    for name, module, output in reversed(ran):
        if id(output) in seen or times[name] > 1:
            continue
        if output.ndim == 5:
            place(f"{name}@0", output)
        try:
            cells = places.cells(name, output, inputs)
        except (LayerError, ShapeError) as error:
            refused.append(str(error))
            continue
        if min(cells[1:]) > 1:
            seen.add(id(output))
            grids.append(ClipGrid(LayerRef(name, module), cells))
    return grids


def _alive(places: ClipPlaces, answer: Callable[[Any], Tensor], inputs: Inputs, ref: LayerRef) -> tuple[float, str]:
    """The share of a layer's cells with gradient of the answer's largest value, and why its maps would be zero all
    the same.
    """
    recording = record(places.model, lambda: places.run(inputs), [ref])
    output = answer(recording.raw)
    if not output.requires_grad:
        return 0.0, ""
    (call,) = recording.calls
    scores = output.flatten(1).float().amax(1)
    (gradient,) = differentiate(scores.sum(), [call.output], allow_unused=True)
    if gradient is None:
        return 0.0, ""
    layout = places.layout(ref.name, call.output, inputs)
    cells = layout.to_grid(gradient)
    alive = float((cells != 0).any(1).float().mean())
    return alive, cancels(layout.to_grid(call.output), cells) if alive else ""
