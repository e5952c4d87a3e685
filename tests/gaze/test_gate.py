"""Gates: closed at first, quick for an optimiser, and in files what they multiply by."""

from __future__ import annotations

import copy

import torch
from torch import nn

from isotherm.gaze.gate import SPEED, Gate, opened_gates
from isotherm.train.average import WeightAverage


def test_a_closed_gate_adds_nothing_and_gets_the_gradient_of_what_it_holds_back():
    gate, branch = Gate(3), torch.tensor([[1.0, -2.0, 0.5]], requires_grad=True)
    assert gate.closed
    out = gate(branch)
    assert (out == 0).all()
    out.sum().backward()
    assert gate.weight.grad.tolist() == [SPEED, -2 * SPEED, 0.5 * SPEED]
    assert (branch.grad == 0).all()


def test_one_step_of_adam_moves_a_factor_by_more_than_its_rate():
    gate = Gate(1)
    optimizer = torch.optim.Adam(gate.parameters(), lr=0.01)
    gate(torch.ones(1)).backward()
    optimizer.step()
    torch.testing.assert_close(gate.factors.detach(), torch.tensor([-0.01 * SPEED]))


def test_files_hold_the_factors_to_the_bit():
    model = nn.Sequential(nn.Linear(2, 2), Gate(2))
    with torch.no_grad():
        model[1].weight.copy_(torch.tensor([0.1, -1 / 3]))
    state = model.state_dict()
    assert torch.equal(state["1.weight"], model[1].factors)
    again = nn.Sequential(nn.Linear(2, 2), Gate(2))
    again.load_state_dict(state)
    assert torch.equal(again[1].weight, model[1].weight)
    assert torch.equal(state["1.weight"], model[1].factors)  # loading changes nothing of what was given
    assert torch.equal(copy.deepcopy(model)[1].weight, model[1].weight)


def test_open_for_a_while():
    model = nn.Sequential(Gate(2))
    with opened_gates(model, 0.3):
        torch.testing.assert_close(model(torch.ones(2)), torch.tensor([0.3, 0.3]))
    assert model[0].closed


def test_averaged_weights_keep_their_gates():
    model = nn.Sequential(Gate(2))
    with torch.no_grad():
        model[0].weight.fill_(0.7)
    average = WeightAverage(model, decay=0.9)
    assert torch.equal(average.applied_to(model)[0].weight, model[0].weight)
