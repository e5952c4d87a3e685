"""What is no tensor and no Heatmap is refused in words by every decoder."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from isotherm import decode
from isotherm.errors import ShapeError

OF_MAPS = {
    "argmax": decode.argmax,
    "cell_probability": decode.cell_probability,
    "credible_region": lambda maps: decode.credible_region(maps, level=0.9),
    "dark": decode.dark,
    "entropy": decode.entropy,
    "least_squares": decode.least_squares,
    "lift_orthographic": decode.lift_orthographic,
    "local_soft_argmax": decode.local_soft_argmax,
    "modes": lambda maps: decode.modes(maps, most=2),
    "moment_inverse": lambda maps: decode.moment_inverse(maps, sigma_cells=1.0),
    "peaks": lambda maps: decode.peaks(maps, most=2, threshold=0.3),
    "quarter_offset": decode.quarter_offset,
    "soft_argmax": decode.soft_argmax,
}
ARRAYS_TOO = {"argmax", "least_squares", "moment_inverse", "soft_argmax"}
"""Those that decode arrays of NumPy and JAX as they are."""


@pytest.mark.parametrize("name", OF_MAPS)
def test_maps_that_are_none_are_refused(name, unchecked):
    assert OF_MAPS[name](torch.rand(1, 3, 8, 8)) is not None
    array = np.random.default_rng(0).random((1, 3, 8, 8), np.float32)
    if name in ARRAYS_TOO:
        assert OF_MAPS[name](array) is not None
    wrong = [(None, "None"), ([[1.0]], "list"), *([] if name in ARRAYS_TOO else [(array, "ndarray")])]
    for given, words in wrong:
        with pytest.raises(ShapeError, match=words):
            OF_MAPS[name](given)
