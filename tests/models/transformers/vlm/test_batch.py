"""Prompts of every family, several at once: padded on either side, their states are those of each prompt by itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from isotherm.errors import AdapterError, OptionError, ShapeError
from isotherm.models.transformers.vlm.layouts.measured import MeasuredLayout
from isotherm.models.transformers.vlm.view import TransformersVlm
from isotherm.vlm.batch import BatchedView
from isotherm.vlm.blindness import image_states
from isotherm.vlm.features import picture_features
from rigs.breadth import wide
from rigs.vlm_batches import batch_apart
from rigs.vlm_kin import EVERY, opened, opened_or_none
from rigs.vlm_models import FAMILIES

TEXTS = ("how many red ?", "where is blue circle ? yes", "red ?")


def pictures(count: int, size=(40, 56), prompts: int = 3):
    rng = np.random.default_rng(0)
    return [[rng.integers(0, 255, (*size, 3), dtype=np.uint8) for _ in range(count)] for _ in range(prompts)]


@pytest.mark.parametrize(
    ("family", "side"),
    [
        *((f, "left") for f in ("qwen2_5_vl", "gemma3", "llava_onevision", "idefics3")),
        *((f, "right") for f in ("qwen3_vl", "paligemma", "llava_next")),
        *wide((f, "left") for f in FAMILIES if f not in ("qwen2_5_vl", "gemma3", "llava_onevision", "idefics3")),
    ],
)
def test_padded_on_either_side_states_are_those_of_each_prompt_alone(families, family, side):
    view, _ = families(family)
    count = 1 if family == "gemma3_crops" else 2
    shown = pictures(count)
    assert isinstance(view, BatchedView)
    batch = view.batch(shown, TEXTS, side=side)
    padded = batch.inputs["attention_mask"] == 0
    assert bool(padded[:, 0 if side == "left" else -1].any())
    with torch.no_grad():
        states = view.states(batch)
        grids = batch.features(states)
        ends = batch.at_last(states)
    assert grids.shape[:2] == (3, count)
    for i, (several, text) in enumerate(zip(shown, TEXTS, strict=True)):
        prompt = view.ask(several, text)
        alone = image_states(view, prompt)
        assert torch.allclose(states[i, batch.positions[i]], alone, atol=2e-4)
        nothing = torch.zeros(1, 0, dtype=torch.long)
        with torch.no_grad():
            hidden = view.read(prompt, view.embed(prompt), nothing).hidden[0]
        assert torch.allclose(ends[i], hidden[-1], atol=2e-4)
        for j, known in enumerate(picture_features(alone, prompt)):
            if len(known) == 1:
                assert torch.allclose(grids[i, j], known[0].features, atol=2e-4)
                assert batch.grids[j].frame.allclose(known[0].frame)


WIDE = (252, 437)
"""The size by which models prove themselves: it is measured where a layout is, and kept."""
MECHANISMS = [("ernie4_5_vl_moe", "left"), ("paligemma", "right"), ("video_llava", "left"), ("mistral3", "right")]
"""Experts that are chosen by the type of a token; a prefix; pixels by another name; a measured layout."""
NO_BATCH = {
    "aria": "stand for no place",
    "blip-2": "stand for no place",
    "deepseek_ocr2": "stand for no place",
    "idefics2": "stand for no place",
    "instructblip": "stand for no place",
}
"""Families whose tokens are in no grid."""
ALL = [(name, side) for name in EVERY if name not in NO_BATCH for side in ("left", "right")]


@pytest.mark.filterwarnings("ignore")  # of packages that would be faster
@pytest.mark.parametrize(("name", "side"), [*MECHANISMS, *wide(p for p in ALL if p not in MECHANISMS)])
def test_padded_prompts_of_every_family_have_the_states_of_each_alone(name, side):
    view = opened_or_none(name)
    if not isinstance(view, TransformersVlm):
        return  # it is refused, or read as a whole, one prompt at a time
    size = WIDE if isinstance(view.layout, MeasuredLayout) and "inkling" not in name else (40, 56)
    if (name, side) == ("fuyu", "right"):
        with pytest.raises(AdapterError, match=r"fuyu .* pads prompts on the left whatever is asked"):
            batch_apart(view, size, side)
    else:
        assert batch_apart(view, size, side) < 1e-4


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("name", "message"), [("idefics2", NO_BATCH["idefics2"]), *wide(p for p in NO_BATCH.items() if p[0] != "idefics2")]
)
def test_why_a_family_has_no_batches_is_said(name, message):
    with pytest.raises(AdapterError, match=message):
        opened(name).batch(pictures(1), TEXTS)


@pytest.mark.parametrize("family", ["qwen3_vl", "paligemma", "gemma3", "smolvlm", "llava"])
def test_while_training_states_are_the_same(families, family):
    """No attention mask may depend on the mode, as PaliGemma's prefix could."""
    view, _ = families(family)
    batch = view.batch(pictures(1), TEXTS)
    with torch.no_grad():
        before = view.states(batch)
        view.model.train()
        try:
            during = view.states(batch)
        finally:
            view.model.eval()
    assert torch.allclose(before, during, atol=1e-5)


def test_gradients_reach_the_language_model(families):
    view, _ = families("qwen3_vl")
    weight = view.model.get_decoder().layers[0].self_attn.q_proj.weight
    batch = view.batch(pictures(1), TEXTS, text_first=True)
    (gradient,) = torch.autograd.grad(batch.features(view.states(batch)).square().sum(), weight)
    assert float(gradient.abs().max()) > 0


def test_what_is_no_batch_is_refused(families):
    view, _ = families("qwen3_vl")
    shown = pictures(1)
    with pytest.raises(OptionError, match="pictures for 3 prompts and 2 texts"):
        view.batch(shown, TEXTS[:2])
    with pytest.raises(OptionError, match="the text is empty"):
        view.batch(shown, ("red", " ", "blue"))
    with pytest.raises(OptionError, match="a prompt has no pictures"):
        view.batch([[], [], []], TEXTS)
    with pytest.raises(ShapeError, match=r"of \[\(40, 56\)\] pixels .* of another \[\(8, 8\)\]"):
        view.batch([*shown[:2], [np.zeros((8, 8, 3), np.uint8)]], TEXTS)
    mixed = view.batch([[np.zeros((40, 56, 3), np.uint8), np.zeros((16, 16, 3), np.uint8)]], ["red"])
    with pytest.raises(ShapeError, match="become grids of"):
        mixed.features(torch.zeros(*mixed.inputs["input_ids"].shape, 4))
