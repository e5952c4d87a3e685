"""Pearson, Spearman and SSIM of pairs of maps, against SciPy and loops."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
import torch

from isotherm.errors import ShapeError
from isotherm.metrics import pearson, spearman, ssim
from oracles.faithfulness import ranks
from oracles.faithfulness import ssim as slow_ssim


def pairs():
    a, b = torch.randn(4, 15, 18), torch.randn(4, 15, 18)
    a[1] = a[1].relu()  # half of it tied
    b[1] = (b[1] * 2).round()
    b[2] = a[2] * 0.5 + b[2]
    b[3] = -a[3]
    return a, b


def test_correlations_equal_scipy():
    a, b = pairs()
    for i in range(4):
        x, y = a[i].flatten().numpy(), b[i].flatten().numpy()
        assert pearson(a, b)[i].item() == pytest.approx(
            scipy.stats.pearsonr(x.astype(float), y.astype(float))[0], abs=1e-9
        )
        assert spearman(a, b)[i].item() == pytest.approx(scipy.stats.spearmanr(x, y)[0], abs=1e-9)
        assert spearman(a, b)[i].item() == pytest.approx(np.corrcoef(ranks(x), ranks(y))[0, 1], abs=1e-9)
    assert spearman(a, a.exp()).tolist() == pytest.approx([1] * 4)
    assert spearman(a, b)[3].item() == pytest.approx(-1)


def test_ssim_equals_the_loop():
    a, b = pairs()

    def unit(m):
        m = m.double().numpy()
        return (m - m.min()) / (m.max() - m.min())

    for i in range(4):
        assert ssim(a, b)[i].item() == pytest.approx(slow_ssim(unit(a[i]), unit(b[i])), abs=1e-9)
    assert ssim(a, a * 3 + 1).tolist() == pytest.approx([1] * 4)
    small = torch.rand(1, 6, 7)
    assert ssim(small, small).item() == pytest.approx(1)
    assert ssim(small, 1 - small).item() == pytest.approx(
        slow_ssim(unit(small[0]), unit(1 - small[0]), side=5), abs=1e-9
    )


def test_constant_maps_cannot_be_compared():
    flat = torch.full((1, 9, 9), 0.1)
    assert pearson(flat, torch.rand(1, 9, 9)).isnan().all()
    assert spearman(torch.rand(1, 9, 9), flat).isnan().all()
    assert spearman(flat, flat).isnan().all()


def test_shapes(unchecked):
    with pytest.raises(ShapeError, match="one shape"):
        spearman(torch.zeros(1, 3, 3), torch.zeros(1, 3, 4))
