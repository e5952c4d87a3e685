"""The numbers of classes depend on the ids alone; what was not learnt is kept and counted."""

from __future__ import annotations

import random

import numpy as np
import pytest

from isotherm.data.anticipation.actions import Action, ActionTable
from isotherm.data.anticipation.classes import UNKNOWN, Classes
from isotherm.errors import InputError

PAIRS = [(9, 1), (2, 30), (2, 1), (9, 1), (0, 4)]


def table_of(pairs, **names):
    return ActionTable(tuple(Action("a", i, i + 1, *pair) for i, pair in enumerate(pairs)), **names)


def test_numbers_are_the_places_of_sorted_ids():
    classes = Classes.of(table_of(PAIRS))
    assert classes.verbs == (0, 2, 9)
    assert classes.nouns == (1, 4, 30)
    assert classes.actions == ((0, 4), (2, 1), (2, 30), (9, 1))
    numbers = classes.numbers(table_of(PAIRS))
    np.testing.assert_array_equal(numbers.verb, [2, 1, 1, 2, 0])
    np.testing.assert_array_equal(numbers.noun, [0, 2, 0, 0, 1])
    np.testing.assert_array_equal(numbers.action, [3, 2, 1, 3, 0])


def test_the_order_of_the_file_makes_no_difference():
    shuffled = list(PAIRS)
    random.Random(3).shuffle(shuffled)
    assert shuffled != PAIRS
    assert Classes.of(table_of(shuffled)) == Classes.of(table_of(PAIRS))


def test_validation_pairs_that_were_not_learnt_are_kept_and_counted():
    classes = Classes.of(table_of(PAIRS))
    validation = table_of([(9, 1), (0, 1), (0, 1), (5, 4), (2, 7)])
    numbers = classes.numbers(validation)
    np.testing.assert_array_equal(numbers.action, [3, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN])
    np.testing.assert_array_equal(numbers.verb, [2, 0, 0, UNKNOWN, 1])
    absent = classes.absent(validation)
    assert (absent.rows, absent.of, absent.verbs, absent.nouns) == (4, 5, (5,), (7,))
    assert absent.pairs == ((0, 1), (2, 7), (5, 4))
    assert str(absent).startswith("4 of 5 actions are of 3 pairs that were not learnt (1 verbs and 1 nouns")


def test_classes_of_a_checkpoint_are_those_that_were_written():
    classes = Classes.of(table_of(PAIRS, verbs={9: "pour", 77: "none of them"}, nouns={1: "water"}))
    again = Classes.from_json(classes.to_json())
    assert again == classes
    assert again.label(3) == "pour water"
    assert again.label(0) == "0 4"


def test_actions_without_a_class_are_passed_over():
    table = ActionTable((Action("a", 0, 1, None, None), Action("a", 0, 1, 3, 4)))
    assert Classes.of(table).actions == ((3, 4),)
    assert Classes.of(table).numbers(table).verb.tolist() == [UNKNOWN, 0]
    assert Classes.of(table).absent(table).of == 1


@pytest.mark.parametrize(
    "text", ["", "{}", '{"format": "other/1"}', '{"format": "isotherm.action_classes/1", "verbs": 3}', "[1]"]
)
def test_what_are_no_classes_is_refused(text):
    with pytest.raises(InputError):
        Classes.from_json(text)


@pytest.mark.parametrize(
    ("verbs", "nouns", "actions", "words"),
    [
        ((2, 1), (1,), (), "verbs are not sorted"),
        ((1, 2), (1, 1), (), "nouns are not sorted"),
        ((1, 2), (1,), ((1, 3),), "is of a verb or a noun"),
    ],
)
def test_classes_that_do_not_fit_are_refused(verbs, nouns, actions, words):
    with pytest.raises(InputError, match=words):
        Classes(verbs, nouns, actions)


def test_an_action_has_verb_and_noun_or_neither():
    with pytest.raises(InputError, match="both or neither"):
        Action("a", 0, 1, 3, None, where="a.csv:2")
