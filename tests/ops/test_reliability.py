"""Scores beside hits: by hand; what decoded points add is tested in tests/decode/test_calibration.py."""

from __future__ import annotations

import pytest
import torch

from isotherm.errors import OptionError, ShapeError
from isotherm.ops.reliability import reliability


def test_bins_by_hand():
    found = reliability(torch.tensor([0.1, 0.3, 0.9, 1.0]), torch.tensor([True, False, True, True]), bins=2)
    assert found.count.tolist() == [2, 2]
    assert found.score.tolist() == pytest.approx([0.2, 0.95])
    assert found.hit.tolist() == [0.5, 1.0]
    assert found.error == pytest.approx((0.3 * 2 + 0.05 * 2) / 4)
    assert reliability(torch.tensor([0.9]), torch.tensor([True]), bins=3).score[:2].isnan().all()


def test_mistakes(unchecked):
    with pytest.raises(OptionError, match="bins is 0"):
        reliability(torch.ones(1), torch.ones(1, dtype=torch.bool), bins=0)
    with pytest.raises(OptionError, match="expected 0 to 1"):
        reliability(torch.tensor([float("nan")]), torch.ones(1, dtype=torch.bool))
    with pytest.raises(ShapeError, match="not empty"):
        reliability(torch.zeros(0), torch.zeros(0, dtype=torch.bool))
