"""A quarter of the families that docs/vlm_models.md lists, through their real processors: the model judges where its tokens lie, and methods work."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from isotherm.models.transformers.vlm.layouts.measured import MeasuredLayout
from isotherm.models.transformers.vlm.layouts.qwen import QwenLayout
from isotherm.models.transformers.vlm.prompts import last_states
from isotherm.models.transformers.vlm.view import TransformersVlm
from isotherm.vlm.choose import answer_methods
from isotherm.vlm.explain import explain_answer
from isotherm.vlm.scores import Answer
from rigs.breadth import wide
from rigs.vlm_black_box import black_box
from rigs.vlm_kin import EVERY, opened, opened_or_none

OPEN = {"qwen3_5": QwenLayout, "mistral3": MeasuredLayout}
"""The layout of a kin, with layers of linear attention among others, and the cheapest of those that are measured."""
OTHERS = {"glm46v": QwenLayout, "llama4": MeasuredLayout, "gemma4": MeasuredLayout, "ovis2": MeasuredLayout}
WIDE = (252, 437)
"""The size of the picture by which these models prove themselves: it is measured where a layout is, and kept."""


@pytest.mark.filterwarnings("ignore")  # of packages that would be faster
@pytest.mark.parametrize(("name", "layout"), [*OPEN.items(), *wide(OTHERS.items())])
def test_a_family_opens_its_model_agrees_and_methods_explain_it(name, layout):
    view = opened(name)
    assert type(view.layout) is layout
    for sizes in ([WIDE], [(50, 40), (30, 60)]):
        verdict = black_box(view, sizes, most=6)
        assert verdict.right, verdict
    picture = np.random.default_rng(0).integers(0, 255, (*WIDE, 3), dtype=np.uint8)
    methods = [answer_methods()[m] for m in ("propagation", "token_occlusion", "integrated_gradients")]
    maps = explain_answer(view, [picture], "how many red ?", score=Answer("two red"), methods=methods)
    assert all(m.has_evidence for m in maps)
    assert len(maps.trust_lines) == 3
    assert bool([n for n in maps.notes if "no vision token can be hidden" in n]) == (name == "qwen3_5")


def test_a_wrong_place_is_seen_by_the_black_box():
    """So that the verdicts above say something."""
    view = TransformersVlm(*EVERY["paligemma"]())
    (picture,) = view.layout.pictures({}, [(60, 90)])
    (grid,) = picture.grids
    view.layout.pictures = lambda inputs, sizes: [
        type(picture)(picture.size, (type(grid)(grid.frame, grid.token.flip(1)),), picture.count)
    ]
    assert not black_box(view, [(60, 90)]).right


def test_the_verdict_hides_no_token_where_a_layer_has_no_attention():
    """Linear attention would pass on what is hidden."""
    assert not opened("qwen3_5").hides
    assert opened("qwen2_vl").hides


READ = ["ernie4_5_vl_moe", "ovis2", "hunyuan_vl"]
"""Experts by the type of a token, words that are embedded anew beside a picture, positions that count pictures."""


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [*READ, *wide(n for n in EVERY if n not in READ)])
def test_what_is_read_from_vision_tokens_is_what_the_model_makes_of_the_pictures(name):
    """All states of the prompt, and of two versions of it those of each alone."""
    view = opened_or_none(name)
    if not isinstance(view, TransformersVlm):
        return  # it is refused, or read as a whole, which proves itself at opening
    size = WIDE if isinstance(view.layout, MeasuredLayout) and "inkling" not in name else (40, 56)
    prompt = view.ask([np.random.default_rng(0).integers(0, 255, (*size, 3), dtype=np.uint8)], "how many red ?")
    kept = []
    after = view.decoder.register_forward_hook(lambda _module, _args, output: kept.append(last_states(output)))
    with torch.no_grad():
        view.model(**prompt.inputs, use_cache=False)
        after.remove()
        streams = view.embed(prompt)
        words = torch.tensor([view.vocabulary.encode("red blue")])
        alone = view.read(prompt, streams, words)
        versions = tuple(torch.cat([s.flip(1), s]) for s in streams)
        both = view.read(prompt, versions, torch.cat([words.flip(1), words]))
    length = len(prompt.ids)
    if view.causal:
        assert torch.allclose(alone.hidden[0, :length], kept[0][0], atol=1e-4)
    assert torch.allclose(both.hidden[1], alone.hidden[0], atol=1e-4)
    assert torch.allclose(both.logits[1], alone.logits[0], atol=1e-4)
