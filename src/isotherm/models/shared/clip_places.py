"""Where the cells of a model lie over a clip that nobody described: followed from the input, or proved by a cube of
noise that stands at several places and times.

Layers that see clips have five dimensions; those that see the frames as pictures have the frames of each clip in their
first dimension, and those of a model whose frames are stacked as channels see all of the clip as one picture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Float
from torch import Tensor, nn

from isotherm.cam.capture import evaluating
from isotherm.cam.clips import ClipLayout
from isotherm.cam.receptive import followed_dims
from isotherm.cam.view import Inputs
from isotherm.errors import LayerError, ShapeError
from isotherm.frame import Size
from isotherm.models.shared.clip_grids import clip_layout_of
from isotherm.models.shared.grids import Tokens, fits, layout_of

CUBES = ((2, 2, 2), (2, 6, 6), (6, 2, 6), (6, 6, 2), (4, 4, 4))
"""(frame, y, x) of the middles of cubes, in eighths of the input; a cube has a quarter of each side."""
BEYOND = 1.0
"""Cells, and moments, beyond a cube's border within which the cell must lie that changes most."""

_proved: WeakKeyDictionary[nn.Module, dict[tuple[object, ...], ClipLayout | None]] = WeakKeyDictionary()

Run = Callable[[Inputs], Any]


