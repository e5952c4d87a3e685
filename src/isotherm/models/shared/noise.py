"""Noise in the form of a model's input, to see what its layers do."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from isotherm.cam.view import Inputs


def noise_inputs(like: Inputs, *, seed: int = 0) -> Inputs:
    """Seeded normal noise in place of the pictures: nothing in it is constant, so no gradient vanishes by accident."""
    generator = torch.Generator().manual_seed(seed)

    def noise(values: Tensor) -> Tensor:
        return torch.randn(values.shape, generator=generator).to(values)

    pictures = {k: v for k, v in like.extra.items() if isinstance(v, Tensor) and v.ndim == 4 and v.is_floating_point()}
    tensor = noise(like.tensor)
    return replace(like, tensor=tensor, extra={**like.extra, **{k: noise(v) for k, v in pictures.items()}})
