"""Causal models do not know the instruction at a picture that comes before it: measured, warned of, and cured."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from isotherm.errors import OptionError
from isotherm.vlm.blindness import check_instruction_arrives, image_states, instruction_change

PICTURE = np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8)
TEXTS = ("how many red ?", "where is blue ?")


def prompts(view, **options):
    return [view.ask([PICTURE], text, **options) for text in TEXTS]


@pytest.mark.parametrize("family", ["qwen2_5_vl", "qwen3_vl", "llava", "smolvlm"])
def test_a_causal_model_with_the_picture_first_is_blind_and_the_figure_says_so(families, family):
    view, _ = families(family)
    with pytest.warns(UserWarning, match=r"change by 0 of their size.*text_first=True"):
        assert check_instruction_arrives(view, *prompts(view)) == 0


@pytest.mark.parametrize("family", ["qwen2_5_vl", "qwen3_vl", "llava", "smolvlm"])
def test_with_the_text_first_it_sees(families, family):
    view, _ = families(family)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        change = check_instruction_arrives(view, *prompts(view, text_first=True))
    assert change > 0.05


def test_a_prefix_that_sees_itself_both_ways_knows(families):
    view, _ = families("paligemma")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert check_instruction_arrives(view, *prompts(view)) > 0.005


def test_states_are_those_of_the_pictures_own_tokens(families):
    view, _ = families("qwen2_5_vl")
    first, _ = prompts(view)
    states = image_states(view, first)
    assert len(states) == sum(picture.count for picture in first.pictures)
    other = view.ask([255 - PICTURE], TEXTS[0])
    assert (image_states(view, other) - states).abs().max() > 0.01


@pytest.mark.parametrize("family", ["paligemma", "qwen3_vl", "smolvlm"])
def test_states_are_read_without_logits_of_every_token(families, family):
    """Of 790 tokens and 257 000 words they would be most of the work; the circulating module computes and drops them."""
    view, _ = families(family)
    seen = []
    hook = view.model.get_output_embeddings().register_forward_pre_hook(lambda _m, args: seen.append(args[0].shape[-2]))
    try:
        image_states(view, prompts(view)[0])
        view.states(view.batch([[PICTURE]], [TEXTS[0]]))
    finally:
        hook.remove()
    assert sum(seen) <= 1


def test_prompts_that_do_not_go_together_are_refused(families):
    view, _ = families("qwen2_5_vl")
    first, _ = prompts(view)
    with pytest.raises(OptionError, match="both prompts say 'how many red"):
        instruction_change(view, first, first)
    with pytest.raises(OptionError, match="ask about the same pictures"):
        instruction_change(view, first, view.ask([PICTURE, PICTURE], TEXTS[1]))
