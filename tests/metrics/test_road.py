"""ROAD: exact counts, right pictures, right combination; where pytorch-grad-cam's percentile goes wrong."""

from __future__ import annotations

import pytest
import torch

from isotherm.errors import OptionError
from isotherm.metrics import linear_imputation, random_maps, road


def linear(weights):
    return lambda x, target: (x * weights[target]).sum((1, 2, 3))


def test_pictures_and_combination_by_hand():
    torch.manual_seed(0)
    picture, maps = torch.randn(1, 2, 12, 14), torch.randn(1, 12, 14)
    seen = []

    def score(x, target):
        seen.append(x)
        return x.sum((1, 2, 3))

    found = road(maps, picture, score, fractions=(0.25, 0.75), noise=0.0)
    x = torch.cat(seen)
    order = maps.flatten().argsort(descending=True)
    for i, (count, top) in enumerate([(42, True), (126, True), (42, False), (126, False)]):
        removed = torch.zeros(168, dtype=torch.bool)
        removed[order[:count] if top else order[-count:]] = True
        want = linear_imputation(picture, removed.reshape(1, 12, 14))[0]
        assert torch.allclose(x[1 + i], want, atol=1e-5)
    scores = x.sum((1, 2, 3)).double()
    assert torch.allclose(found.morf[0], scores[1:3])
    assert torch.allclose(found.lerf[0], scores[3:])
    assert found.combined.item() == pytest.approx(((scores[3:] - scores[1:3]).mean() / 2).item())
    assert found.whole.item() == scores[0].item()


def test_combined_equals_pytorch_grad_cam_on_maps_without_ties(monkeypatch):
    from pytorch_grad_cam.metrics import road as theirs
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    def quiet(self, noise=0.0, weighting=None):
        self.noise = 0.0

    monkeypatch.setattr(theirs.NoisyLinearImputer, "__init__", quiet)
    # 5 x 20 pixels: at every tenth the number of pixels above the percentile is a whole one
    picture, cam = torch.randn(1, 3, 5, 20), torch.rand(1, 5, 20)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(300, 4)).eval()
    with pytest.warns(DeprecationWarning, match="__array_wrap__"):
        want = theirs.ROADCombined()(picture, cam.numpy(), [ClassifierOutputTarget(2)], model)
    got = road(cam, picture, lambda x, t: model(x)[:, 2], noise=0.0)
    assert got.combined.item() == pytest.approx(float(want[0]), abs=1e-5)


def test_a_map_that_is_zero_on_half_of_the_picture_loses_just_what_was_asked():
    """pytorch-grad-cam's threshold at the 10th percentile of such a map is 0, and removes the whole picture."""
    from pytorch_grad_cam.metrics.perturbation_confidence import RemoveMostRelevantFirst

    cam = torch.randn(16, 16).relu()
    kept = []
    RemoveMostRelevantFirst(10, lambda x, mask: kept.append(mask) or x)(torch.zeros(3, 16, 16), cam)
    assert kept[0].sum() == 0  # nothing is left to impute from
    seen = []

    def score(x, target):
        seen.append(x)
        return x.sum((1, 2, 3))

    picture = torch.randn(1, 1, 16, 16)
    road(cam[None], picture, score, fractions=(0.9,), noise=0.0)
    changed = (torch.cat(seen)[1:] != picture).sum((1, 2, 3))
    assert changed.tolist() == [230, 230]


def test_truth_scores_above_chance_and_random_maps_at_it():
    torch.manual_seed(1)
    t, size = 16, (24, 24)
    # relevance in patches: what a patch says cannot be read off its neighbours
    patches = torch.nn.functional.interpolate(torch.randn(t, 1, 6, 6), size, mode="nearest")
    pictures, score = patches.clone(), linear(patches)
    truth = road((pictures * patches)[:, 0], pictures, score, fractions=(0.2, 0.5, 0.8))
    assert (truth.combined > 0).all()
    chance = road(random_maps(t, size, grid=(6, 6), seed=5), pictures, score, fractions=(0.2, 0.5, 0.8))
    spread = chance.combined.std().item() / t**0.5
    assert abs(chance.combined.mean().item()) < 3 * spread
    assert truth.combined.mean().item() > 10 * spread


def test_noise_is_seeded_and_independent_of_the_batch():
    pictures, maps = torch.randn(2, 1, 10, 10), torch.randn(2, 10, 10)
    score = linear(torch.randn(2, 1, 10, 10))
    one = road(maps, pictures, score, noise=0.3, batch=1)
    assert torch.allclose(one.morf, road(maps, pictures, score, noise=0.3, batch=64).morf, atol=1e-4)
    assert not torch.allclose(one.morf, road(maps, pictures, score, noise=0.3, seed=1).morf, atol=1e-2)
    assert not torch.allclose(one.morf, road(maps, pictures, score, noise=0.0).morf, atol=1e-2)


def test_the_region_holds():
    picture, seen = torch.randn(1, 1, 10, 10), []
    region = torch.zeros(1, 10, 10, dtype=torch.bool)
    region[:, :5] = True
    road(
        torch.randn(1, 10, 10),
        picture,
        lambda x, t: (seen.append(x), x.sum((1, 2, 3)))[1],
        region=region,
        fractions=(0.5,),
    )
    changed = torch.cat(seen)[1:] != picture
    assert changed.sum((1, 2, 3)).tolist() == [25, 25]
    assert not changed[:, 0][~region.expand(2, 10, 10)].any()


def test_mistakes():
    for fractions in ((), (0.0, 0.5), (1.0,)):
        with pytest.raises(OptionError, match="fractions"):
            road(torch.zeros(1, 4, 4), torch.zeros(1, 1, 4, 4), linear(torch.zeros(1, 1, 4, 4)), fractions=fractions)
