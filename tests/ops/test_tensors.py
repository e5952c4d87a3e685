"""What is no tensor is named with what it is."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from isotherm.errors import ShapeError
from isotherm.ops.tensors import check_tensors


def test_the_argument_and_what_it_is_are_named():
    check_tensors(a=torch.zeros(1), b=torch.zeros(2))
    with pytest.raises(ShapeError, match=r"^b is None; expected a tensor$"):
        check_tensors(a=torch.zeros(1), b=None)
    with pytest.raises(ShapeError, match=r"^b is a ndarray; expected a tensor: torch\.as_tensor makes one$"):
        check_tensors(b=np.zeros(1))
