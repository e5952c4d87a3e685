"""Measured layouts agree with exact ones where there are any, open families that nobody knows, and refuse tokens without a place."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from isotherm.errors import AdapterError
from isotherm.models.transformers.vlm.families import layout_of
from isotherm.models.transformers.vlm.layouts.measured import MeasuredLayout
from isotherm.models.transformers.vlm.proof import image_token_id, video_token_id
from isotherm.models.transformers.vlm.view import TransformersVlm
from isotherm.vlm.blindness import image_states
from isotherm.vlm.explain import explain_answer
from isotherm.vlm.lay_out import token_centres
from isotherm.vlm.methods import AttentionGradient, Propagation
from isotherm.vlm.question import Question
from isotherm.vlm.scores import Answer
from isotherm.vlm.trace import record
from rigs.breadth import wide
from rigs.vlm_kin import opened
from rigs.vlm_models import FAMILIES, family


def measured(name):
    model, processor, _ = family(name)
    return MeasuredLayout(model, processor, token_id=image_token_id(model.config), name=name)


AGREE = [("qwen2_5_vl", [(48, 30), (40, 60)], 0.15), ("llava_next", [(64, 30)], 0.2)]
"""Two pictures, and tokens without a place behind tiles."""
AGREE_TOO = [("llava", [(64, 30)], 0.15), ("gemma3", [(60, 96)], 0.2), ("internvl", [(60, 96)], 0.15)]


@pytest.mark.parametrize(("name", "sizes", "most"), [*AGREE, *wide(AGREE_TOO)], ids=lambda value: str(value))
def test_a_measured_layout_agrees_with_the_exact_one(name, sizes, most):
    """Within a part of a cell, whatever the order of the tokens, the cuts and the tokens without a place."""
    model, processor, exact = family(name)
    view = TransformersVlm(model, processor, layout=exact)
    prompt = view.ask([np.zeros((*size, 3), np.uint8) for size in sizes], "how many red ?")
    layout = measured(name)
    for known, found in zip(prompt.pictures, layout.pictures(prompt.inputs, sizes), strict=True):
        assert any(found is again for again in layout.pictures({}, sizes))  # it is not measured once more
        assert found.count == known.count
        stated, seen = token_centres(known), token_centres(found)
        assert torch.equal(stated.isnan(), seen.isnan())
        cell = torch.full_like(stated, torch.nan)
        for grid in known.grids:
            cell[grid.token.flatten()] = grid.frame.cell_size.double()
        h, w = known.size
        inner = ((stated - cell / 2 > -1e-6) & (stated + cell / 2 < torch.tensor([w, h]) + 1e-6)).all(1)
        off = ((seen - stated) / cell)[inner].abs()
        assert off.max() < most
        # the error that is stated is that of single tokens, and the grid's is smaller
        assert found.off is not None
        assert ((seen - stated)[inner].abs().max()) < found.off[1]


def test_relevance_of_pixels_goes_to_the_same_tokens_as_by_the_exact_layout():
    """Propagation follows answers back to the pixels, and what a measured layout knows of them is gradients."""
    model, processor, exact = family("internvl")
    picture = np.random.default_rng(0).integers(0, 255, (60, 90, 3), dtype=np.uint8)
    values = []
    for layout in (exact, measured("internvl")):
        view = TransformersVlm(model, processor, layout=layout)
        (trace,) = record(
            Question.of(view, view.ask([picture], "how many red ?"), tower=True),
            Answer("two red")(Question.of(view, view.ask([picture], "how many red ?"))),
            Propagation().needs,
        )
        values.append(Propagation()(trace))
    assert torch.allclose(values[0], values[1], atol=1e-4 * float(values[0].max()))


@pytest.mark.parametrize("name", ["qwen2_vl", "llava_onevision"])
def test_a_measured_video_agrees_with_the_exact_one(name):
    """Two frames are one moment in the one, each frame is one in the other, and a token without a place ends the video."""
    model, processor, exact = family(name)
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 255, (40, 56, 3), dtype=np.uint8) for _ in range(4)]
    layout = MeasuredLayout(
        model, processor, token_id=image_token_id(model.config), name=name, video_token_id=video_token_id(model.config)
    )
    known, found = (
        TransformersVlm(model, processor, layout=one).ask_video(frames, "how many red ?", fps=2.0)
        for one in (exact, layout)
    )
    assert [p.count for p in found.pictures] == [p.count for p in known.pictures]
    for stated, seen in zip(known.pictures, found.pictures, strict=True):
        cell = float(stated.grids[0].frame.cell_size.max())
        off = (token_centres(seen) - token_centres(stated)).abs()
        assert torch.equal(off.isnan(), token_centres(stated).isnan())
        assert off.nan_to_num(0).max() < 0.25 * cell
    assert layout.video((40, 56), 4, 2.0) is layout.video((40, 56), 4, 2.0)


@pytest.mark.parametrize(("name", "count"), [("mistral3", 2), *wide([("gemma4", 1)])])
def test_prompts_of_a_measured_model_may_be_padded_on_either_side(name, count):
    """Of one form, together: the vision tokens of each stand where those of a prompt alone do."""
    view = opened(name)
    rng = np.random.default_rng(0)
    shown = [[rng.integers(0, 255, (40, 56, 3), dtype=np.uint8) for _ in range(count)] for _ in range(2)]
    texts = ("how many red ?", "where is blue circle ? yes")
    alone = [image_states(view, view.ask(several, text)) for several, text in zip(shown, texts, strict=True)]
    for side in ("left", "right"):
        batch = view.batch(shown, texts, side=side)
        assert bool((batch.inputs["attention_mask"][:, 0 if side == "left" else -1] == 0).any())
        with torch.no_grad():
            states = view.states(batch)
        for i, known in enumerate(alone):
            assert torch.allclose(states[i, batch.positions[i]], known, atol=2e-4)


class Queries(torch.nn.Module):
    """Tokens by attention, from as many queries as there are patches, as if each of them looked at itself."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner
        self.query, self.attention = torch.randn(1, 64, 48), torch.nn.MultiheadAttention(48, 4, batch_first=True)

    def forward(self, features):
        keys = self.inner(features)
        return self.attention(self.query, keys, keys)[0]


