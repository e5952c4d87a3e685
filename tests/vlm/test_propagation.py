"""Norms taken for constants: the same values, gradients by hand, relevance that adds up; patches by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from isotherm.adapters.vlm_patches import positive_per_patch
from isotherm.api import explain
from isotherm.vlm.frozen import frozen_norms


def manual(x):
    """A root-mean-square norm as models write it out."""
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)


NORMS = {
    "layer": lambda x: F.layer_norm(x, (6,), weight=torch.arange(1.0, 7).to(x), bias=torch.ones(6).to(x)), "rms": lambda x: F.rms_norm(x, (6,), weight=torch.arange(1.0, 7).to(x)),
    "written out": manual, "plain": lambda x: F.layer_norm(x, (6,)),
}  # fmt: skip


@pytest.mark.parametrize("name", NORMS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_values_are_the_same(name, dtype):
    x = torch.randn(3, 6, generator=torch.Generator().manual_seed(0)).to(dtype)
    with frozen_norms():
        inside = NORMS[name](x)
    torch.testing.assert_close(inside, NORMS[name](x), atol=1e-5 if dtype == torch.float32 else 0.05, rtol=1e-2)
    assert inside.is_contiguous()


@pytest.mark.parametrize(("name", "shifts"), [("rms", False), ("written out", False), ("plain", True)])
def test_gradients_pass_through_as_through_a_scaling(name, shifts):
    x = torch.randn(2, 6, generator=torch.Generator().manual_seed(1), requires_grad=True)
    weight = torch.randn(2, 6, generator=torch.Generator().manual_seed(2))
    score = (NORMS[name](x) * weight).sum()
    (true,) = torch.autograd.grad(score, x)
    with frozen_norms():
        (ours,) = torch.autograd.grad((NORMS[name](x) * weight).sum(), x)
    # Euler: the true gradient sums to nothing with the activations, ours to the score itself
    assert float((true * x).sum().detach().abs()) < 1e-3
    assert float((ours * x).sum().detach()) == pytest.approx(float(score.detach()), rel=1e-4)
    scale = x.detach().var(-1, unbiased=False, keepdim=True).rsqrt() if shifts else x.detach().pow(2).mean(-1, keepdim=True).rsqrt()
    given = weight * (torch.arange(1.0, 7) if name == "rms" else 1)
    given = given - given.mean(-1, keepdim=True) if shifts else given
    torch.testing.assert_close(ours, given * scale, atol=1e-4, rtol=1e-3)


def test_outside_of_the_block_nothing_has_changed():
    x = torch.randn(2, 6, requires_grad=True)
    with pytest.raises(ZeroDivisionError), frozen_norms():
        raise ZeroDivisionError
    (gradient,) = torch.autograd.grad((manual(x) ** 3).sum(), x)
    assert float((gradient * x).sum().detach().abs()) < 1e-3


def test_patches_by_hand():
    pixels = torch.tensor([[1.0, 2.0], [3.0, 6.0]])  # two patches of two values; their mean is 2, 4
    gradient = torch.tensor([[1.0, 1.0], [1.0, 0.5]])
    # -1 - 2 is negative; 1 + 1 is 2, spread over two values
    assert positive_per_patch(pixels, gradient, 1).tolist() == [[0.0, 0.0], [1.0, 1.0]]
    picture = torch.zeros(1, 3, 5, 4)
    picture[0, :, :2, 2:] = 3.0  # one of four patches is bright; the last row is seen by no patch
    picture[0, :, 4] = 100.0
    found = positive_per_patch(picture, torch.ones_like(picture), 2)
    assert found.shape == picture.shape
    assert float(found.sum()) == pytest.approx(12 * (3 - 0.75))
    assert float(found[0, :, :2, 2:].sum()) == pytest.approx(float(found.sum()))
    assert float(found[0, :, 4].abs().sum()) == 0


@pytest.mark.parametrize("family", ["qwen2_5_vl", "gemma3_crops", "idefics3", "llava_onevision"])
def test_relevance_is_where_the_score_depends_on_pixels(families, family):
    """A picture that is even but for one corner: all relevance is there, whatever the model is."""
    view, _ = families(family)
    picture = np.full((64, 64, 3), 120, np.uint8)
    picture[:24, :24] = np.random.default_rng(0).integers(0, 255, (24, 24, 3))
    found = explain(view, picture, prompt="how many red ?", answer="2", method="propagation", trust="off")[0]
    drawn = F.interpolate(found.values.nan_to_num(0.0)[None, None], (64, 64), mode="bilinear", align_corners=False)[0, 0]
    inside = float(drawn[:32, :32].sum() / drawn.sum())
    assert inside > 0.5  # the mean patch is not quite the even one, so some is left on it
    assert inside > 2 * 0.25


def test_propagation_through_a_video(families):
    view, _ = families("qwen2_vl")
    frames = [np.random.default_rng(i).integers(0, 255, (40, 72, 3), dtype=np.uint8) for i in range(4)]
    maps = explain(view, frames, prompt="how many red ?", answer="2", video_fps=2.0, method="propagation", trust="off")
    assert len(maps) == 2
    assert all(float(m.values.sum()) > 0 for m in maps)
