"""The head without maps."""

from __future__ import annotations

import pytest
import torch

from isotherm.errors import OptionError
from isotherm.heads.coordinates import CoordinateHead


def test_the_baseline_has_two_hidden_layers_of_768():
    head = CoordinateHead(384, 4)
    assert [tuple(m.weight.shape) for m in head.layers if isinstance(m, torch.nn.Linear)] == [
        (768, 384),
        (768, 768),
        (8, 768),
    ]
    assert head(torch.zeros(2, 384)).shape == (2, 4, 2)
    with torch.no_grad():
        head.layers[-1].bias.zero_()
        head.layers[-1].weight.zero_()
    assert (head(torch.randn(2, 384)) == 0.5).all()  # the middle of the picture


def test_widths_are_numbers_of_units():
    with pytest.raises(OptionError, match=r"widths \(0,\); expected at least 1"):
        CoordinateHead(8, 4, widths=(0,))
