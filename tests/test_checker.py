"""The run-time type checker is on in the tests, at the first call of a function as at all others."""

from __future__ import annotations

import pytest
import torch
from jaxtyping import Float, TypeCheckError, jaxtyped

from checker import INNER, checked
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


def made(kind):
    """A function within another; its argument's type is decided where it is made."""

    def inner(value):
        return torch.zeros(1) + value

    inner.__annotations__ = {"value": kind, "return": Float[torch.Tensor, "n"]}
    return jaxtyped(inner, typechecker=checked)


def test_functions_within_functions_are_checked_whenever_they_are_made():
    for _ in range(2):
        assert made(int)(3) == 3
        with pytest.raises(TypeCheckError, match="checking the parameters of"):
            made(int)("3")
        with pytest.raises(TypeCheckError, match="checking the return value"):
            made(torch.Tensor)(torch.zeros(2, 2))
        with pytest.raises(TypeCheckError, match="checking the parameters of"):
            made(torch.Tensor)(3)


def test_their_checks_are_made_once_and_their_bodies_are_their_own():
    made(int)(3)
    before = len(INNER)
    for _ in range(3):
        made(int)(3)
    assert len(INNER) == before

    def shifted(by):
        @checked
        def inner(value: int) -> int:
            return value + by

        return inner

    assert (shifted(1)(1), shifted(5)(1)) == (2, 6)
