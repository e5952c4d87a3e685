"""Questions about shapes: answers that follow from what is drawn, evidence to the pixel, the same bytes from a seed."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from isotherm.data.shape_questions import (
    COLOURS,
    HELD_OUT,
    PLACES,
    SIDE,
    TRAINING,
    VALIDATION,
    further_questions,
    make_question,
)
from isotherm.errors import OptionError


@pytest.mark.parametrize("kind", ["count", "where", "exists"])
def test_answers_follow_from_the_picture(kind):
    for seed in range(60):
        q = make_question(seed, kind)
        of_colour = [i for i, c in enumerate(q.colours) if list(COLOURS)[c] == q.colour]
        if kind == "count":
            assert q.answer == str(len(of_colour))
        elif kind == "exists":
            assert q.answer == ("yes" if of_colour else "no")
        else:
            assert len(of_colour) == 1
            x, y = q.centres[of_colour[0]]
            assert q.answer == PLACES[3 * int(y / 16) + int(x / 16)]
        assert np.array_equal(q.evidence, q.masks[of_colour].any(0) if of_colour else np.zeros((SIDE, SIDE), bool))
        assert q.colour in q.question


def test_shapes_lie_apart_and_inside_and_have_their_colours():
    for seed in range(80):
        q = make_question(seed)
        assert (q.masks.sum(0) <= 1).all()
        assert all(14 < mask.sum() < 110 for mask in q.masks)
        for mask, (x, y), colour in zip(q.masks, q.centres, q.colours, strict=True):
            ys, xs = np.nonzero(mask)
            assert abs(xs.mean() + 0.5 - x) < 1.6
            assert abs(ys.mean() + 0.5 - y) < 1.6
            paint = q.picture[mask].mean(0)
            nearest = min(COLOURS, key=lambda name: float(np.abs(np.array(COLOURS[name]) - paint).sum()))
            assert nearest == list(COLOURS)[colour]


def test_a_seed_is_a_question():
    one, two = make_question(5), make_question(5)
    assert np.array_equal(one.picture, two.picture)
    assert (one.question, one.answer) == (two.question, two.answer)
    assert not np.array_equal(one.picture, make_question(6).picture)
    assert TRAINING.stop <= VALIDATION.start < VALIDATION.stop <= HELD_OUT.start


def test_answers_are_spread():
    counts = Counter(make_question(s, "count").answer for s in range(300))
    assert set(counts) == set("012345")
    assert min(counts.values()) > 25
    yes = sum(make_question(s, "exists").answer == "yes" for s in range(300))
    assert 110 < yes < 190


def test_bad_questions(unchecked):
    with pytest.raises(OptionError, match="seed is -1"):
        make_question(-1)
    with pytest.raises(OptionError, match="kind is 'why'"):
        make_question(0, "why")


def test_further_questions_are_about_the_other_colours_and_true():
    for seed in range(40):
        first = make_question(seed)
        more = further_questions(first, seed)
        assert more == further_questions(first, seed)
        names = list(COLOURS)
        asked = [question.split()[2] for question, _ in more]
        assert sorted([first.colour, *asked]) == sorted(names)
        for question, answer in more:
            where = np.flatnonzero(first.colours == names.index(question.split()[2]))
            if question.startswith("how"):
                assert answer == str(len(where))
            elif question.startswith("is"):
                assert answer == ("yes" if len(where) else "no")
            else:
                (one,) = where  # only where there is one answer
                x, y = first.centres[one]
                assert PLACES.index(answer) == 3 * int(y // 16) + int(x // 16)
