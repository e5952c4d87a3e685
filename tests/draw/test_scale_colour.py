"""Scales that keep zero at zero, and colours that keep order."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from isotherm.draw import STYLES, Scale, Style, colour_table, scale_of, shared_scale
from isotherm.draw.colour import Ink
from isotherm.draw.sheet import nice_ticks
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
        ([of([[-3.0, 2.0]], signed=True)], (-2, 2)),  # what is against is not stronger than what is for
        ([of([[-0.5, 2.0]], signed=True)], (-0.5, 2)),
        ([of([[0.5, 2.0]], signed=True)], (0, 2)),  # nothing is negative: no ± scale
        ([of([[-1.0, 2.0]], signed=True), of([[-5.0, 0.5]], signed=True)], (-2, 2)),
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


def test_a_scale_says_when_values_lie_beyond_it():
    assert scale_of(of([[-3.0, 2.0]], signed=True)).beyond
    assert not scale_of(of([[-2.0, 2.0]], signed=True)).beyond


def lightness(colours: torch.Tensor) -> torch.Tensor:
    linear = torch.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    y = linear @ torch.tensor([0.2126, 0.7152, 0.0722])
    return torch.where(y > 0.008856, 116 * y.clamp(min=1e-9) ** (1 / 3) - 16, 903.3 * y)


def test_the_default_colours_get_lighter_all_the_way_and_jet_does_not():
    assert (lightness(colour_table("isotherm")).diff() > -0.05).all()
    assert (lightness(colour_table("jet")).diff() < -0.2).any()


def test_the_default_colours_say_more_by_hue_than_by_light():
    """Light and shade belong to the picture: half of inferno's range or less."""
    spans = [
        float(lightness(colour_table(name)).max() - lightness(colour_table(name)).min())
        for name in ("isotherm", "inferno")
    ]
    assert spans[0] < 0.45 * spans[1]


def test_both_directions_start_from_nothing_and_have_no_grey_middle():
    ink = Ink.of(Style(negative="fill"), Scale(-1.0, 1.0), signed=True)
    assert float(ink.alpha[512]) == float(ink.grey[512]) == 0
    torch.testing.assert_close(ink.alpha[1:], ink.alpha[1:].flip(0))
    assert float(ink.alpha[1]) == pytest.approx(Style().opacity)
    chroma = ink.colour.max(-1).values - ink.colour.min(-1).values
    assert float(chroma[1:].min()) > 0.25
    assert (Ink.of(Style(), Scale(-1.0, 1.0), signed=True).alpha[1:512] == 0).all()  # lines say it


def test_zero_is_where_it_is_however_long_the_arms_are():
    """The same value gets the same ink on every scale of the same unit."""
    long, short = (Ink.of(Style(negative="fill"), Scale(low, 1.0), signed=True) for low in (-1.0, -0.25))
    at = lambda value, low: round((value - low) / (1 - low) * 1022) + 1  # noqa: E731
    for value in (-0.2, 0.3, 0.7, 1.0):
        torch.testing.assert_close(long.colour[at(value, -1)], short.colour[at(value, -0.25)], atol=0.01, rtol=0)
        assert float(long.alpha[at(value, -1)]) == pytest.approx(float(short.alpha[at(value, -0.25)]), abs=0.01)


def test_a_signed_map_without_negative_values_is_drawn_as_an_unsigned_one():
    a, b = (Ink.of(Style(), Scale(0.0, 3.0), signed=signed) for signed in (True, False))
    torch.testing.assert_close(a.colour, b.colour)
    torch.testing.assert_close(a.alpha, b.alpha)


def test_a_diverging_map_by_name_keeps_zero_in_its_middle():
    ink = Ink.of(Style(colormap="RdBu_r", by_value=False), Scale(0.0, 1.0), signed=True)
    torch.testing.assert_close(ink.colour[1], colour_table("RdBu_r")[511])


def test_opacity_by_value_starts_at_a_tenth_and_is_full_below_half():
    alpha = Ink.of(Style(), Scale(0.0, 1.0), signed=False).alpha[1:]
    expected = [0.0, 0.0, 0.5 * (0.25 - 0.1) / 0.35, 0.5, 0.5]
    np.testing.assert_allclose(alpha[[0, 102, 256, 460, 1022]], expected, atol=1e-3)


def test_what_was_not_seen_is_marked_only_where_there_is_something_to_see():
    for style, scale, marked in (
        (Style(), Scale(0.0, 1.0), True),
        (Style(unseen=False), Scale(0.0, 1.0), False),
        (Style(), Scale(0.0, 0.0), False),
    ):
        ink = Ink.of(style, scale, signed=False)
        assert bool(ink.alpha[0] > 0) == bool(ink.grey[0] > 0) == marked


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"opacity": 60}, "opacity is 60; expected a number from 0 to 1"),
        ({"threshold": -0.1}, "threshold is -0.1"),
        ({"lines": (0.5, 50)}, "shares of the scale between 0 and 1"),
        ({"colormap": "infreno"}, "inferno"),
        ({"colormap": "isothrem"}, "isotherm"),
    ],
)
def test_mistakes_in_a_style_are_explained(change, words):
    with pytest.raises(OptionError, match=words):
        Style(**change)


def test_styles_by_name_are_all_different():
    assert len(set(STYLES.values())) == len(STYLES) >= 6


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
