"""What of an answer is explained: hand-computed probabilities, numbers of several digits, words of several tokens."""

from __future__ import annotations

import pytest
import torch

from isotherm.errors import OptionError, TargetError
from isotherm.vlm.choose import answer_score
from isotherm.vlm.question import Question
from isotherm.vlm.scores import Answer, Contrast, Custom, ExpectedNumber, NextToken, Span, Word
from rigs.toy_language_view import Toy

TEXTS = ["<end>", "1", "2", "3", "two", " ca", "t", " dog", "0", "?"]
END = frozenset({0})


def rules(table: dict[tuple[int, ...], dict[int, float]]):
    """Probabilities of the next token by what was said; the rest is spread evenly."""

    def rule(tokens, said):
        p = torch.full((len(TEXTS),), 1e-9)
        for token, value in table.get(tuple(said), {0: 1.0}).items():
            p[token] = value
        return torch.log(p / p.sum()) + 0 * tokens.sum()

    return rule


def question(table, ends=END) -> Question:
    view = Toy(rules(table), TEXTS, (torch.ones(4, 3),), (2, 2), ends=ends)
    return Question.of(view, view.ask([view.picture()], "how many ?"))


def value(a: Question, said) -> float:
    return float(a.values([said], a.streams)[0, 0])


def test_expected_number_of_single_tokens():
    (said,) = ExpectedNumber()(question({(): {1: 0.2, 2: 0.4, 4: 0.1, 0: 0.3}}))
    # digits and words count alike, what is no number does not count: (1*.2 + 2*.4 + 2*.1) / .7
    assert value(question({(): {1: 0.2, 2: 0.4, 4: 0.1, 0: 0.3}}), said) == pytest.approx(1.2 / 0.7, abs=1e-5)
    assert said.label == "expected number (1.71)"


def test_expected_number_of_several_digits():
    """1 goes on to 12 or 10, or ends; 2 ends."""
    table = {
        (): {1: 0.5, 2: 0.5},
        (1,): {0: 0.2, 2: 0.5, 8: 0.3},
        (1, 2): {0: 1.0},
        (1, 8): {0: 0.9, 3: 0.1},
        (2,): {0: 1.0},
    }
    a = question(table)
    (said,) = ExpectedNumber()(a)
    expected = 0.5 * (0.2 * 1 + 0.5 * 12 + 0.3 * (0.9 * 10 + 0.1 * 103)) + 0.5 * 2
    assert value(a, said) == pytest.approx(expected, rel=1e-5)
    assert set(said.continuations) == {(), (1,), (2,), (1, 2), (1, 8)}
    (short,) = ExpectedNumber(digits=1)(a)
    assert value(a, short) == pytest.approx(1.5, rel=1e-5)


def test_a_number_with_a_leading_zero_keeps_its_place():
    table = {(): {1: 1.0}, (1,): {8: 1.0}, (1, 8): {3: 1.0}, (1, 8, 3): {0: 1.0}}
    (said,) = ExpectedNumber()(question(table))
    assert value(question(table), said) == pytest.approx(103, rel=1e-5)


def test_a_number_further_on_in_the_answer_is_found_there():
    table = {(): {5: 1.0}, (5,): {6: 1.0}, (5, 6): {3: 0.75, 1: 0.25}, (5, 6, 3): {0: 1.0}, (5, 6, 1): {0: 1.0}}
    a = question(table)
    (said,) = ExpectedNumber()(a)
    assert said.continuations[0] == (5, 6)
    assert value(a, said) == pytest.approx(2.5, rel=1e-5)


def test_no_number_is_an_error_that_shows_the_answer():
    with pytest.raises(TargetError, match=r"answers ' dog', which has no number"):
        ExpectedNumber()(question({(): {7: 1.0}, (7,): {0: 1.0}}))


def test_numbers_that_are_likely_where_another_word_is_said_are_no_count():
    """A third of the probability lies on numbers, and the model says " dog": nobody was counting."""
    table = {(): {7: 0.6, 1: 0.1, 2: 0.3}, (7,): {0: 1.0}}
    with pytest.raises(TargetError, match=r"answers ' dog', which has no number"):
        ExpectedNumber()(question(table))
    # it says " dog 2": the number is looked at where it stands
    a = question({(): {7: 0.6, 1: 0.4}, (7,): {2: 0.75, 3: 0.25}, (7, 2): {0: 1.0}})
    (said,) = ExpectedNumber()(a)
    assert said.continuations[0] == (7,)
    assert value(a, said) == pytest.approx(0.75 * 2 + 0.25 * 3, rel=1e-5)


def test_the_answer_is_explained_where_a_prompt_asks_how_many_and_no_number_is_answered():
    score, _ = answer_score(None, "how many dogs ?")
    (said,) = score(question({(): {7: 0.6, 2: 0.4}, (7,): {0: 1.0}}))
    assert said.label == "log_prob of 'dog'"
    assert (
        said.note == "the prompt asks how many and the answer 'dog' has no number, so the maps are of the answer itself"
    )
    (said,) = score(question({(): {2: 1.0}}))
    assert said.label == "expected number (2.00)"
    assert said.note == ""
    with pytest.raises(
        TargetError, match="there is nothing to ask"
    ):  # nor does this vocabulary have the prompt's words
        score(question({(): {0: 1.0}}))


def test_an_answer_is_generated_again_only_where_it_was_cut_short():
    a = question(CAT)
    lengths = []
    answer = a.view.answer
    a.view.answer = lambda question, most: (lengths.append(most), answer(question, most=most))[1]
    assert a.answer(most=2) == (5, 6)
    assert a.words() == "cat ..."
    assert a.answer(most=9) == (5, 6, 7)
    assert a.words() == "cat dog"
    assert a.answer(most=64) == (5, 6, 7)
    assert a.answer(most=1) == (5,)
    assert lengths == [2, 9]


