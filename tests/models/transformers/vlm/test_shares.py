"""Which token a value belongs to is read off gradients."""

from __future__ import annotations

import torch

from isotherm.models.transformers.vlm.shares import tokens_of_values


def test_each_value_is_of_the_token_that_it_changes_most():
    owner = torch.tensor([0, 0, 3, 3, 1, 1, 4, -1, 2, 2])
    values = torch.randn(10, requires_grad=True)
    weight = torch.randn(10, 16)
    tokens = torch.stack([torch.tanh((values * (owner == t)) @ weight) for t in range(5)])
    assert tokens_of_values(tokens, values).tolist() == owner.tolist()


def test_of_two_that_share_a_value_the_stronger_one_gets_it():
    values = torch.randn(6, requires_grad=True)
    parts = torch.tensor([[1, 1, 0.7, 0.3, 0, 0], [0, 0, 0.3, 0.7, 1, 1.0]])
    weight = torch.randn(6, 64)
    tokens = torch.stack([(values * p) @ weight for p in parts])
    assert tokens_of_values(tokens, values).tolist() == [0, 0, 0, 1, 1, 1]
