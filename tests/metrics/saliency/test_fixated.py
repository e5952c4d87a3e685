"""Figures of a map at fixations: by hand, beside a slow reference, and what must not change them."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm import Frame, Heatmap
from isotherm.errors import KindError, OptionError, ShapeError
from isotherm.metrics import centre_map, saliency

NAN = math.nan


def slow_judd(values: np.ndarray, cells: set[tuple[int, int]]) -> float:
    """The definition, threshold by threshold."""
    fixated = np.zeros(values.shape, bool)
    for x, y in cells:
        fixated[y, x] = True
    curve = [(0.0, 0.0)]
    for threshold in sorted(set(values[fixated].tolist()), reverse=True):
        above = values >= threshold
        curve.append(((above & ~fixated).sum() / (~fixated).sum(), (above & fixated).sum() / fixated.sum()))
    curve.append((1.0, 1.0))
    return sum((x1 - x0) * (y0 + y1) / 2 for (x0, y0), (x1, y1) in pairwise(curve))


def slow_shuffled(values: np.ndarray, own: list[tuple[int, int]], others: list[tuple[int, int]]) -> float:
    """The definition, pair by pair."""
    wins = [np.sign(values[y, x] - values[v, u]) / 2 + 0.5 for x, y in own for u, v in others]
    return float(np.mean(wins))


@st.composite
def moments(draw):
    """Maps of few different values, and fixations: (values, lists of cells)."""
    t, h, w = draw(st.integers(2, 4)), draw(st.integers(2, 5)), draw(st.integers(2, 5))
    values = draw(st.lists(st.integers(0, 6), min_size=t * h * w, max_size=t * h * w))
    cell = st.tuples(st.integers(0, w - 1), st.integers(0, h - 1))
    cells = [draw(st.lists(cell, min_size=1, max_size=3)) for _ in range(t)]
    return np.array(values, float).reshape(t, h, w), cells


def places_of(cells, shift: float = 0.5) -> torch.Tensor:
    rows = torch.full((len(cells), max(map(len, cells)), 2), NAN, dtype=torch.float64)
    for i, some in enumerate(cells):
        rows[i, : len(some)] = torch.tensor(some) + shift
    return rows


@settings(max_examples=40, deadline=None)
@given(moments(), st.floats(0.0, 0.999))
def test_figures_are_those_of_their_definitions(scene, shift):
    values, cells = scene
    maps, places = torch.from_numpy(values), places_of(cells, shift)
    judd, shuffled = saliency.auc_judd(maps, places), saliency.auc_shuffled(maps, places)
    standard = saliency.nss(maps, places)
    for i, some in enumerate(cells):
        if len(set(some)) < values[i].size:
            assert judd[i].item() == pytest.approx(slow_judd(values[i], set(some)), abs=1e-12)
        others = [c for j, more in enumerate(cells) if j != i for c in more]
        assert shuffled[i].item() == pytest.approx(slow_shuffled(values[i], some, others), abs=1e-12)
        deviation = values[i].std()
        mean = np.mean([(values[i][y, x] - values[i].mean()) / deviation for x, y in some]) if deviation else NAN
        assert standard[i].item() == pytest.approx(mean, abs=1e-12, nan_ok=True)


@settings(max_examples=40, deadline=None)
@given(moments(), st.floats(0.1, 9.0), st.floats(-5.0, 5.0))
def test_what_must_not_change_them(scene, factor, shift):
    """Any growing function for AUC; scale and shift for NSS; a mirror, the fixations' order and places left empty for all."""
    values, cells = scene
    maps, places = torch.from_numpy(values), places_of(cells)
    flipped = torch.stack([maps.shape[2] - places[..., 0], places[..., 1]], -1)
    shuffled = torch.cat([places.flip(1), torch.full_like(places[:, :2], NAN)], 1)
    for figure in (saliency.auc_judd, saliency.auc_shuffled, saliency.nss):
        expected = figure(maps, places)
        same = [figure(maps.flip(-1), flipped), figure(maps, shuffled), figure(factor * maps + shift, places)]
        if figure is not saliency.nss:
            same.append(figure((maps / 3).exp(), places))
            opposite = figure(-maps, places)
            if figure is saliency.auc_shuffled:
                torch.testing.assert_close(opposite, 1 - expected, atol=1e-12, rtol=0)
        for value in same:
            torch.testing.assert_close(value, expected, atol=1e-9, rtol=0, equal_nan=True)


def test_several_maps_are_judged_as_each_alone():
    values, places = torch.rand(5, 6, 7, generator=torch.Generator().manual_seed(0)), torch.rand(5, 4, 2) * 6
    for figure in (saliency.auc_judd, saliency.nss):
        alone = torch.cat([figure(values[i : i + 1], places[i : i + 1]) for i in range(5)])
        torch.testing.assert_close(figure(values, places), alone, atol=0, rtol=0)


def test_ties_at_the_fixated_value_count_half_whatever_the_order_of_cells():
    values = torch.tensor([[[1.0, 1.0, 1.0, 1.0, 0.0]]])
    for x in range(4):  # three of four others enter with it
        assert saliency.auc_judd(values, torch.tensor([[[x + 0.5, 0.5]]])).item() == pytest.approx(0.75 / 2 + 0.25)


def test_a_second_fixation_of_a_cell_changes_no_auc_judd_but_nss():
    values, places = torch.tensor([[[3.0, 1.0, 2.0, 0.0]]]), torch.tensor([[[0.5, 0.5], [1.5, 0.5]]])
    more = torch.cat([places, torch.tensor([[[0.9, 0.1]]])], 1)
    assert saliency.auc_judd(values, more).equal(saliency.auc_judd(values, places))
    assert saliency.nss(values, more) > saliency.nss(values, places)


