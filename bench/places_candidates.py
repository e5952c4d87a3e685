"""Ways to say where a layer's cells lie, for ``bench/places.py``: the first cell's centre and the distance of cells."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from isotherm.cam.fields import Axis, Field
from isotherm.cam.receptive import Follower

SPACING = 6
"""Cells between those whose gradients are taken together, where there are so many."""
LEAST_SPACING = 32
"""The same in pixels."""


@dataclass(frozen=True)
class Places:
    """(y, x) of the first cell's centre and of the distance between cells, in input pixels."""

    first: tuple[float, float]
    stride: tuple[float, float]


def candidates(
    run: Callable[[Tensor], object], model: nn.Module, x: Tensor, layers: Sequence[str]
) -> dict[str, dict[str, Places]]:
    """Of each layer, by every candidate.

    Args:
        run: a forward pass of an input.
        x: (1, c, h, w) an input: its size counts, and nothing else.
    """
    found: dict[str, dict[str, Places]] = {}
    generator = torch.Generator().manual_seed(0)
    noisy = _noise(x.shape, generator).requires_grad_()
    with torch.enable_grad():
        kept, fields = _pass(run, model, noisy, layers)
        for name, field in fields.items():
            rows, columns = (side / cells for side, cells in zip(x.shape[-2:], kept[name].shape[-2:], strict=True))
            found[name] = {
                "even": Places((rows / 2, columns / 2), (rows, columns)),
                "windows": Places(field.first, field.stride),
                "kernels": Places(field.placed("kernels").first, field.stride),
                "gradient": _by_gradient(kept[name], field, noisy, generator),
            }
    return found


def _pass(
    run: Callable[[Tensor], object], model: nn.Module, x: Tensor, layers: Sequence[str]
) -> tuple[dict[str, Tensor], dict[str, Field]]:
    kept: dict[str, Tensor] = {}
    handles = [
        model.get_submodule(name).register_forward_hook(lambda _m, _a, out, name=name: kept.__setitem__(name, out))
        for name in layers
    ]
    with Follower(x, weighed=True) as follower:
        run(x)
    for handle in handles:
        handle.remove()
    fields = {}
    for name in layers:
        field = follower.of(kept[name])
        assert field is not None, f"the cells of {name} cannot be followed"
        fields[name] = field
    return kept, fields


def _by_gradient(kept: Tensor, field: Field, x: Tensor, generator: torch.Generator) -> Places:
    """The centre of energy of the gradient of cells that are far from each other, with random signs in every channel.

    The energy along an axis, folded at the distance of these cells, has a circular mean, which background does not
    move.
    """
    chosen, steps = [], []
    for axis, cells in zip(field.axes, kept.shape[-2:], strict=True):
        step = min(cells, max(4 if axis.stride >= 16 else SPACING, math.ceil(LEAST_SPACING / axis.stride)))
        count = max(1, cells // step)
        first = (cells - ((count - 1) * step + 1)) // 2
        chosen.append(first + step * torch.arange(count))
        steps.append(step)
    weights = torch.zeros_like(kept)
    rows, columns = chosen[0][:, None], chosen[1][None]
    signs = torch.randint(0, 2, (*kept.shape[:2], len(chosen[0]), len(chosen[1])), generator=generator) * 2.0 - 1
    weights[:, :, rows, columns] = signs
    (gradient,) = torch.autograd.grad((kept * weights).sum(), x, retain_graph=True)
    energy = gradient.double().square().sum((0, 1))
    found = [_folded(energy.sum(1 - d), field.axes[d], chosen[d], steps[d]) for d in (0, 1)]
    return Places((found[0], found[1]), field.stride)


def _folded(energy: Tensor, axis: Axis, chosen: Tensor, step: int) -> float:
    period, pixels, first = step * axis.stride, torch.arange(len(energy)) + 0.5, axis.first
    begin, end = (axis.stride * float(chosen[i]) for i in (0, -1))
    for _ in range(5):  # windows around the cells follow what was found with the last ones
        inside = (pixels >= begin + first - period / 2) & (pixels < end + first + period / 2)
        turns = 2j * math.pi * (pixels - begin - first) / period
        mean = complex((energy * inside * torch.exp(turns)).sum())
        first += math.atan2(mean.imag, mean.real) / (2 * math.pi) * period
    return first


def _noise(shape: Sequence[int], generator: torch.Generator) -> Tensor:
    """Of all grains, and of half the deviation of a normalised picture."""
    b, c, h, w = shape
    grains = [2**i for i in range(12) if 2**i <= max(h, w) / 4]
    total = torch.zeros(b, c, h, w)
    for grain in grains:
        part = torch.randn(b, c, -(-h // grain), -(-w // grain), generator=generator)
        total += part.repeat_interleave(grain, 2).repeat_interleave(grain, 3)[..., :h, :w]
    return total / (2 * math.sqrt(len(grains)))
