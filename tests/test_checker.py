"""The run-time type checker is on in the tests, at the first call of a function as at all others."""

from __future__ import annotations

import pytest
import torch
from jaxtyping import TypeCheckError

from checker import checked
from isotherm.ops.eigen import first_component


@pytest.mark.parametrize("time", ["first", "second"])
def test_an_argument_of_the_wrong_kind_is_refused(time):
    with pytest.raises(TypeCheckError):
        first_component(torch.zeros(2, 3, 4, 5, dtype=torch.long))


def test_checks_are_made_once_and_an_int_is_a_float():
    @checked
    def half(value: float) -> float:
        return value / 2

    assert half(3) == 1.5
    for _ in range(2):
        with pytest.raises(Exception, match="value"):
            half("3")
