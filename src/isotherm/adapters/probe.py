"""Finding the layer to explain by running the model once: for architectures that nobody described.

The layer wanted is the last one that still has one cell per image region *and* whose every cell the answer
depends on. The second half is what peers leave out: behind the last block of a transformer that reads its class
token, the patches' gradient is exactly zero, and a map of it is noise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from isotherm.cam.capture import evaluating, record
from isotherm.cam.layers import LayerRef
from isotherm.cam.view import Inputs, Layout
from isotherm.errors import LayerError, ShapeError

TRIED = 12
"""How many layers from the end are tried; behind the last grid there are rarely more than two without gradient."""


Candidate = tuple[LayerRef, tuple[int, int]]
"""A layer and the (h, w) of its grid."""


@dataclass(frozen=True)
class Found:
    """The layer that was found: its name, the (h, w) of its grid, how many later grids were passed over for want of gradient."""

    name: str
    grid: tuple[int, int]
    passed: int


def noise_inputs(like: Inputs, *, seed: int = 0) -> Inputs:
    """Seeded normal noise in place of the pictures: nothing in it is constant, so no gradient vanishes by accident."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(like.tensor.shape, generator=generator)
    return like.with_tensor(noise.to(like.tensor))


def last_grid(
    model: nn.Module,
    run: Callable[[], Any],
    answer: Callable[[Any], Tensor],
    inputs: Inputs,
    layout: Callable[[str, Tensor, Inputs], Layout],
    *,
    among: Callable[[Sequence[Candidate]], Sequence[Candidate]] = lambda candidates: candidates,
) -> Found:
    """The last layer in order of execution with a grid of cells that all carry gradient.

    Args:
        model: whose layers are tried. run: the forward pass of ``inputs``.
        answer: raw output -> (b, ...) whose largest value per picture is explained.
        layout: the adapter's own, which refuses layers that are no grid.
        among: which of the grids, the last first, may be chosen; all unless given.

    Raises:
        LayerError: no layer of this model puts out a grid.
    """
    candidates: Sequence[Candidate] = _grids(model, run, inputs, layout)
    if not candidates:
        raise LayerError(f"no layer of this {type(model).__name__} puts out one cell per image region; name a layer yourself")
    candidates = among(candidates)
    best, most = candidates[0], 0.0
    for passed, (ref, grid) in enumerate(candidates[:TRIED]):
        recording = record(model, run, [ref])
        output = answer(recording.raw)
        if not output.requires_grad:
            continue
        scores = output.flatten(1).float().amax(1)
        (gradient,) = torch.autograd.grad(scores.sum(), recording.calls[0].output, allow_unused=True)
        if gradient is None:
            continue
        cells = layout(ref.name, gradient, inputs).to_grid(gradient)
        alive = float((cells != 0).any(1).float().mean())
        if alive == 1.0:
            return Found(ref.name, grid, passed)
        if alive > most:
            best, most = (ref, grid), alive
    if most == 0.0:
        raise LayerError(
            f"none of the last {TRIED} grids of this {type(model).__name__} carries gradient of its answer; name an earlier layer yourself"
        )
    return Found(best[0].name, best[1], candidates.index(best))


def _grids(
    model: nn.Module, run: Callable[[], Any], inputs: Inputs, layout: Callable[[str, Tensor, Inputs], Layout]
) -> list[Candidate]:
    """Every module that ran once and put out a grid larger than one cell, the last first.

    Of modules that put out the very same tensor (a stage and its last block) the outermost stands for all.
    """
    ran: list[tuple[str, nn.Module, Tensor]] = []
    times: dict[str, int] = {}
    handles = []

    def hook_of(name: str):
        def hook(module: nn.Module, _args: Any, output: Any) -> None:
            times[name] = times.get(name, 0) + 1
            if isinstance(output, Tensor):
                ran.append((name, module, output))

        return hook

    try:
        for name, module in model.named_modules():
            if name:
                handles.append(module.register_forward_hook(hook_of(name)))
        with torch.no_grad(), evaluating(model):
            run()
    finally:
        for handle in handles:
            handle.remove()
    found: list[Candidate] = []
    seen: set[int] = set()
    for name, module, output in reversed(ran):
        if times[name] > 1 or id(output) in seen:
            continue
        try:
            grid = layout(name, output, inputs).to_grid(output).shape[2:]
        except (LayerError, ShapeError):
            continue
        if min(grid) > 1:
            seen.add(id(output))
            found.append((LayerRef(name, module), (int(grid[0]), int(grid[1]))))
    return found
