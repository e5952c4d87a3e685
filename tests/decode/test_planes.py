"""Views along axes without their volume: what the walk through the volume finds, values and gradients."""

from __future__ import annotations

import pytest
import torch

from isotherm.decode.planes import Planes, search
from isotherm.decode.volume import moments, walk

VOXELS = (6, 5, 7)
SHAPES = {"top": (1, 5, 6), "front": (7, 5, 1), "right": (7, 1, 6)}


def views(names, spread, *, batch=2):
    return [(spread * torch.randn(batch, *SHAPES[name])).double().requires_grad_() for name in names]


@pytest.mark.parametrize("spread", [0.1, 3.0, 60.0])
@pytest.mark.parametrize("names", [("top", "front", "right"), ("front", "top"), ("right", "top", "front", "top")])
def test_it_finds_what_the_walk_finds(names, spread):
    tables = views(names, spread)
    planes = Planes.of(tables, VOXELS)
    found = []
    for way in (search, walk):
        best, marginals = way(planes, planes, 2, VOXELS)
        mean, covariance = moments(*marginals)
        gradients = torch.autograd.grad(mean.sum() + covariance.diagonal(dim1=1, dim2=2).sum(), tables)
        found.append((best, mean, covariance, *gradients))
    assert torch.equal(found[0][0], found[1][0])
    for mine, walked in zip(*found, strict=True):
        assert torch.allclose(mine, walked, atol=1e-9)


@pytest.mark.parametrize("slab", [1, 100, 1 << 18])
def test_the_best_voxel_of_other_scores(slab, monkeypatch):
    """As by a mean of probabilities: the place is of one field, the posterior of the other; slabs of any depth."""
    monkeypatch.setattr("isotherm.decode.planes.SLAB", slab)
    field, ranked = (Planes.of(views(SHAPES, 2.0), VOXELS) for _ in range(2))
    best, marginals = search(field, ranked, 2, VOXELS)
    walked, expected = walk(field, ranked, 2, VOXELS)
    assert torch.equal(best, walked)
    assert not torch.equal(best, field.best())
    assert all(torch.allclose(a, b, atol=1e-12) for a, b in zip(moments(*marginals), moments(*expected), strict=True))
    total = ranked.total(0, 7)
    x, y, z = best.unbind(-1)
    assert torch.equal(total[torch.arange(2), z, y, x], total.flatten(1).amax(1))


def test_views_that_rule_each_other_out_are_walked():
    """A product of such numbers is 0 in any precision; the walk weighs each against the best so far."""
    tables = [torch.full((1, *shape), -1e4) for shape in SHAPES.values()]
    tables[0][0, 0, 1, 1] = tables[1][0, 3, 4, 0] = tables[2][0, 6, 0, 5] = 0.0
    planes = Planes.of(tables, VOXELS)
    assert planes.marginals(planes.best()) is None
    found, walked = (moments(*way(planes, planes, 1, VOXELS)[1]) for way in (search, walk))
    assert all(torch.equal(a, b) for a, b in zip(found, walked, strict=True))
    assert torch.isfinite(found[0]).all()