class ClipPlaces:
    """The layouts of one model's layers over clips.

    Args:
        model: whose layers are asked about.
        run: its forward pass.
        tokens: input size -> what its user says of the tokens of a frame, or None.
    """

    def __init__(self, model: nn.Module, run: Run, tokens: Callable[[Size], Tokens | None]) -> None:
        self.model, self.run, self.tokens = model, run, tokens
        self._known = _proved.setdefault(model, {})

    def layout(self, name: str, output: Tensor, inputs: Inputs) -> ClipLayout:
        """How the output of a layer lies over clips.

        Raises:
            LayerError: no reading of it as moments, rows and columns is right; the message says why.
        """
        size = tuple(int(inputs.tensor.shape[d]) for d in (1, 3, 4))
        if output.ndim == 5 and followed_dims(self.model, name, size) in ((2, 3, 4), (1, 2, 3)):
            return clip_layout_of(self.model, name, output, inputs)
        tried = list(self.readings(name, output, inputs))
        if output.ndim == 4 and followed_dims(self.model, name, size) == tried[0].cell_dims:
            return tried[0]
        key = (name, size, output.ndim, len(output) // len(inputs), tuple(tried))
        if key not in self._known:
            self._known[key] = self._prove(name, inputs, tried)
        proved = self._known[key]
        if proved is None:
            raise LayerError(
                f"layer {name} puts out {tuple(output.shape)} for {len(inputs)} clip(s) of {size[0]} frames: however it is read as moments, rows and "
                "columns, what changes in it does not follow a cube that stands at several places and times of a clip, so these are no places; "
                "choose the block around it, or another layer"
            )
        return proved

    def cells(self, name: str, output: Tensor, inputs: Inputs) -> tuple[int, int, int]:
        """(moments, h, w) of a layer's output by what was followed, or else by its likeliest reading, without proof.

        Raises:
            LayerError: it has no reading.
        """
        size = tuple(int(inputs.tensor.shape[d]) for d in (1, 3, 4))
        followed = output.ndim == 5 and followed_dims(self.model, name, size) in ((2, 3, 4), (1, 2, 3))
        likely = self.layout(name, output, inputs) if followed else next(self.readings(name, output, inputs))
        moments, h, w = (int(side) for side in likely.to_grid(output).shape[2:])
        return moments, h, w

    def readings(self, name: str, output: Tensor, inputs: Inputs) -> Iterator[ClipLayout]:
        """The layouts that a layer's output may have.

        Raises:
            LayerError: it has none.
        """
        clips, frames = len(inputs), int(inputs.tensor.shape[1])
        if output.ndim == 5 and len(output) == clips:
            yield from (ClipLayout("nchw"), ClipLayout("nhwc"))
            return
        if output.ndim not in (3, 4) or len(output) % clips:
            raise LayerError(
                f"layer {name} puts out {tuple(output.shape)}, which is no grid over {clips} clip(s) of {frames} frames; choose a layer with one cell "
                "per image region, of every clip or of every frame"
            )
        picture = layout_of(
            name,
            self.model.get_submodule(name),
            output,
            as_pictures(inputs, len(output) // clips),
            tokens=self.tokens((int(inputs.tensor.shape[-2]), int(inputs.tensor.shape[-1]))),
        )
        size = (int(inputs.tensor.shape[-2]), int(inputs.tensor.shape[-1]))
        orders = [picture.order]
        if picture.order != "tokens":
            orders += [
                o
                for o, d in (("nchw", 2), ("nhwc", 1))
                if o != picture.order and fits((output.shape[d], output.shape[d + 1]), size)
            ]
        for order in orders:
            yield ClipLayout(order, picture.prefix, picture.grid, picture.stride, folded=len(output) // clips)

    def _prove(self, name: str, inputs: Inputs, tried: list[ClipLayout]) -> ClipLayout | None:
        """The first of some layouts that cubes of noise prove."""
        cubes = cube_inputs(inputs)
        outputs: list[Tensor] = []

        def hook(_module: nn.Module, _args: Any, output: Any) -> None:
            if isinstance(output, Tensor):
                outputs.append(output.detach())

        handle = self.model.get_submodule(name).register_forward_hook(hook)
        try:
            with torch.no_grad(), evaluating(self.model):
                self.run(cubes)
        finally:
            handle.remove()
        if not outputs:
            return None
        proved = (layout for layout in tried if follows_cubes(layout, outputs[0]))
        return next(proved, None)


def as_pictures(inputs: Inputs, each: int) -> Inputs:
    """Clips as so many pictures each as a layer has rows for them; what the pictures show says nothing."""
    rows = torch.arange(len(inputs)).repeat_interleave(each)
    return replace(
        inputs,
        tensor=inputs.tensor[:, 0][rows.to(inputs.tensor.device)],
        frame=inputs.frame[rows],
        timelines=(),
        extra={},
    )


def cube_inputs(like: Inputs, *, seed: int = 0) -> Inputs:
    """Six clips: faint noise, and the same with strong noise in a cube of each place and time."""
    one = like.take([0])
    generator = torch.Generator().manual_seed(seed)
    faint, strong = (torch.randn(one.tensor.shape, generator=generator) * scale for scale in (0.5, 2.0))
    frames, h, w = (int(faint.shape[d]) for d in (1, 3, 4))
    rows = [faint]
    for cube in CUBES:
        row = faint.clone()
        t, y, x = (slice(*_span(at, side)) for at, side in zip(cube, (frames, h, w), strict=True))
        row[:, t, :, y, x] = strong[:, t, :, y, x]
        rows.append(row)
    return one.take([0] * len(rows)).with_tensor(torch.cat(rows).to(one.tensor))


def _span(at: int, side: int) -> tuple[int, int]:
    """Where a cube begins and ends along a side; at least one frame, or pixel."""
    start = min(side - 1, round((at - 1) * side / 8))
    return start, max(start + 1, round((at + 1) * side / 8))


def follows_cubes(layout: ClipLayout, outputs: Float[Tensor, "..."]) -> bool:
    """Whether what a layer put out for :func:`cube_inputs`, read by a layout, changes most where the cubes stand."""
    try:
        grid = layout.to_grid(outputs).double()
    except ShapeError:
        return False
    if len(grid) != len(CUBES) + 1:
        return False
    change = (grid[1:] - grid[:1]).square().sum(1)
    if not bool((change.flatten(1).sum(1) > 0).all()) or not bool(change.isfinite().all()):
        return False
    for values, cube in zip(change, CUBES, strict=True):
        strongest = torch.unravel_index(values.argmax(), values.shape)
        for cell, at, cells in zip(strongest, cube, values.shape, strict=True):
            if abs(float(cell) + 0.5 - at / 8 * cells) - cells / 8 > BEYOND:
                return False
    return True