def test_tokens_of_queries_stand_for_no_place():
    model, processor = FAMILIES["paligemma"]()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model.model.multi_modal_projector = Queries(model.model.multi_modal_projector)
    with pytest.raises(AdapterError, match=r"measured: of 12 tokens of mystery only \d answer most to the pixels"):
        layout_of("mystery", model.config, processor, model=model)


def test_a_family_that_nobody_knows_is_measured_and_its_maps_say_so():
    """Tiles and ends of rows, of which no simple layout proves itself."""
    model, processor, exact = family("llava_next")
    layout = layout_of("mystery", model.config, processor, model=model)
    assert isinstance(layout, MeasuredLayout)
    view = TransformersVlm(model, processor, layout=layout)
    picture = np.random.default_rng(0).integers(0, 255, (60, 90, 3), dtype=np.uint8)
    maps = explain_answer(view, [picture], "how many red ?", score=Answer(), methods=[AttentionGradient()], trust="off")
    (note,) = [n for n in maps.notes if "measured" in n]
    assert "no exact layout is known of this family: single tokens were found" in note
    assert 0 < maps[0].meta["place_error_px"] < 15
    known = explain_answer(
        TransformersVlm(model, processor, layout=exact),
        [picture],
        "how many red ?",
        score=Answer(),
        methods=[AttentionGradient()],
        trust="off",
    )
    assert not [n for n in known.notes if "measured" in n]
    assert "place_error_px" not in known[0].meta
    a, b = (torch.as_tensor(m[0].values).nan_to_num() for m in (maps, known))
    assert torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1] > 0.95
