"""Scales that keep zero at zero, and colours that keep order."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from isotherm.draw import Scale, colour_table, scale_of, shared_scale
from isotherm.draw.colour import alpha_table
from isotherm.draw.strips import nice_ticks
from isotherm.errors import KindError, OptionError
from isotherm.frame import Frame
from isotherm.heatmap import Heatmap


def of(values, kind="relevance", signed=False) -> Heatmap:
    values = torch.tensor(values)
    return Heatmap(values, Frame.resize((20, 20), tuple(values.shape[-2:])), kind, signed=signed)


@pytest.mark.parametrize(
    ("heatmaps", "expected"),
    [
        ([of([[0.25, 2.0]])], (0, 2)),
        ([of([[-3.0, 2.0]])], (0, 2)),  # not signed: what is below 0 is cut
        ([of([[-3.0, 2.0]], signed=True)], (-3, 3)),
        ([of([[-1.0, 2.0]], signed=True), of([[-5.0, 0.5]], signed=True)], (-5, 5)),
        ([of([[1.0, 2.0]]), of([[-7.0, -1.0]])], (0, 2)),
        ([of([[-1.0, -2.0]])], (0, 0)),
        ([of([[-1.0, -2.0]], signed=True)], (0, 0)),
        ([of([[0.0, 0.0]])], (0, 0)),
        ([of([[float("nan"), float("inf")]])], (0, 0)),
        ([of([[float("nan"), float("inf"), 3.0]])], (0, 3)),
        ([of([[0.3, 0.2]], "peak")], (0, 1)),
        ([of([[1.5, 0.2]], "peak")], (0, 1.5)),
        ([of([[0.3, 0.02]], "probability")], (0, 1)),
        ([of([[0.75, 0.25]], "probability")], (0, 0.75)),  # sums to 1: a distribution over the cells
        ([of([[[0.75, 0.25]], [[0.5, 0.5]]], "probability")], (0, 0.75)),
        ([of([[0.75, 0.25]], "probability"), of([[0.6, 0.6]], "probability")], (0, 1)),
        ([of([[3.0, -50.0]], "logits")], (-5, 3)),
        ([of([[-9.0, float("-inf")]], "logits")], (-17, -9)),
    ],
)
def test_scales_by_hand(heatmaps, expected):
    scale = shared_scale(heatmaps)
    np.testing.assert_allclose((scale.low, scale.high), expected)
    assert scale.is_empty == (expected == (0, 0))


def test_kinds_are_not_mixed_and_nothing_has_no_scale():
    with pytest.raises(KindError, match="relevance"):
        shared_scale([of([[1.0]]), of([[1.0]], signed=True)])
    with pytest.raises(OptionError, match="at least one"):
        shared_scale([])
    for low, high in ((1.0, 0.0), (0.0, float("inf")), (float("nan"), 1.0)):
        with pytest.raises(OptionError, match="two finite numbers"):
            Scale(low, high)


def test_an_empty_scale_has_no_values():
    assert scale_of(of([[-1.0]])).to_unit(torch.tensor([0.0, 1.0])).isnan().all()


def test_the_default_colours_get_lighter_all_the_way_and_jet_does_not():
    def luminance(name):
        linear = colour_table(name) ** 2.2
        return linear @ torch.tensor([0.2126, 0.7152, 0.0722])

    assert (luminance("inferno").diff() > -1e-6).all()
    assert (luminance("jet").diff() < -1e-3).any()


def test_zero_of_a_diverging_map_is_neutral_and_transparent():
    middle = colour_table("coolwarm")[511]
    assert float(middle.max() - middle.min()) < 0.02
    alpha = alpha_table(0.8, by_value=True, signed=True)
    assert float(alpha[511]) == 0
    torch.testing.assert_close(alpha, alpha.flip(0))
    assert float(alpha[0]) == pytest.approx(0.8)


def test_opacity_by_value_grows_to_half_of_the_scale():
    alpha = alpha_table(0.6, by_value=True, signed=False)
    torch.testing.assert_close(alpha[[0, 255, 511, 1022]], torch.tensor([0.0, 0.6 * 255 / 511, 0.6, 0.6]))


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.0, 1.0, ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        (-1.0, 1.0, ["-1.0", "-0.5", "0", "0.5", "1.0"]),
        (0.0, 3e-6, ["0", "1e-6", "2e-6", "3e-6"]),
        (0.0, 130.0, ["0", "50", "100"]),
        (0.0, 0.012, ["0", "0.0025", "0.0050", "0.0075", "0.0100"]),
    ],
)
def test_ticks_are_round_and_inside(low, high, expected):
    texts = [text for _, text in nice_ticks(Scale(low, high), 5 if high != 130 else 3)]
    assert texts == expected
