"""A parameter that is to be trained and is not stops the run with its name; a closed gate does not."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from isotherm.errors import OptionError
from isotherm.gaze.fusion import fusion_from
from isotherm.gaze.gate import Gate, opened_gates
from isotherm.gaze.objective import anticipation_loss
from isotherm.gaze.trainable import check_gradients, expect_gradients
from isotherm.train.peft import Lora, adapt_blocks
from rigs.anticipation_models import clips_of, loss_of, random_gaze, tiny_model

CONFIG = fusion_from({"name": "patch_add", "at": "embeddings"})


class Frozen(nn.Module):
    """The published mistake: a new embedding within what runs without gradients."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.head = nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            x = self.embedding(x)
        return self.head(x)


def test_an_embedding_in_a_wrapper_without_gradients_is_named():
    model = Frozen()
    model(torch.ones(1, 4)).sum().backward()
    with pytest.raises(OptionError, match=r"2 parameters .* embedding.weight \(no gradient.*embedding.bias") as caught:
        expect_gradients(model)
    assert "head" not in str(caught.value)
    with pytest.raises(OptionError, match=r"embedding\.weight"):
        check_gradients(model, lambda: model(torch.ones(1, 4)).sum())


def test_declared_parameters_that_are_frozen_or_are_none_are_named():
    model = tiny_model(CONFIG)
    loss_of(model(clips_of(), random_gaze())).backward()
    expect_gradients(model)
    names = ["fusion.gate.weight", "backbone.model.encoder.layernorm.bias", "fusion.gait"]
    with pytest.raises(OptionError, match=r"layernorm.bias \(it is frozen\); fusion.gait \(the model has no such"):
        expect_gradients(model, names)
    with pytest.raises(OptionError, match="no trainable parameter"):
        expect_gradients(model.requires_grad_(False))


def test_zeros_behind_a_closed_gate_are_no_mistake_but_others_are():
    model = tiny_model(CONFIG)
    loss_of(model(clips_of(), random_gaze())).backward()
    assert not model.fusion.states.states.vectors.grad.any()
    expect_gradients(model)
    model.zero_grad()
    with torch.no_grad():
        model.fusion.gate.weight.fill_(0.1)
    # gaze is given, but no frame is tracked: what embeds maps learns nothing from such a batch
    gaze = random_gaze().where_missing(torch.ones(2, 8, dtype=torch.bool))
    loss_of(model(clips_of(), gaze)).backward()
    with pytest.raises(OptionError, match=r"smooth.weight \(its gradient is exactly 0\)"):
        expect_gradients(model)


def test_a_gate_that_nothing_reaches_is_a_mistake():
    model = tiny_model(CONFIG)
    loss_of(model(clips_of(), None)).backward()
    with pytest.raises(OptionError, match=r"fusion.gate.weight \(no gradient"):
        expect_gradients(model)
    loss = loss_of(model(clips_of(), random_gaze())) * 0
    model.zero_grad()
    loss.backward()
    with pytest.raises(OptionError, match=r"fusion.gate.weight \(its gradient is exactly 0\)"):
        expect_gradients(model)


def test_gates_are_opened_for_a_check_and_closed_again():
    model = tiny_model(CONFIG)
    check_gradients(model, lambda: loss_of(model(clips_of(), random_gaze())))
    assert model.fusion.gate.closed
    assert all(p.grad is None for p in model.parameters())
    with pytest.raises(OptionError, match="expected verb"):
        check_gradients(model, lambda: anticipation_loss(model(clips_of(), random_gaze()), {}))
    assert model.fusion.gate.closed
    gate = Gate(2)
    with opened_gates(gate, 0.3):
        assert gate(torch.ones(2)).tolist() == pytest.approx([0.3, 0.3])
    with torch.no_grad():
        gate.weight.copy_(torch.tensor([0.0, 0.7]))
    with opened_gates(gate):
        assert gate.weight.tolist() == pytest.approx([0, 0.7])


def test_low_rank_adaptation_begins_as_the_pretrained_model_and_is_no_mistake():
    model = tiny_model(CONFIG)
    plain, encoder = model(clips_of(), random_gaze()), model.backbone.encoder
    adapt_blocks(encoder, list(encoder.layer), Lora(rank=2), seed=0)
    adapted = model(clips_of(), random_gaze())
    assert all(torch.equal(adapted[name], plain[name]) for name in plain)
    loss_of(adapted).backward()
    trained = {name for name, p in encoder.named_parameters() if p.requires_grad}
    assert trained
    assert all("lora_" in name for name in trained)
    expect_gradients(model)
    check_gradients(model, lambda: loss_of(model(clips_of(), random_gaze())))
    loss_of(model(clips_of(), None)).backward()
    with pytest.raises(OptionError, match=r"fusion.gate.weight \(no gradient"):
        expect_gradients(model)
