"""What shows where cells lie, for ``bench/places.py``: pasted objects, and maps of objects whose place is known."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.cells import offset_from_object
from bench.places_candidates import Places

PASTED_AT_ONCE = 16
MARGIN = 0.22
"""Of a side, what objects keep away from the border."""
RADIUS = 0.045
"""Of a side, an object's: 10 pixels of 224."""
Offsets = dict[str, dict[str, Tensor]]
"""Of each layer, by every candidate: (n, 2) offsets (x, y), in input pixels, of what the cells say from the truth."""


def by_pasting(
    view,
    pictures: Iterable,
    layers: Sequence[str],
    places: Mapping[str, Mapping[str, Places]],
    *,
    count: int,
    seed: int = 0,
) -> Offsets:
    """A small disc of random texture is put on pictures, and what changes in a layer is compared with where it was put.

    The centre of gravity of a layer's absolute change counts, summed over channels, less its median over the map: what
    changes all over the map (global pooling, normalisation) tells of no place.

    Args:
        count: discs on each picture, 16 at once.
    """
    generator, kept = torch.Generator().manual_seed(seed), {}
    handles = [
        view.model.get_submodule(name).register_forward_hook(
            lambda _m, _a, out, name=name: kept.__setitem__(name, out.detach())
        )
        for name in layers
    ]
    truths: list[Tensor] = []
    cells: dict[str, list[Tensor]] = {name: [] for name in layers}
    with torch.no_grad():
        for picture in pictures:
            inputs = view.prepare([picture])
            view.run(inputs)
            before = {name: kept[name].clone() for name in layers}
            h, w = inputs.tensor.shape[-2:]
            room = torch.tensor([w, h])
            for _ in range(0, count, PASTED_AT_ONCE):
                centres = room * (MARGIN + (1 - 2 * MARGIN) * torch.rand(PASTED_AT_ONCE, 2, generator=generator))
                pasted = torch.stack([_pasted(inputs.tensor[0], centre, generator) for centre in centres])
                view.run(inputs.take([0] * PASTED_AT_ONCE).with_tensor(pasted))
                truths.append(centres.double())
                for name in layers:
                    cells[name].append(_middle((kept[name] - before[name]).abs().sum(1).double()))
    for handle in handles:
        handle.remove()
    truth = torch.cat(truths)
    return {
        name: {how: _at(torch.cat(cells[name]), where) - truth for how, where in places[name].items()}
        for name in layers
    }


def by_maps(view, shown: Iterable[tuple], layer: str, places: Mapping[str, Places], score: Callable) -> Offsets:
    """HiResCAM's centre of gravity around an object, compared with the object's.

    Args:
        shown: pictures and a function of their logits or findings (None where it needs none) that gives (score, masks).
        layer: whose maps.
        score: (view, inputs, what is shown) -> (score, (k, h, w) masks in the picture's pixels), or None.
    """
    from isotherm.cam import methods
    from isotherm.cam.attribute import attribute

    found: dict[str, list[tuple[float, float]]] = {how: [] for how in places}
    for one in shown:
        inputs = view.prepare([one.picture])
        asked = score(view, inputs, one)
        if asked is None:
            continue
        m = attribute(view, inputs, methods=[methods.hirescam], score=asked[0], layers=layer).maps[0]
        for values, mask in zip(m.values, asked[1], strict=True):
            if bool(mask[0].any() | mask[-1].any() | mask[:, 0].any() | mask[:, -1].any()):
                continue
            offsets = {}
            for how, where in places.items():
                frame = inputs.frame[0].to_cells(where.first, where.stride, tuple(values.shape))
                offsets[how] = offset_from_object(values, mask, frame, where.stride[1])
            if all(o is not None for o in offsets.values()):
                for how, offset in offsets.items():
                    found[how].append(offset)
    return {layer: {how: torch.tensor(pairs, dtype=torch.float64).reshape(-1, 2) for how, pairs in found.items()}}


def median(values: Tensor) -> tuple[float, float, float]:
    """A median and its interval of 95 %, between two of the values in order: no distribution is assumed."""
    ordered, n = values.sort().values, len(values)
    reach = 1.96 * math.sqrt(n) / 2
    low, high = max(0, math.floor(n / 2 - reach)), min(n - 1, math.ceil(n / 2 + reach))
    return float(ordered.quantile(0.5)), float(ordered[low]), float(ordered[high])


def _pasted(x: Tensor, centre: Tensor, generator: torch.Generator) -> Tensor:
    h, w = x.shape[-2:]
    grain = torch.rand(1, len(x), h // 4, w // 4, generator=generator)
    low, high = x.amin(), x.amax()
    texture = low + (high - low) * F.interpolate(grain, size=(h, w), mode="bilinear")[0]
    y, columns = torch.arange(h)[:, None] + 0.5, torch.arange(w)[None] + 0.5
    away = ((y - centre[1]).square() + (columns - centre[0]).square()).sqrt()
    cover = (RADIUS * min(h, w) + 0.5 - away).clamp(0, 1)
    return x * (1 - cover) + texture * cover


def _middle(change: Tensor) -> Tensor:
    """(n, 2) centres of gravity (x, y), in cells from the first one's centre, of what is above the map's median."""
    above = (change - change.flatten(1).median(1).values[:, None, None]).clamp(min=0)
    total = above.sum((1, 2))
    columns, rows = (torch.arange(above.shape[d], dtype=above.dtype) for d in (2, 1))
    return torch.stack([(above.sum(1) * columns).sum(1) / total, (above.sum(2) * rows).sum(1) / total], 1)


def _at(cells: Tensor, where: Places) -> Tensor:
    first, stride = (torch.tensor(pair[::-1], dtype=torch.float64) for pair in (where.first, where.stride))
    return first + stride * cells
