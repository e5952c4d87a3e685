"""The share of relevance inside of regions: of what is counted, the same together as alone, and its reasons."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from isotherm.api import explain, open_model
from isotherm.data.shape_questions import make_question
from isotherm.errors import NonFiniteError, OptionError
from isotherm.systems.relevance_reward import region_mask, relevance_reward
from rigs.breadth import wide


@pytest.fixture(scope="module")
def view():
    return open_model("tiny-vlm")


@pytest.fixture(scope="module")
def several():
    return [q for q in (make_question(seed, "count") for seed in range(30)) if q.answer in ("1", "2")][:4]


@pytest.fixture
def reads(view, monkeypatch):
    """How many rows each pass through the language model has."""
    rows, read = [], view.read

    def counted(prompt, streams, continuation, **options):
        rows.append(len(continuation))
        return read(prompt, streams, continuation, **options)

    monkeypatch.setattr(view, "read", counted)
    return rows


@pytest.mark.parametrize("method", ["attention_gradient", "propagation", *wide(["gradcam", "attention"])])
def test_together_is_as_alone(view, several, reads, method):
    pictures = [q.picture for q in several]
    regions = [q.evidence for q in several]
    options = {"prompt": "how many red ?", "method": method}
    together = relevance_reward(view, pictures, regions, **options)
    passes = len(reads)
    alone = relevance_reward(view, pictures, regions, **options, batch=1)
    np.testing.assert_allclose(together.shares, alone.shares, atol=1e-5)
    assert together.reasons == alone.reasons
    assert set(reads[:passes]) == {4}
    assert passes <= 2  # what would be said next, and the trace
    assert len(reads) - passes >= 8
    thirds = relevance_reward(view, pictures, regions, **options, batch=3)
    np.testing.assert_allclose(thirds.shares, alone.shares, atol=1e-5)


def test_pictures_prompts_and_sizes_that_differ_are_put_together_as_far_as_they_are_alike(view, several, reads):
    wide = np.pad(several[0].picture, ((0, 0), (0, 16), (0, 0)))
    pictures = [*(q.picture for q in several[:4]), wide]
    prompts = [several[0].question, "where is red ?", several[0].question, "where is red ?", several[0].question]
    regions = [[(0, 0, 24, 48)]] * 5
    together = relevance_reward(view, pictures, regions, prompt=prompts)
    assert reads[:2] == [2, 2]
    alone = relevance_reward(view, pictures, regions, prompt=prompts, batch=1)
    np.testing.assert_allclose(together.shares, alone.shares, atol=1e-5)
    assert together.reasons == alone.reasons


def test_a_picture_without_a_map_has_a_reason_and_leaves_the_others_theirs(view, several, monkeypatch):
    pictures, regions = [q.picture for q in several[:3]], [q.evidence for q in several[:3]]
    rewards = relevance_reward(view, pictures, regions, prompt="where is red ?", target="count")
    assert rewards.shares.tolist() == [0, 0, 0]
    assert all("has no number" in reason for reason in rewards.reasons)
    alone = relevance_reward(view, pictures, regions, prompt="where is red ?", target="count", batch=1)
    assert rewards.reasons == alone.reasons
    embed = view.embed_alike
    monkeypatch.setattr(view, "embed_alike", lambda prompts: tuple(s * torch.nan for s in embed(prompts)))
    whole = relevance_reward(view, pictures, regions, prompt="how many red ?")  # each is looked into by itself
    assert whole.reasons == ("",) * 3
    monkeypatch.undo()
    monkeypatch.setattr(view, "embed", lambda prompt: tuple(s * torch.nan for s in embed([prompt])))
    monkeypatch.setattr(view, "embed_alike", lambda prompts: tuple(s * torch.nan for s in embed(prompts)))
    with pytest.raises(NonFiniteError, match="the vision tokens hold"):
        relevance_reward(view, pictures, regions, prompt="how many red ?")


def test_relevance_lies_in_the_region_of_what_is_counted(view):
    several = [q for q in (make_question(seed, "count") for seed in range(30)) if q.answer in ("1", "2")][:4]
    pictures, prompts = [q.picture for q in several], [q.question for q in several]
    rewards = relevance_reward(view, pictures, [q.evidence for q in several], prompt=prompts)
    areas = np.array([q.evidence.mean() for q in several])
    assert (rewards.shares > 1.5 * areas).all()
    rest = relevance_reward(view, pictures, [~q.evidence for q in several], prompt=prompts)
    np.testing.assert_allclose(rewards.shares + rest.shares, 1, atol=1e-6)
    first = explain(view, pictures[0], prompt=prompts[0], method="attention_gradient", trust="off")[0]
    values = first.at_source().numpy()
    assert rewards.shares[0] == pytest.approx(values[several[0].evidence].sum() / values.sum(), rel=1e-4)
    assert rewards.reasons == ("",) * 4
    assert rewards.seconds == pytest.approx(4 * rewards.seconds_each)
    assert rewards.seconds > 0
    none = relevance_reward(view, pictures[:1], [[]], prompt="where is red ?", target="count")
    assert none.shares.tolist() == [0]
    assert "no number" in none.reasons[0]


def test_regions_that_are_none(view):
    assert region_mask([(0, 0, 2, 1), (2, 1, 3, 2)], (2, 3)).tolist() == [[True, True, False], [False, False, True]]
    with pytest.raises(OptionError, match=r"the mask is \(2, 2\) and the picture \(2, 3\)"):
        region_mask(np.ones((2, 2), bool), (2, 3))
    with pytest.raises(OptionError, match="a region is boxes"):
        region_mask([(0, 0, 2)], (2, 3))
    with pytest.raises(OptionError, match="batch is 0; expected at least 1"):
        relevance_reward(view, [], [], prompt="how many red ?", batch=0)
    assert len(relevance_reward(view, [], [], prompt="how many red ?").shares) == 0
    with pytest.raises(OptionError, match="there are 1 pictures, 0 regions and 1 prompts"):
        relevance_reward(view, [np.zeros((8, 8, 3), np.uint8)], [], prompt="how many red ?")
