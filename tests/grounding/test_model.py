"""Pictures and an instruction become maps, for every family of language models, and the instruction must arrive."""

from __future__ import annotations

import copy
import warnings

import numpy as np
import pytest
import torch

from isotherm.errors import OptionError
from isotherm.frame import Frame
from isotherm.grounding.model import GroundingModel, state_size
from isotherm.heads import ConvexUpsample, LinearHead
from rigs.toy_language_view import Toy
from rigs.vlm_models import FAMILIES

TEXTS = ("where is red ?", "where is blue circle ?")
WORDS = ("where is red ?", "where is blue ?")


def pictures(count: int, prompts: int = 2, size=(48, 48)):
    rng = np.random.default_rng(0)
    shown = [rng.integers(0, 255, (*size, 3), dtype=np.uint8) for _ in range(count)]
    return [shown] * prompts


def fresh(families, family):
    """A view of its own, since freezing changes the model; tests of other files share the first."""
    view, _ = families(family)
    return copy.deepcopy(view, {id(view.processor): view.processor})


def model_of(view, *, ratio: int = 2, outputs: int = 1, **options):
    torch.manual_seed(0)
    head = ConvexUpsample(state_size(view), outputs, ratio=ratio, hidden_dim=8)
    return GroundingModel(view, head, probes=options.pop("probes", WORDS), **options).eval()


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_gives_maps_that_depend_on_the_instruction(families, family):
    """Two pictures of a prompt, two prompts of unequal length: the same pictures, other words, other maps."""
    view = fresh(families, family)
    count = 1 if family == "gemma3_crops" else 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = model_of(view, frozen=True)
    batch = model.batch(pictures(count), TEXTS)
    maps = model(batch)
    assert maps.shape[:3] == (2, count, 1)
    frame = Frame.stack([Frame.stack([Frame.resize((96, 96), (48, 48))] * count)] * 2)
    assert model.output_frame(batch, frame).size == tuple(maps.shape[-2:])
    assert float((maps[0] - maps[1]).detach().abs().max()) > 1e-5
    assert model.instruction_change > 1e-4


@pytest.mark.parametrize("family", ["qwen3_vl", "llava", "smolvlm"])
def test_a_causal_model_as_it_is_is_blind_and_says_so(families, family):
    view = fresh(families, family)
    with pytest.warns(
        UserWarning, match=r"change by 0 of their size.*choose conditioning 'text_first' or 'text_query'"
    ):
        model = model_of(view, conditioning="as_is")
    batch = model.batch(pictures(1), WORDS)
    maps = model(batch)
    assert torch.equal(maps[0], maps[1])


def test_a_text_query_tells_a_head_on_blind_states(families):
    view = fresh(families, "qwen3_vl")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = model_of(view, conditioning="text_query", frozen=True)
    assert model.instruction_change == 0
    batch = model.batch(pictures(1), WORDS)
    assert torch.equal(*model(batch))  # at first it changes nothing, so that it can be put on a trained head
    (gradient,) = torch.autograd.grad(model(batch)[0].sum(), model.query.to_channels.weight)
    assert float(gradient.abs().max()) > 0
    torch.nn.init.normal_(model.query.to_channels.weight, std=0.1)
    maps = model(batch)
    assert float((maps[0] - maps[1]).detach().abs().max()) > 1e-3


def test_auto_puts_the_text_first_only_where_a_mask_hides_it(families):
    assert model_of(fresh(families, "qwen3_vl")).conditioning == "text_first"
    assert model_of(fresh(families, "paligemma")).conditioning == "as_is"


def test_a_frozen_language_model_gets_no_graph_and_stays_in_evaluation_mode(families):
    view = fresh(families, "paligemma")
    model = model_of(view, frozen=True).train()
    assert not model.vlm.training
    assert model.head.training
    model(model.batch(pictures(1), WORDS)).sum().backward()
    assert all(p.grad is None for p in model.vlm.parameters())
    assert all(p.grad is not None for p in model.head.parameters())


def test_maps_lie_where_the_picture_changes(families):
    """Of a head that adds up all channels: the frame of the maps leads back through a letterbox to the source."""
    view = fresh(families, "paligemma")
    head = LinearHead(state_size(view), 1, ratio=2)
    model = GroundingModel(view, head, frozen=True, probes=None, normalise=False)
    grey = np.full((32, 32, 3), 128, np.uint8)
    spot = grey.copy()
    spot[20:28, 4:12] = (255, 0, 0)
    batch = model.batch([[grey], [spot]], ["red"] * 2)
    with torch.no_grad():
        features = model.features(batch)
    apart = (features[1, 0] - features[0, 0]).abs().mean(0)
    y, x = divmod(int(apart.argmax()), apart.shape[1])
    letterbox = Frame.letterbox((64, 128), (32, 32))
    frame = model.grid_frame(batch, Frame.stack([Frame.stack([letterbox])] * 2))
    centre = frame.points_to_source(torch.tensor([x + 0.5, y + 0.5]).expand(2, 1, 1, 2))[0, 0, 0]
    assert (centre - letterbox.points_to_source(torch.tensor([[8.0, 24.0]]))[0]).abs().max() <= 4 * 4
    assert model.output_frame(batch, Frame.stack([Frame.stack([letterbox])] * 2)).size == (16, 16)


def test_a_copy_shares_what_is_frozen_and_its_view_reads_the_copy(families):
    view = fresh(families, "paligemma")
    model = model_of(view, frozen=True)
    twin = copy.deepcopy(model)
    assert twin.view.model is twin.vlm
    assert twin.view.processor is view.processor
    assert next(twin.vlm.parameters()) is next(model.vlm.parameters())
    assert next(twin.head.parameters()) is not next(model.head.parameters())
    batch = model.batch(pictures(1), WORDS)
    assert torch.equal(twin(batch), model(batch))


def test_what_cannot_be_a_grounding_model_is_refused(families, unchecked):
    view = fresh(families, "paligemma")
    with pytest.raises(OptionError, match="conditioning is 'first'; expected one of auto"):
        model_of(view, conditioning="first")
    toy = Toy(lambda tokens, said: tokens.sum(0), ["a", "b"], (torch.zeros(4, 2),), (2, 2))
    with pytest.raises(OptionError, match="the model is a Toy; expected a vision-language model that takes several"):
        GroundingModel(toy, LinearHead(4, 1))