@pytest.mark.parametrize(
    ("score", "forced", "own"),
    [
        (Answer(), None, None),
        (Answer("2"), "2", False),
        (Answer(" cat"), " cat", True),
        (Answer(" ca"), " ca", False),
        (Answer("2 dog", per="word"), "2 dog", False),
        (NextToken(), None, None),
        (NextToken(" dog"), " dog", False),
        (Word("dog", text="2 dog"), "2 dog", False),
        (Contrast("2", "3"), "2", False),
        (ExpectedNumber(), None, None),
        (Custom(lambda logits: logits[0, 0]), None, None),
        (Custom(lambda logits: logits[0, 0], text="3"), "3", False),
    ],
)
def test_scores_tell_answers_that_they_give_to_the_model(score, forced, own):
    """Own: whether the model itself says so, in whole words."""
    a = question(CAT if not isinstance(score, ExpectedNumber) else {(): {1: 1.0}})
    said = score(a)
    assert {s.forced for s in said} == {forced}
    if forced is not None:
        assert a.says(forced) is own


CAT = {(): {5: 0.9, 7: 0.1}, (5,): {6: 0.6, 0: 0.4}, (5, 6): {7: 0.8, 0: 0.2}, (5, 6, 7): {0: 1.0}}


def test_words_tokens_and_the_whole_answer():
    a = question(CAT)
    words = Answer(per="word")(a)
    assert [s.label for s in words] == ["log_prob of 'cat' in 'cat dog'", "log_prob of 'dog' in 'cat dog'"]
    logs = [torch.log(torch.tensor(p)).item() for p in (0.9 * 0.6, 0.8)]
    assert [value(a, s) for s in words] == pytest.approx(logs, rel=1e-4)
    (whole,) = Answer()(a)
    assert value(a, whole) == pytest.approx(sum(logs), rel=1e-4)
    assert whole.continuations == ((5, 6),)  # what comes behind the last token is not read
    assert [len(s.steps) for s in Answer(per="token")(a)] == [1, 1, 1]
    (dog,) = Word("Dog.")(a)
    assert value(a, dog) == pytest.approx(logs[1], rel=1e-4)
    (span,) = Span(0, 2)(a)
    assert value(a, span) == pytest.approx(logs[0], rel=1e-4)


def test_a_given_answer_is_forced():
    a = question(CAT)
    (said,) = Answer(" dog")(a)
    assert value(a, said) == pytest.approx(torch.log(torch.tensor(0.1)).item(), rel=1e-4)
    (logit,) = Answer(" dog", of="logit")(a)
    assert value(a, logit) == pytest.approx(float(a.logits()[0, 7]))


def test_contrast_is_at_the_first_difference():
    a = question(CAT)
    (said,) = Contrast(" cat", " dog")(a)
    assert value(a, said) == pytest.approx(torch.log(torch.tensor(0.9 / 0.1)).item(), rel=1e-4)
    (longer,) = Contrast(" cat dog", " cat")(a)  # dog rather than the end
    assert longer.continuations == ((5, 6),)
    assert value(a, longer) == pytest.approx(torch.log(torch.tensor(0.8 / 0.2)).item(), rel=1e-4)
    with pytest.raises(TargetError, match="are the same tokens"):
        Contrast(" cat", " cat")(a)


def test_next_token_and_own_functions():
    a = question(CAT)
    (said,) = NextToken()(a)
    assert said.tokens == (5,)
    (own,) = Custom(lambda logits: logits[0].softmax(-1)[5] * 2)(a)
    assert value(a, own) == pytest.approx(1.8, rel=1e-4)
    with pytest.raises(TargetError, match="expected one number as a tensor"):
        Custom(lambda logits: logits)(a)


@pytest.mark.parametrize(
    ("score", "error", "message"),
    [
        (lambda: Word("cow"), TargetError, "does not have the word 'cow'"),
        (lambda: Span(2, 9), TargetError, "has 3 tokens; 2 to 9"),
        (lambda: Answer("xyz"), TargetError, "has no tokens for 'xyz'"),
        (lambda: Answer(per="line"), OptionError, "expected answer, word or token"),
        (lambda: Answer(of="p"), OptionError, "expected log_prob or logit"),
        (lambda: ExpectedNumber(digits=0), OptionError, "at least one"),
    ],
)
def test_mistakes(score, error, message, unchecked):
    with pytest.raises(error, match=message):
        score()(question(CAT))


@pytest.mark.parametrize(
    ("prompt", "target", "answer", "kind"),
    [
        ("How many dogs are there?", None, None, ExpectedNumber),
        ("What is left?", None, None, Answer),
        ("How many?", None, "two", Answer),
        ("?", "count", None, ExpectedNumber),
        ("?", "word:cat", None, Word),
        ("?", "next", None, NextToken),
        ("?", lambda logits: logits[0, 0], None, Custom),
    ],
)
def test_targets_by_name(prompt, target, answer, kind):
    score, why = answer_score(target, prompt, answer=answer)
    assert isinstance(score, kind)
    assert (why is not None) == (target is None)


@pytest.mark.parametrize(
    ("target", "more"), [("words", {}), ("word:", {}), (5, {}), ("count", {"answer": "2"}), (None, {"versus": "3"})]
)
def test_targets_that_do_not_exist(target, more):
    with pytest.raises(OptionError):
        answer_score(target, "how many ?", **more)
