"""Answers in words -> counts: what is read, and what is refused."""

from __future__ import annotations

import pytest

from isotherm.vlm.numbers import read_count

READ = {
    # digits
    "12": 12,
    " 12.": 12,
    "**12**": 12,
    "12 peaches": 12,
    "There are 12 peaches in the picture.": 12,
    "peaches:12": 12,
    "12.0": 12,
    "١٢": 12,
    "１２": 12,
    "0": 0,
    "1,024": 1024,
    "1,024,000 grains": 1_024_000,
    "1'024": 1024,
    "1\u202f024": 1024,
    "007": 7,
    '{"count": 12}': 12,
    "\\boxed{12}": 12,
    "<think>3 or 4? 5.</think>4": 4,
    "2 thousand": 2000,
    "3 dozen eggs": 36,
    # about, at least
    "about 30": 30,
    "Approximately 30.": 30,
    "~30": 30,
    "at least 30": 30,
    "more than 30": 30,
    "30+": 30,
    # ranges
    "between 10 and 12": 11,
    "10-12": 11,
    "10–12": 11,
    "10 to 12 peaches": 11,
    "3 or 4": 3.5,
    "Between ten and twelve": 11,
    "two or three": 2.5,
    "10 - 12": 11,
    # words
    "Twenty-three": 23,
    "twenty three": 23,
    "a dozen": 12,
    "half a dozen": 6,
    "two dozen": 24,
    "a couple of peaches": 2,
    "a pair": 2,
    "a single peach": 1,
    "one": 1,
    "zero": 0,
    "one hundred and five": 105,
    "a hundred": 100,
    "two hundred": 200,
    "one thousand two hundred and thirty-four": 1234,
    "nineteen": 19,
    "ninety": 90,
    "There is one peach.": 1,
    "There is a peach on the left.": 1,
    "three thousand": 3000,
    "five million": 5_000_000,
    # none
    "no peaches": 0,
    "None.": 0,
    "There are none": 0,
    "There aren't any peaches.": 0,
    "I do not see any peaches": 0,
    "nothing": 0,
    "No": 0,
    # a number in spite of a refusal
    "It is hard to count exactly, but there are about 30.": 30,
    "I cannot be sure; perhaps twenty.": 20,
}


@pytest.mark.parametrize(("text", "count"), READ.items())
def test_reads(text, count):
    said = read_count(text, "peaches")
    assert said.value == count
    assert said.reason


REFUSED = {
    "": "says nothing",
    "   ": "says nothing",
    "I cannot tell.": "gives no number",
    "I can't determine the number of peaches": "gives no number",
    "Sorry, the picture is unclear": "gives no number",
    "There are too many to count": "gives no number",
    "countless": "gives no number",
    "No one can tell": "gives no number",
    "I cannot tell one from another": "gives no number",
    "several": "gives no number",
    "many peaches": "gives no number",
    "a few": "gives no number",
    "dozens": "gives no number",
    "hundreds of peaches": "gives no number",
    "There is a lot of fruit": "gives no number",
    "peaches": "gives no number",
    "-5": "no count",
    "50%": "no count",
    "3.5": "no count",
    "the 2nd": "gives no number",
    "IMG2034": "gives no number",
    "This one": "gives no number",
}


@pytest.mark.parametrize(("text", "reason"), REFUSED.items())
def test_refuses_with_a_reason(text, reason):
    said = read_count(text, "peaches")
    assert said.value is None
    assert reason in said.reason


@pytest.mark.parametrize(
    ("text", "count", "which"),
    [
        ("3 on the left and 4 on the right, 7 in total", 7, "in total"),
        ("3 on the left and 4 on the right. The total is 7 peaches.", 7, "total"),
        ("3 + 4 = 7", 7, "="),
        ("I see 3 and then 4. The answer is 7.", 7, "answer is"),
        ("In 2 bowls there are 5 peaches", 5, "before 'peaches'"),
        ("2 bowls hold 5 Peaches", 5, "before 'peaches'"),
        ("5, 2 of them hidden", 5, "the first"),
        ("5 or so; I count five", 5, "the number 5"),
    ],
)
def test_of_several_numbers_one_is_chosen_and_said(text, count, which):
    said = read_count(text, "peaches")
    assert said.value == count
    assert which in said.reason


def test_a_numbered_list_is_as_long_as_it_says():
    assert read_count("1. a red one\n2. a green one\n3. a bruised peach").value == 3
    assert read_count("1. left\n2. right\n\nTotal: 2").value == 2
