"""What a module of one's own is tried with, to see what it puts out: a black picture, or something of the form that
it is fed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from isotherm.cam.scores.function import positional_count
from isotherm.cam.view import Inputs
from isotherm.errors import OptionError
from isotherm.frame import Frame
from isotherm.models.shared.calling import Calling, also, call
from isotherm.models.shared.classifier import where_it_lives
from isotherm.models.shared.own_transform import Preparation


def black(model: nn.Module, prepared: Preparation) -> Inputs:
    """A black picture as a module is fed it."""
    device, dtype = where_it_lives(model)
    return prepared.batch([np.zeros((*prepared.sample, 3), np.uint8)], device=device, dtype=dtype)


def trial_of(
    model: nn.Module, prepared: Preparation, *, forward: Any, over: int, example: Any
) -> tuple[Inputs, Calling, bool]:
    """What a module is tried with, how it is called, and whether it eats tensors where a picture would be explained.

    Args:
        model: eager module.
        prepared: how pictures are prepared.
        forward, over, example: see :func:`isotherm.models.own.view.wrap`.

    Raises:
        OptionError: options that do not go together.
    """
    if forward is not None and not callable(forward):
        raise OptionError(
            f"forward is {forward!r}; expected a function of the module and its inputs, such as lambda m, a, b: m(a, b)"
        )
    if isinstance(example, tuple):
        parts: tuple[Any, ...] = example
    elif example is not None:
        parts = (example,)
    else:
        parts = (None,) * max(1, positional_count(forward) - 1 if forward is not None else 1)
    if not isinstance(over, int) or isinstance(over, bool) or not 0 <= over < len(parts):
        raise OptionError(
            f"over is {over!r}; it is which of the {len(parts)} input(s) the map lies over, from 0 to {len(parts) - 1}"
        )
    device, dtype = where_it_lives(model)
    picture = None if all(_is_fed(part) for part in parts) else black(model, prepared)
    extra: dict[str, Any] = {}
    explained = picture
    for i, part in enumerate(parts):
        tensor = (
            _tensor(part, device, dtype) if _is_fed(part) else part if _is_plain(part) else picture and picture.tensor
        )
        if i != over:
            extra[also(i)] = tensor
        elif isinstance(tensor, Tensor) and _is_fed(part):
            size = (int(tensor.shape[-2]), int(tensor.shape[-1]))
            explained = Inputs(tensor, Frame.stack([Frame.identity(size)]))
    assert explained is not None
    calling = Calling(forward=forward or call, count=len(parts), over=over)
    return replace(explained, extra=extra), calling, _is_fed(parts[over])


def _is_fed(part: Any) -> bool:
    """Whether an input is what the module eats already: a tensor with a first dimension of pictures."""
    return (
        isinstance(part, Tensor | np.ndarray)
        and part.ndim != 3
        and part.ndim > 0
        and str(part.dtype) not in ("uint8", "torch.uint8")
    )


def _is_plain(part: Any) -> bool:
    return isinstance(part, bool | int | float)


def _tensor(part: Any, device: torch.device, dtype: torch.dtype) -> Tensor:
    tensor = torch.as_tensor(part)[:1].detach()
    return tensor.to(device=device, dtype=dtype if tensor.is_floating_point() else tensor.dtype)
