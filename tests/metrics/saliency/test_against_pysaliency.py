"""The saliency figures beside those of pysaliency 0.2.22, where the definitions are the same, and where they are not."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from isotherm.errors import KindError
from isotherm.metrics import saliency
from oracles.saliency_map_models import Oracle, pysaliency

ATOL = 1e-9  # all sums are float64, on both sides


def scene(seed: int, count: int = 4, size=(13, 17), most: int = 9, levels: int = 0):
    """Maps, and fixations as cells, which pysaliency has, and as places, NaN where there are fewer."""
    draw = np.random.default_rng(seed)
    maps = draw.gamma(0.7, size=(count, *size)) + 1e-3
    if levels:
        maps = np.ceil(maps * levels).clip(1, levels)
    cells, places = [], np.full((count, most, 2), np.nan)
    for i in range(count):
        n = int(draw.integers(2, most + 1))
        chosen = draw.choice(size[0] * size[1], n, replace=False)  # distinct cells
        cells.append(np.stack([chosen % size[1], chosen // size[1]], -1))
        places[i, :n] = cells[-1] + draw.uniform(0, 1, (n, 2))
    return maps, cells, torch.from_numpy(places)


@pytest.mark.parametrize("levels", [0, 3], ids=["distinct values", "ties"])
@pytest.mark.parametrize("seed", range(3))
def test_auc_with_unfixated_negatives_and_distinct_fixated_cells(seed, levels):
    maps, cells, places = scene(seed, levels=levels)
    expected = Oracle(maps, cells).auc("unfixated", "fixations")
    np.testing.assert_allclose(saliency.auc_judd(torch.from_numpy(maps), places), expected, atol=ATOL)


@pytest.mark.parametrize("levels", [0, 3], ids=["distinct values", "ties"])
def test_shuffled_auc_against_the_fixations_of_all_other_pictures(levels):
    maps, cells, places = scene(5, levels=levels)
    expected = Oracle(maps, cells).auc("shuffled", "all")
    np.testing.assert_allclose(saliency.auc_shuffled(torch.from_numpy(maps), places), expected, atol=ATOL)


def test_nss_counts_every_fixation_as_often_as_it_was_made():
    maps, cells, places = scene(6)
    cells = [np.concatenate([c, c[:1]]) for c in cells]
    twice = torch.cat([places, places[:, :1]], 1)
    np.testing.assert_allclose(saliency.nss(torch.from_numpy(maps), twice), Oracle(maps, cells).nss(), atol=ATOL)


def test_kl_sim_and_cc_of_positive_maps_that_sum_to_one():
    (maps, _, _), (truth, _, _) = scene(7), scene(8)
    maps, truth = (m / m.sum((1, 2), keepdims=True) for m in (maps, truth))
    metrics = pysaliency().metrics
    ours = [torch.from_numpy(maps), torch.from_numpy(truth)]
    for function, oracle in (
        (saliency.kl_divergence, metrics.MIT_KLDiv),
        (saliency.similarity, metrics.SIM),
        (saliency.correlation, metrics.CC),
    ):
        expected = [oracle(a.copy(), b.copy()) for a, b in zip(maps, truth, strict=True)]
        np.testing.assert_allclose(function(*ours), expected, atol=ATOL, err_msg=str(oracle))


def test_where_pysaliency_answers_for_a_constant_map_we_say_that_it_cannot_be_judged():
    """It says 0 for NSS, the figure of a map at chance, as if the map had been compared; a mean over clips then hides them."""
    maps, cells, places = scene(9)
    maps[:] = 0.5
    oracle = Oracle(maps, cells)
    assert oracle.nss() == [0.0] * 4
    assert bool(saliency.nss(torch.from_numpy(maps), places).isnan().all())
    assert pysaliency().metrics.CC(maps[0], scene(1)[0][0]) == 0.0
    assert bool(saliency.correlation(torch.from_numpy(maps), torch.from_numpy(scene(1)[0])).isnan().all())
    # of AUC both say 0.5: no cell is above another
    assert (
        saliency.auc_judd(torch.from_numpy(maps), places).tolist() == oracle.auc("unfixated", "fixations") == [0.5] * 4
    )


def test_where_pysaliency_moves_negative_values_up_we_refuse():
    """What it returns is no divergence of the map that was given, but of another one; which nobody asked for."""
    maps, truth = np.array([[-1.0, 0.0, 3.0]]), np.array([[1.0, 1.0, 2.0]])
    moved = pysaliency().metrics.SIM(maps, truth)
    assert moved == pytest.approx(pysaliency().metrics.SIM(maps + 1, truth))
    with pytest.raises(KindError, match="hold negative values"):
        saliency.similarity(torch.from_numpy(maps)[None], torch.from_numpy(truth)[None])


def test_uniform_negatives_give_another_auc_and_are_not_ours():
    """pysaliency's default compares fixated cells with all cells, themselves among them: its best figure is below 1."""
    maps, places = np.zeros((1, 2, 2)), torch.tensor([[[0.5, 0.5]]])
    maps[0, 0, 0] = 1
    uniform = Oracle(maps, [np.array([[0, 0]])]).auc("uniform", "all")
    assert uniform == [0.875]
    assert saliency.auc_judd(torch.from_numpy(maps), places).tolist() == [1.0]
