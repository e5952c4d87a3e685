"""The run-time type checker is on in the tests, at the first call of a function as at all others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TypeVar

import pytest
import torch
from jaxtyping import Float, TypeCheckError

import checker
from checker import MADE, checked
from isotherm.ops.eigen import first_component
from isotherm.ops.names import plain


@pytest.mark.parametrize("time", ["first", "second"])
def test_an_argument_of_the_wrong_kind_is_refused(time):
    with pytest.raises(TypeCheckError):
        first_component(torch.zeros(2, 3, 4, 5, dtype=torch.long))


@pytest.mark.parametrize("time", ["first", "second"])
def test_so_is_one_of_a_function_that_has_no_arrays(time):
    assert plain("Grad-CAM") == "gradcam"
    with pytest.raises(TypeCheckError, match=r"checking the parameters of isotherm\.ops\.names\.plain"):
        plain(3)


def test_without_the_checker_nothing_is_refused(unchecked):
    with pytest.raises(AttributeError, match="'int' object has no attribute 'lower'"):
        plain(3)


def doubled(value: int) -> str:
    return value * 2


def rows(array: Float[torch.Tensor, "n 2"], like: Float[torch.Tensor, "n 2"] | None = None) -> int:
    return len(array)


def grown(array: Float[torch.Tensor, "n 2"], by: int) -> Float[torch.Tensor, "n 2"]:
    return torch.zeros(len(array) + by, 2)


def ones(count: int) -> Float[torch.Tensor, " {count}"]:
    return torch.ones(max(count, 1))


def each(values: Sequence[int]) -> Iterator[str]:
    yield from values


def test_what_a_function_gives_and_shapes_that_belong_together_are_checked():
    ours = partial(checker.jaxtyped, typechecker=checked)
    with pytest.raises(TypeCheckError, match="checking the return value of"):
        ours(doubled)(2)
    assert ours(rows)(torch.zeros(3, 2), torch.ones(3, 2)) == 3
    with pytest.raises(TypeCheckError, match="checking the parameters of"):
        ours(rows)(torch.zeros(3, 2), torch.ones(4, 2))
    assert len(ours(grown)(torch.zeros(3, 2), 0)) == 3
    with pytest.raises(TypeCheckError, match="checking the return value of"):
        ours(grown)(torch.zeros(3, 2), 1)
    assert len(ours(ones)(2)) == 2
    with pytest.raises(TypeCheckError, match="checking the return value of"):
        ours(ones)(0)
    assert list(ours(each)([1, 2])) == [1, 2]  # what is yielded is not
    with pytest.raises(TypeCheckError, match="checking the parameters of"):
        ours(each)(3)


def test_only_functions_with_shapes_pay_for_them():
    """Both are asked for in many ways: in a sequence, in what a function takes, as one of several."""
    shape = Float[torch.Tensor, "n"]
    for hint in (shape, Sequence[shape], shape | None, Callable[[shape], int], TypeVar("T", bound=shape), "Later"):
        assert checker.has_shapes(hint), hint
    for hint in (int, None, torch.Tensor, Callable[[int], str], dict[str, list[int]]):
        assert not checker.has_shapes(hint), hint
    assert checker.once(rows).__name__ == "noting_sizes"
    assert checker.once(doubled).__name__ == "doubled"


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
    return checker.jaxtyped(inner, typechecker=checked)


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
    before = len(MADE)
    for _ in range(3):
        made(int)(3)
    assert len(MADE) == before

    def shifted(by):
        def inner(value: int, more: int = by) -> int:
            return value + by + more

        return checker.jaxtyped(inner, typechecker=checked)

    assert (shifted(1)(1), shifted(5)(1), shifted(5)(1, more=0)) == (3, 11, 6)
