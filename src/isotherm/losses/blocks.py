"""Maps a block at a time, where whole copies of them in a higher precision would cost more memory than the gradient
itself.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

BLOCK_VALUES = 1 << 19
"""Values of a block: 2 MB in float32, which stays in the cache; blocks of a quarter or of the double are slower
(measured).
"""


def by_blocks(function: Callable[..., Tensor], maps: Tensor, *others: Tensor) -> Tensor:
    """``function(maps, *others)``, over slices of the first dimension where the maps are in less than float32.

    In float32 the steps of a loss work in place on one array, as large as the gradient; a compiler fuses them anyway.

    Args:
        maps: (b, ..., h, w).
        others: (b, ...), at the precision to compute in.
    """
    size, count = max(maps[:1].numel(), 1), maps.shape[0]
    step = max(1, BLOCK_VALUES // size)
    if maps.dtype == others[0].dtype or torch.compiler.is_compiling() or count <= step:
        return function(maps, *others)
    results: Tensor | None = None
    for start in range(0, count, step):
        part = slice(start, start + step)
        result = function(maps[part], *(other[part] for other in others))
        if results is None:
            results = result.new_empty(count, *result.shape[1:])
        results[part] = result
    assert results is not None, "there are more maps than fit into a block"
    return results


def may_keep(maps: Tensor, vectors: Tensor) -> bool:
    """Whether a forward pass may leave an array of the maps' size behind, which becomes their gradient in place.

    Not in half precision, where it would be twice as large as the gradient, nor under a compiler, which decides by
    itself.
    """
    return maps.dtype == vectors.dtype and not torch.compiler.is_compiling()


def cleared(gradient: Tensor, active: Tensor) -> Tensor:
    """A gradient with zeros for the maps that take no part; in place. Their values may be NaN, which no factor of 0
    clears.
    """
    # one look at a small mask is cheaper than a pass over the maps; under a compiler the pass is fused away
    if not torch.compiler.is_compiling() and gradient.device.type == "cpu" and bool(active.all()):
        return gradient
    return gradient.masked_fill_(~active[..., None, None], 0.0)
