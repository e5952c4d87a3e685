"""The preparation of a model that eats tensors alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from isotherm.cam.view import Inputs
from isotherm.errors import InputError
from isotherm.frame import Size


class AsItIs:
    """Stands where a :class:`isotherm.models.shared.preprocess.Preprocess` stands, and refuses every picture: how
    one becomes such a tensor, nobody said.

    Args:
        shape: (c, h, w) of what the model eats.

    Attributes:
        size: its (h, w).
    """

    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    def __init__(self, shape: Sequence[int]) -> None:
        self.shape = tuple(shape)
        self.size: Size = (self.shape[-2], self.shape[-1])
        self.sample = self.size

    @property
    def words(self) -> str:
        """In a line: what is fed."""
        return f"tensors (b, {', '.join(map(str, self.shape))}), as they are"

    def batch(self, pictures: Any, *, device: Any = "cpu", dtype: torch.dtype = torch.float32) -> Inputs:
        """Raises InputError."""
        raise InputError(
            f"this model was opened for {self.words}, and a picture was given; give tensors, or say with size=, mean= and std=, or "
            "preprocess=, how pictures become them"
        )
