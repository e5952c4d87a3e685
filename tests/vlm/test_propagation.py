"""Norms taken for constants: the same values, gradients by hand, relevance that adds up; patches by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from isotherm.api import explain
from isotherm.errors import MethodError
from isotherm.models.transformers.vlm.layouts.patches import beyond_mean_patch
from isotherm.vlm.fine_cells import blurred, fine_cells
from isotherm.vlm.frozen import frozen_norms
from isotherm.vlm.guards import guarded
from isotherm.vlm.methods import AttentionGradient, GradientActivation, Propagation
from isotherm.vlm.question import Question
from isotherm.vlm.scores import Answer, NextToken
from isotherm.vlm.trace import record


def manual(x):
    """A root-mean-square norm as models write it out."""
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)


NORMS = {
    "layer": lambda x: F.layer_norm(x, (6,), weight=torch.arange(1.0, 7).to(x), bias=torch.ones(6).to(x)),
    "rms": lambda x: F.rms_norm(x, (6,), weight=torch.arange(1.0, 7).to(x)),
    "written out": manual,
    "plain": lambda x: F.layer_norm(x, (6,)),
}


@pytest.mark.parametrize("name", NORMS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_values_are_the_same(name, dtype):
    x = torch.randn(3, 6, generator=torch.Generator().manual_seed(0)).to(dtype)
    with frozen_norms():
        inside = NORMS[name](x)
    torch.testing.assert_close(inside, NORMS[name](x), rtol=0, atol=0)
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
    scale = (
        x.detach().var(-1, unbiased=False, keepdim=True).rsqrt()
        if shifts
        else x.detach().pow(2).mean(-1, keepdim=True).rsqrt()
    )
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
    assert beyond_mean_patch(pixels, gradient, 1).tolist() == [[-1.0, -2.0], [1.0, 1.0]]
    picture = torch.zeros(1, 3, 5, 4)
    picture[0, :, :2, 2:] = 3.0  # one of four patches is bright; the last row is seen by no patch
    picture[0, :, 4] = 100.0
    found = beyond_mean_patch(picture, torch.ones_like(picture), 2)
    assert found.shape == picture.shape
    assert float(found.sum()) == pytest.approx(0, abs=1e-5)
    assert float(found[0, :, :2, 2:].sum()) == pytest.approx(12 * (3 - 0.75))
    assert float(found[0, :, 4].abs().sum()) == 0
    last = picture.movedim(1, -1)  # Inkling's processor gives colours last
    torch.testing.assert_close(beyond_mean_patch(last, torch.ones_like(last), 2), found.movedim(1, -1))
    # a second tile that only fills up the batch has no gradient, and is no part of the mean
    filled, pulls = (torch.cat([values, torch.zeros_like(values)]) for values in (picture, torch.ones_like(picture)))
    torch.testing.assert_close(beyond_mean_patch(filled, pulls, 2)[:1], found)


@pytest.mark.parametrize("family", ["qwen2_5_vl", "gemma3_crops", "idefics3", "llava_onevision"])
def test_relevance_is_where_the_score_depends_on_pixels(families, family):
    """A picture that is even but for one corner: all relevance is there, whatever the model is."""
    view, _ = families(family)
    picture = np.full((64, 64, 3), 120, np.uint8)
    picture[:24, :24] = np.random.default_rng(0).integers(0, 255, (24, 24, 3))
    found = explain(view, picture, prompt="how many red ?", answer="2", method="propagation", trust="off")[0]
    drawn = F.interpolate(found.values.nan_to_num(0.0)[None, None], (64, 64), mode="bilinear", align_corners=False)[
        0, 0
    ]
    inside = float(drawn[:32, :32].sum() / drawn.sum())
    assert inside > 0.5  # the mean patch is not quite the even one, so some is left on it
    assert inside > 2 * 0.25


def test_propagation_through_a_video(families):
    view, _ = families("qwen2_vl")
    frames = [np.random.default_rng(i).integers(0, 255, (40, 72, 3), dtype=np.uint8) for i in range(4)]
    maps = explain(view, frames, prompt="how many red ?", answer="2", video_fps=2.0, method="propagation", trust="off")
    assert len(maps) == 2
    assert all(float(m.values.sum()) > 0 for m in maps)


def of_picture(view, score=None):
    picture = np.random.default_rng(3).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    question = Question.of(view, view.ask([picture], "how many red ?"))
    return question, (score or Answer("2 red circle", per="token"))(question)


@pytest.mark.parametrize("family", ["qwen3_vl", "paligemma", "gemma3_crops", "llava_onevision"])
def test_two_stages_give_the_gradient_of_the_whole_model(families, family):
    """The language model's graph and the vision tower's, one after the other, against one graph from the pixels to the logits."""
    view, _ = families(family)
    question, (said,) = of_picture(view, NextToken("2", of="logit"))
    (found,) = guarded(Propagation(), record(question, [said], Propagation().needs))
    inputs = dict(question.prompt.inputs)
    pixels = inputs["pixel_values"].clone().requires_grad_()
    with torch.enable_grad(), frozen_norms():
        value = said.read(
            [view.model(**inputs | {"pixel_values": pixels}, use_cache=False, logits_to_keep=1).logits[0]]
        )
    (gradient,) = torch.autograd.grad(value, pixels)
    places = fine_cells(question.prompt)
    torch.testing.assert_close(
        found[0],
        blurred(view.positive_per_cell(question.prompt, pixels.detach(), gradient, places), places),
        rtol=1e-3,
        atol=1e-6 * float(found[0].abs().max()),
    )
    assert all(p.grad is None for p in view.model.parameters())


@pytest.mark.parametrize(
    "method", [Propagation(), AttentionGradient(), AttentionGradient(queries="answer")], ids=lambda m: m.name
)
def test_several_targets_together_are_each_by_itself(families, method):
    view, _ = families("qwen3_vl")
    question, said = of_picture(view)
    together = [values for values, _ in guarded(method, record(question, said, method.needs))]
    assert len(together) == 3
    assert float((together[0] - together[1]).abs().max()) > 0
    for one, values in zip(said, together, strict=True):
        torch.testing.assert_close(
            values, method(record(question, [one], method.needs)[0]), rtol=1e-4, atol=1e-6 * float(values.abs().max())
        )


def test_one_recording_serves_methods_with_and_without_frozen_norms(families):
    view, _ = families("qwen3_vl")
    question, said = of_picture(view)
    both = record(question, said[:1], Propagation().needs | GradientActivation().needs)[0]
    plain = record(question, said[:1], GradientActivation().needs)[0]
    torch.testing.assert_close(both.gradients, plain.gradients)
    assert float((both.need_frozen_gradients()[0] - plain.need_gradients()[0]).abs().max()) > 1e-3 * float(
        plain.need_gradients()[0].abs().max()
    )
    alone = record(question, said[:1], Propagation().needs)[0]
    assert alone.gradients is None  # nobody asked for them, and frozen ones must not pass for them
    assert alone.score == pytest.approx(plain.score, rel=1e-4)
    with pytest.raises(MethodError, match="recorded without"):
        Propagation()(plain)
    with pytest.raises(MethodError, match="no vision token changes"):
        guarded(
            Propagation(),
            [type(alone)(**vars(alone) | {"frozen_gradients": tuple(0 * g for g in alone.need_frozen_gradients())})],
        )


def test_the_vision_tower_runs_once_and_its_graph_is_given_away(families):
    view, _ = families("qwen3_vl")
    picture = np.random.default_rng(3).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    prompt = view.ask([picture], "how many red ?")
    runs: list[int] = []
    handle = view.model.model.visual.blocks[0].register_forward_hook(lambda *_: runs.append(1))
    try:
        question = Question.of(view, prompt, tower=True)
        said = Answer("2")(question)
        guarded(Propagation(), record(question, said, Propagation().needs))
    finally:
        handle.remove()
    assert len(runs) == 1  # computing a layer again for its gradient does not go through its hooks
    assert question._tower is None
    for with_graph, without in zip(question.streams, Question.of(view, prompt).streams, strict=True):
        torch.testing.assert_close(with_graph, without, rtol=0, atol=0)
