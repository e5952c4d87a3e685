"""The upsampling head by its users' names: one with the core's, published keys, and heads inside of checkpoints."""

from __future__ import annotations

import inspect

import pytest
import torch

from isotherm.errors import OptionError, WeightsError
from isotherm.heads import ConvexUpsample
from isotherm.systems.bridgevla import ConvexUpSample
from isotherm.systems.bridgevla.upsample import head_weights

KEYS = {"net_out.0", "net_out.2", "net_out.4", "net_mask.0", "net_mask.2"}


def test_the_signature_is_the_one_that_is_known():
    positional = [
        p for p in inspect.signature(ConvexUpSample.__init__).parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD
    ]
    assert [p.name for p in positional][1:] == ["in_dim", "out_dim", "up_ratio", "up_kernel", "mask_scale", "with_bn"]
    assert [p.default for p in positional][4:] == [3, 0.1, False]


def test_it_is_the_head_of_the_core():
    ours = ConvexUpSample(5, 2, 7, 3, 0.2, False, padding="zeros").eval()
    core = ConvexUpsample(5, 2, ratio=7, kernel=3, mask_scale=0.2, padding="zeros").eval()
    core.load_state_dict(ours.state_dict())
    features = torch.randn(2, 5, 4, 3)
    assert ours(features).shape == (2, 2, 28, 21)
    assert torch.equal(ours(features), core(features))
    assert {k.rsplit(".", 1)[0] for k in ours.state_dict()} == KEYS


def test_with_batch_norms():
    head = ConvexUpSample(4, 1, 2, with_bn=True)
    assert sum(isinstance(m, torch.nn.BatchNorm2d) for m in head.modules()) == 3


@pytest.mark.parametrize("prefix", ["", "up0.", "module.mvt1.up0."])
def test_a_head_is_found_inside_of_a_checkpoint(prefix):
    head = ConvexUpSample(3, 1, 2)
    whole = {f"{prefix}{k}": v for k, v in head.state_dict().items()} | {"model.net_out.bias": torch.zeros(1)}
    other = ConvexUpSample(3, 1, 2)
    other.load_state_dict(head_weights(whole))
    assert all(torch.equal(a, b) for a, b in zip(head.parameters(), other.parameters(), strict=True))


def test_no_head_and_two_heads_are_refused():
    state = ConvexUpSample(3, 1, 2).state_dict()
    with pytest.raises(WeightsError, match="nowhere among the 1 weights"):
        head_weights({"weight": torch.zeros(1)})
    twice = {f"{p}.{k}": v for p in ("up0", "up1") for k, v in state.items()}
    with pytest.raises(WeightsError, match=r"'up0\.', 'up1\.'"):
        head_weights(twice)


def test_an_even_kernel_is_refused():
    with pytest.raises(OptionError, match="kernel"):
        ConvexUpSample(3, 1, 2, up_kernel=2)