def test_what_cannot_be_judged_is_nan():
    values = torch.tensor([[[1.0, 0.0]], [[1.0, 1.0]], [[1.0, 0.0]]])
    places = torch.tensor([[[NAN, NAN], [2.1, 0.5]], [[0.5, 0.5], [NAN, NAN]], [[0.5, 0.5], [1.5, 0.5]]])  # 2.1: beside
    assert saliency.auc_judd(values, places).isnan().tolist() == [True, False, True]  # of the last no cell is left
    assert saliency.auc_judd(values, places)[1].item() == 0.5
    assert saliency.nss(values, places).isnan().tolist() == [True, True, False]
    assert saliency.auc_shuffled(values, places).isnan().tolist() == [True, False, False]
    assert saliency.auc_shuffled(values, places)[1].item() == 0.5


def test_fixations_of_one_clip_are_not_the_others_of_its_own_moments():
    values = torch.tensor([[[3.0, 2.0, 1.0]]] * 3)
    places = torch.tensor([[[0.5, 0.5]], [[1.5, 0.5]], [[2.5, 0.5]]])
    assert saliency.auc_shuffled(values, places).tolist() == [1.0, 0.5, 0.0]
    assert saliency.auc_shuffled(values, places, group=["a", "a", "b"]).tolist() == [1.0, 1.0, 0.0]
    with pytest.raises(ShapeError, match="2 groups for 3 maps"):
        saliency.auc_shuffled(values, places, group=["a", "b"])


def test_others_may_be_given_in_place_of_groups():
    draw = torch.Generator().manual_seed(3)
    values, places = torch.rand(4, 5, 6, generator=draw), 5 * torch.rand(4, 3, 2, generator=draw)
    expected = saliency.auc_shuffled(values, places, group=["a", "a", "b", "b"])
    for some, rest in ((slice(0, 2), slice(2, 4)), (slice(2, 4), slice(0, 2))):
        alone = saliency.auc_shuffled(values[some], places[some], others=places[rest].reshape(-1, 2))
        torch.testing.assert_close(alone, expected[some], atol=1e-12, rtol=0)
    with pytest.raises(OptionError, match="either the groups"):
        saliency.auc_shuffled(values, places, group=[1, 1, 2, 2], others=places[0])


def test_a_fixation_on_the_edge_belongs_to_the_picture():
    values = torch.tensor([[[0.0, 1.0]]])
    for x, expected in ((2.0, 1.0), (1.0, 1.0), (0.0, -1.0)):
        assert saliency.nss(values, torch.tensor([[[x, 1.0]]])).item() == pytest.approx(expected)
    assert saliency.nss(values, torch.tensor([[[2.001, 1.0]]])).isnan().all()


def test_a_map_of_the_middle_has_a_high_auc_and_no_shuffled_auc_where_people_look_at_the_middle():
    draw = torch.Generator().manual_seed(0)
    places = 16 + 4 * torch.randn(60, 8, 2, generator=draw)
    middle = centre_map((32, 32)).expand(60, 32, 32)
    assert saliency.auc_judd(middle, places).mean() > 0.85
    assert abs(saliency.auc_shuffled(middle, places).mean() - 0.5) < 0.03


def test_a_heatmap_takes_fixations_in_source_pixels_through_its_frame():
    frame = Frame.resize((40, 80), (4, 8)).flipped()
    values = torch.rand(2, 4, 8, generator=torch.Generator().manual_seed(1))
    heatmap = Heatmap(values, frame, "peak")
    places = torch.tensor([[[5.0, 5.0], [33.0, 12.0]], [[79.0, 39.0], [NAN, NAN]]])
    cells = frame.points_from_source(places)
    for figure in (saliency.auc_judd, saliency.nss, saliency.auc_shuffled):
        torch.testing.assert_close(figure(heatmap, places), figure(values, cells), atol=0, rtol=0)
    assert saliency.nss(heatmap, places).allclose(saliency.nss(values.flip(-1), places / 10))


def test_information_gain_by_hand_and_beside_its_own_baseline():
    maps = torch.tensor([[[0.5, 0.25, 0.25, 0.0]]])
    uniform = torch.full_like(maps, 0.25)
    places = torch.tensor([[[0.5, 0.5], [1.5, 0.5]]])
    assert saliency.information_gain(maps, places, uniform).item() == pytest.approx(0.5)
    assert saliency.information_gain(maps, places, 7 * maps).item() == pytest.approx(0.0)
    nowhere = torch.tensor([[[3.5, 0.5]]])
    assert saliency.information_gain(maps, nowhere, uniform).item() == pytest.approx(math.log2(2.2204e-16) + 2)


@pytest.mark.parametrize(
    ("work", "error", "words"),
    [
        (lambda m, p: saliency.nss(m, p[:1]), ShapeError, r"for 2 maps; expected \(2, n, 2\)"),
        (lambda m, p: saliency.auc_judd(m * NAN, p), KindError, "NaN or infinite"),
        (lambda m, p: saliency.information_gain(-m, p, m), KindError, "hold negative values"),
        (
            lambda m, p: saliency.information_gain(Heatmap(m, Frame.identity((1, 4)), "logits"), p, m),
            KindError,
            "of kind 'logits'",
        ),
    ],
)
def test_what_does_not_fit_is_refused(work, error, words):
    with pytest.raises(error, match=words):
        work(torch.tensor([[[3.0, 1.0, 2.0, 0.5]]] * 2), torch.full((2, 1, 2), 0.5))
