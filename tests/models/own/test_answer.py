"""What an output can be read as: where its shape says so, and otherwise not."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import NamedTuple

import pytest
import torch

from isotherm.errors import AdapterError, OptionError
from isotherm.models.own.answer import answer_of, class_logits


class Heads(NamedTuple):
    logits: torch.Tensor
    aux: torch.Tensor


@dataclass
class Found:
    boxes: torch.Tensor
    logits: torch.Tensor


@pytest.mark.parametrize(
    ("raw", "kind", "words"),
    [
        (torch.rand(1, 10), "classes", "a tensor (1, 10) read as a logit for each of 10 classes"),
        (torch.rand(1, 10, 1, 1), "classes", "a tensor (1, 10, 1, 1) read as a logit for each of 10 classes"),
        (torch.rand(1), "classes", "a tensor (1,) read as one number"),
        (torch.rand(1, 1), "classes", "a tensor (1, 1) read as one number"),
        (torch.rand(1, 3, 56, 56), "pixels", "a tensor (1, 3, 56, 56) read as logits of 3 class(es) for every pixel"),
        (torch.rand(1, 3, 28, 28), "raw", ""),
        (torch.rand(1, 85, 14, 14), "raw", ""),
        (torch.rand(1, 196, 5), "raw", ""),
        (torch.rand(64, 6), "raw", ""),
        (torch.rand(6), "raw", ""),
        (torch.zeros(1, 5, dtype=torch.long), "raw", ""),
        ((torch.rand(1, 10), torch.rand(1, 5)), "raw", ""),
        ([torch.rand(1, 5, 28, 28)], "raw", ""),
        ({"boxes": torch.rand(1, 4)}, "raw", ""),
        ({"logits": torch.rand(1, 4), "loss": None}, "classes", "logits, a tensor (1, 4) read as a logit for each"),
        (OrderedDict(out=torch.rand(1, 4, 224, 224)), "pixels", "out, a tensor (1, 4, 224, 224) read as logits"),
        (Heads(torch.rand(1, 7), torch.rand(1, 7)), "classes", "logits, a tensor (1, 7)"),
        (Found(torch.rand(1, 9, 4), torch.rand(1, 9, 3)), "raw", ""),
    ],
)  # fmt: skip
def test_an_output_is_read_as_what_has_its_shape_alone(raw, kind, words):
    answer = answer_of(raw, (224, 224))
    assert answer.kind == kind
    assert answer.words.startswith(words)
    if kind == "classes":
        assert answer.logits(raw).ndim == 2


def test_the_part_that_the_user_names_is_read_wherever_it_is():
    heads = {"shape": torch.rand(1, 3), "colour": (torch.rand(1, 4), torch.rand(1, 85, 14, 14))}
    assert answer_of(heads, (224, 224), "shape").logits(heads) is not None
    assert torch.equal(answer_of(heads, (224, 224), "shape").logits(heads), heads["shape"])
    second = answer_of(heads, (224, 224), lambda out: out["colour"][1])
    assert (second.kind, second.logits(heads).shape[1]) == ("pixels", 85)
    pair = (torch.rand(1, 3), torch.rand(1, 4))
    assert torch.equal(answer_of(pair, (224, 224), -1).logits(pair), pair[1])


@pytest.mark.parametrize(
    ("output", "error", "message"),
    [
        ("form", OptionError, r"output='form' is no part of what the model puts out, a dict of \[\"shape\"\] a tensor \(1, 3\)"),
        (5, OptionError, "output=5 is no part"),
        ("boxes", AdapterError, r"output='boxes' is a tensor \(1, 9, 4\), which are no logits"),
        ("count", AdapterError, r"output='count' is a tensor of int64 \(1, 2\); expected logits"),
    ],
)  # fmt: skip
def test_a_part_that_is_none_is_refused_with_what_there_is(output, error, message):
    raw = {"shape": torch.rand(1, 3), "boxes": torch.rand(1, 9, 4), "count": torch.zeros(1, 2, dtype=torch.long)}
    with pytest.raises(error, match=message):
        answer_of(raw, (224, 224), output)


def test_logits_of_every_shape_of_a_head_are_rows_of_classes():
    tensor = torch.arange(6.0).reshape(2, 3)
    assert torch.equal(class_logits(tensor[:, :, None, None]), tensor)
    assert torch.equal(class_logits(tensor[:, 0]), tensor[:, :1])
    assert class_logits(tensor.reshape(2, 1, 3)) is None
    assert class_logits(torch.zeros(0, 3)) is None
